#![doc = include_str!("../README.md")]

mod connection;
mod error;
mod health;
mod log;
mod open;
mod park;
mod read;
mod value;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::health::Health;
use crate::open::File;
use crate::read::Readers;
use crate::write::Job;
use crate::writer::Writer;

pub use connection::{Connection, Row, Statement};
pub use error::Error;
pub use value::{FromValue, Parameter, Value};

/// A SQLite file with one writer and a few readers. Cheap to clone; the writer thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Database {
    jobs: mpsc::Sender<Job>,
    readers: Arc<Readers>,
    commits: watch::Receiver<u64>,
    health: Arc<Health>,
}

impl Database {
    /// Opens the file, creates it if it is not there, and applies the migrations it has not seen, in order.
    ///
    /// A file that is read-only is opened if there is nothing to apply: it can be read, and is written once it may be.
    pub fn open(path: &Path, migrations: &[&str]) -> Result<Self, Error> {
        let (file, connection) = File::open(path, migrations)?;
        let file = Arc::new(file);
        let readers = Arc::new(Readers::open(&file)?);
        let health = Health::new(path.to_owned());
        let writer = Writer::new(connection, &file, &readers, &health)?;
        let (jobs, commits) = writer.spawn();
        Ok(Self {
            jobs,
            readers,
            commits,
            health,
        })
    }

    /// Waits until the writer thread is gone, which by itself it never is: from then on every write is refused.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let jobs = self.jobs.clone();
        async move { jobs.closed().await }
    }

    /// Changes after every commit, with the number of commits so far.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Whether writes are done, as far as is known: the reason why not is the last one's, and is looked at again every second.
    pub fn writable(&self) -> Result<(), Error> {
        self.health.failing().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_is_closed_when_its_writer_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a.db"), &[]).unwrap();
        let closed = tokio::time::timeout(std::time::Duration::from_millis(1), database.closed());
        assert!(closed.await.is_err(), "its writer waits for work");
        let (jobs, writer) = mpsc::channel(1);
        drop(writer);
        Database { jobs, ..database }.closed().await;
    }
}
