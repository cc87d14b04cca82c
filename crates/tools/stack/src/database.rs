//! Where the sources' databases are.

use std::path::{Path, PathBuf};

use crate::Source;

/// The file of a source's database in this folder.
pub fn database_in(folder: &Path, source: Source) -> PathBuf {
    folder.join(format!("{source}.db"))
}

/// The files of a database: its own, its log, and what the log's readers share. One without the others is damage.
pub fn database_files(database: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", database.display())))
}
