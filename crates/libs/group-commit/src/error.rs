//! What can go wrong, named for what happened.

use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};

/// Why a read or a write did not happen, or may not have.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no room for the write; nothing was done.
    #[error("the disk is full")]
    Full(#[source] Arc<rusqlite::Error>),
    /// Another process has locked the database for longer than one waits for it; nothing was done.
    #[error("another process has locked the database")]
    Locked(#[source] Arc<rusqlite::Error>),
    /// The file, or the disk it is on, can be read and not be written; nothing was done.
    #[error("the database is read-only")]
    ReadOnly(#[source] Arc<rusqlite::Error>),
    /// The file, or one of the two beside it, cannot be opened or made; nothing was done.
    #[error("the database's file cannot be opened")]
    CannotOpen(#[source] Arc<rusqlite::Error>),
    /// The disk failed. A write may have been done all the same.
    #[error("the disk failed")]
    Disk(#[source] Arc<rusqlite::Error>),
    /// At the path is another file than the one that was opened; what is kept in memory may not be true of it.
    #[error("the database's file was replaced: start this program again")]
    Replaced,
    /// The file was written by a newer program. It is left as it is.
    #[error(
        "the database is at version {found}, and this program knows versions up to {known}: start the newer program again, \
         or restore a backup that this one has written"
    )]
    Newer {
        /// What the file says.
        found: u32,
        /// How many migrations this program has.
        known: u32,
    },
    /// The database refused for another reason: a statement, or the commit of the group.
    #[error("the database refused")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// A column holds a value of another type than the program reads from it.
    #[error("the column {0} holds a value of another type")]
    Column(String),
    /// A number has more than 63 bits.
    #[error("a number is too large for the database")]
    TooLarge,
    /// More writes are waiting than the queue holds; nothing was done.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The job panicked; its savepoint was undone.
    #[error("the job did not finish")]
    Unfinished,
    /// Another write of the same group made the database undo them all.
    #[error("the database undid the group of writes")]
    Undone,
    /// The writer thread is gone.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let failure = error
            .sqlite_error()
            .map(|error| (error.code, error.extended_code));
        let error = Arc::new(error);
        match failure {
            // SQLite says that a disk is full also where the system says so (ENOSPC), except of the log's index.
            Some((ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE)) => Self::Full(error),
            Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => Self::Locked(error),
            Some((ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _)) => Self::ReadOnly(error),
            Some((ErrorCode::CannotOpen, _)) => Self::CannotOpen(error),
            Some((ErrorCode::SystemIoFailure, _)) => Self::Disk(error),
            _ => Self::Sqlite(error),
        }
    }
}

impl Error {
    /// Whether it is of the database's surroundings, and every write will meet it until somebody acts.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Locked(_)) || self.needs_new_connections()
    }

    /// Whether connections made before stay useless after the cause is gone: one to a read-only file cannot write ever after.
    pub(crate) fn needs_new_connections(&self) -> bool {
        matches!(
            self,
            Self::ReadOnly(_) | Self::CannotOpen(_) | Self::Disk(_) | Self::Replaced
        )
    }

    /// The error of the database that another error has among its causes.
    pub(crate) fn within<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }

    /// What whoever runs the program can do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Full(_) => "make room on the database's disk",
            Self::Locked(_) => {
                "end the process that holds the database's lock, such as a backup or a database shell"
            }
            Self::ReadOnly(_) | Self::CannotOpen(_) => {
                "make the database's disk, folder and files writable for this program"
            }
            Self::Disk(_) => "look at the system's log for errors of the database's disk",
            _ => "start this program again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extended: i32) -> Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None).into()
    }

    #[test]
    fn every_error_has_the_name_of_what_happened() {
        assert!(matches!(of(ffi::SQLITE_FULL), Error::Full(_)));
        assert!(matches!(of(ffi::SQLITE_IOERR_SHMSIZE), Error::Full(_)));
        assert!(matches!(of(ffi::SQLITE_BUSY_SNAPSHOT), Error::Locked(_)));
        assert!(matches!(of(ffi::SQLITE_READONLY_CANTINIT), Error::ReadOnly(_)));
        assert!(matches!(of(ffi::SQLITE_CANTOPEN), Error::CannotOpen(_)));
        assert!(matches!(of(ffi::SQLITE_IOERR_FSYNC), Error::Disk(_)));
        assert!(matches!(of(ffi::SQLITE_CONSTRAINT_UNIQUE), Error::Sqlite(_)));
    }
}
