//! The folder with everything a lab leaves on disk.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use stack::seed::SeedRecord;
use stack::{Source, database_files, database_in};

/// A data folder that no other lab uses, until this is dropped or the process ends.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Creates the folder if need be, and locks it.
    pub fn open(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("{} cannot be created", path.display()))?;
        let file = path.join("lab.lock");
        let lock = File::create(&file).with_context(|| format!("{} cannot be written", file.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => bail!(
                "another lab is running on {}: stop it, or choose another folder with --data-dir",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("locking {}", file.display()))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the databases and the broker's store if the last seeding was interrupted; answers whether it did.
    ///
    /// Half the data cannot be told from all of it later on, and nothing in it is anybody's work yet.
    pub fn discard_half_a_seeding(&self) -> Result<bool> {
        if !matches!(SeedRecord::read(&self.path)?, Some(SeedRecord::Started)) {
            return Ok(false);
        }
        for source in Source::ALL {
            for file in database_files(&database_in(&self.path, source)) {
                gone(fs::remove_file(file))?;
            }
        }
        gone(fs::remove_dir_all(self.path.join("nats")))?;
        gone(fs::remove_file(self.path.join("seed.json")))?;
        Ok(true)
    }
}

fn gone(removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context("deleting what an interrupted seeding left")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_lab_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap();
        let message = DataFolder::open(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("another lab is running") && message.contains("--data-dir"),
            "{message}"
        );
        drop(first);
        DataFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn half_a_seeding_is_deleted_and_a_whole_one_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(temporary.path()).unwrap();
        let database = folder.path().join("accounts.db");
        fs::write(&database, "half").unwrap();
        assert!(
            !folder.discard_half_a_seeding().unwrap(),
            "nothing is known about it: not ours to delete"
        );
        SeedRecord::Started.write(folder.path()).unwrap();
        assert!(folder.discard_half_a_seeding().unwrap());
        assert!(!database.exists());

        fs::write(&database, "whole").unwrap();
        SeedRecord::Done(stack::seed::Seeded::default())
            .write(folder.path())
            .unwrap();
        assert!(!folder.discard_half_a_seeding().unwrap());
        assert!(database.exists());
    }
}
