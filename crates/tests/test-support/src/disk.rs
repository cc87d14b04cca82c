//! A disk of a test's own: small, and read-only when the test wants it so.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::geteuid;
use tempfile::TempDir;

use crate::eventually;

/// The file that takes the room.
const FILLER: &str = "filler";

/// A tmpfs of a given size, mounted on a folder until it is dropped. It needs root, or `sudo` without a password.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Mounts one.
    ///
    /// # Panics
    /// When it may not.
    pub fn of_kib(size: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let options = format!("size={size}k,mode=0777");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path());
        mounted.unwrap_or_else(|error| panic!("a test of full disks has to mount one: {error}"));
        Self { folder }
    }

    /// Where a file of this name is on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// When the system refuses for another reason than that there is no more.
    pub fn fill(&self) {
        let mut filler = File::create(self.path(FILLER)).expect("a file can be made");
        let full = io::copy(&mut io::repeat(0), &mut filler).expect_err("a disk has an end");
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    /// Gives back what [`fill`](Self::fill) took.
    ///
    /// # Panics
    /// When it took nothing.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path(FILLER)).expect("the disk was filled");
    }

    /// Makes it read-only, once no file on it is open for writing.
    ///
    /// # Panics
    /// When one stays open.
    pub async fn make_read_only(&self) {
        eventually(Duration::from_secs(20), async || self.remount("remount,ro")).await;
    }

    /// Makes it writable again.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn make_writable(&self) {
        self.remount("remount,rw").expect("it was writable before");
    }

    fn remount(&self, how: &str) -> Result<(), String> {
        run("mount", &["-o", how], self.folder.path())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is about to be killed may still have files on it.
        if let Err(error) = run("umount", &["-l"], self.folder.path()) {
            eprintln!("a disk stays mounted: {error}");
        }
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<(), String> {
    let mut command = if geteuid().is_root() {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        command
    };
    let output = command
        .args(arguments)
        .arg(folder)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
