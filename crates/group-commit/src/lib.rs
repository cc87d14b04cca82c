#![doc = include_str!("../README.md")]

mod open;
mod read;
mod write;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::read::Readers;
use crate::write::Job;

/// Why a read or a write did not happen, or may not have.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database said no: opening, a statement, or the commit of the group.
    #[error("the database refused")]
    Sqlite(#[source] Arc<rusqlite::Error>),
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
        Self::Sqlite(Arc::new(error))
    }
}

/// A SQLite file with one writer and a few readers. Cheap to clone; the writer thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Database {
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    commits: watch::Receiver<u64>,
}

impl Database {
    /// Opens the file, creates it if it is not there, and applies the migrations it has not seen, in order.
    pub fn open(path: &Path, migrations: &[&str]) -> Result<Self, Error> {
        let mut connection = open::writer(path)?;
        open::migrate(&mut connection, migrations)?;
        let readers = Arc::new(Readers::open(path)?);
        let (jobs, commits) = write::spawn(connection);
        Ok(Self {
            jobs,
            readers,
            commits,
        })
    }

    /// Changes after every commit, with the number of commits so far.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }
}
