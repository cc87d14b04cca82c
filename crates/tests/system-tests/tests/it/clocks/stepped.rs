//! A wall clock of a test's own, which can be set while processes run. The clock of the machine stays as it is.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use stack::Environment;

/// Where Debian and its relatives install the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// The wall clock of some processes, by libfaketime. Their monotonic clock is the machine's.
#[derive(Debug)]
pub(crate) struct SteppedClock {
    library: PathBuf,
    folder: TempDir,
}

impl SteppedClock {
    /// A clock that is this many seconds ahead of the machine's. None, if libfaketime is not installed.
    ///
    /// # Panics
    /// When no temporary file can be written.
    pub(crate) fn ahead_by(seconds: u8) -> Option<Self> {
        let library = LIBRARIES
            .into_iter()
            .map(PathBuf::from)
            .find(|file| file.exists())?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let clock = Self { library, folder };
        clock.set(&format!("+{seconds}"));
        Some(clock)
    }

    /// Sets it to the time of the machine.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub(crate) fn set_right(&self) {
        self.set("+0");
    }

    /// For the processes that go by it.
    pub(crate) fn environment(&self) -> Environment {
        let file = self.file().display().to_string();
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            // The file is read at every look at the clock.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn set(&self, offset: &str) {
        // Renamed, so that nobody reads a half.
        let next = self.folder.path().join("next");
        fs::write(&next, offset).expect("a file can be written");
        fs::rename(next, self.file()).expect("a file can be renamed");
    }

    fn file(&self) -> PathBuf {
        Path::new(self.folder.path()).join("clock")
    }
}
