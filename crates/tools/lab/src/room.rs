//! How much the broker's streams may hold, so that it fits the disk.
//!
//! Left alone, nats-server allows three quarters of what is free when it starts. The services' stream reserves a gibibyte, so
//! that a disk with less than 1.4 GB free has no room for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

const MIB: u64 = 1 << 20;
/// The services' stream, and room for what a measurement makes beside it.
const WANTED: u64 = 1280 * MIB;
/// What is left to the databases and to everybody else.
const SHARE: (u64, u64) = (3, 4);
/// The services make no stream that is smaller than 16 MiB.
const LEAST: u64 = 64 * MIB;

/// Writes the broker's settings into the lab's folder; what to say if the stream will be smaller than usual.
pub(crate) fn settle(folder: &Path) -> Result<Option<String>> {
    let bound = bound(free(folder)?, folder)?;
    let settings = settings_file(folder);
    let text = format!("# Written by the lab at each start.\njetstream {{ max_file_store: {bound} }}\n");
    fs::write(&settings, text).with_context(|| format!("{} cannot be written", settings.display()))?;
    Ok((bound < WANTED).then(|| {
        format!(
            "the disk of {} is nearly full: the broker keeps at most {} MiB of events",
            folder.display(),
            bound / MIB
        )
    }))
}

/// Where the broker finds them.
pub(crate) fn settings_file(folder: &Path) -> PathBuf {
    folder.join("nats.conf")
}

fn bound(free: u64, folder: &Path) -> Result<u64> {
    let bound = WANTED.min(free / SHARE.1 * SHARE.0);
    ensure!(
        bound >= LEAST,
        "the disk of {} has {} MiB free, and the broker needs {}: make room, or choose another folder with --data-dir",
        folder.display(),
        free / MIB,
        LEAST / SHARE.0 * SHARE.1 / MIB + 1
    );
    Ok(bound)
}

/// What others may still write, and what the broker's store has already.
fn free(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder)
        .with_context(|| format!("how full is the disk of {}?", folder.display()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize) + size(&folder.join("nats")))
}

/// The size of all files in a folder; of none, if it is not there.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let of_entry = |entry: fs::DirEntry| match entry.metadata() {
        Ok(entry_is) if entry_is.is_dir() => size(&entry.path()),
        Ok(entry_is) => entry_is.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of_entry).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_gets_what_the_stream_wants_and_never_more_than_its_share_of_the_disk() {
        let bound = |free| bound(free, Path::new("data"));
        assert_eq!(bound(100 << 30).unwrap(), WANTED);
        assert_eq!(bound(1 << 30).unwrap(), 768 * MIB);
        assert_eq!(bound(100 * MIB).unwrap(), 75 * MIB);
        let refused = bound(80 * MIB).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the disk of data has 80 MiB free, and the broker needs 86: make room, or choose another folder with --data-dir"
        );
    }

    #[test]
    fn what_the_store_has_already_counts_as_free() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("nats/jetstream");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("1.blk"), vec![0; 3000]).unwrap();
        assert_eq!(size(&folder.path().join("nats")), 3000);
        assert_eq!(size(&folder.path().join("none")), 0);
        assert!(free(folder.path()).unwrap() > 3000);
    }

    #[test]
    fn the_settings_are_written_for_the_broker() {
        let folder = tempfile::tempdir().unwrap();
        settle(folder.path()).unwrap();
        let text = fs::read_to_string(settings_file(folder.path())).unwrap();
        assert!(text.contains("max_file_store: "), "{text}");
    }
}
