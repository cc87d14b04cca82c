//! Reads: a few connections, each read in one transaction, off the async workers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::TransactionBehavior;
use telemetry::TaskContext;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::open::File;
use crate::{Connection, Database, Error, park};

/// Reads that run at once; the others wait their turn.
const CONNECTIONS: u32 = 4;

#[derive(Debug)]
pub(crate) struct Readers {
    file: Arc<File>,
    /// One permit per connection.
    permits: Arc<Semaphore>,
    /// Those that nobody reads with. Whoever holds a permit and finds none here makes one.
    idle: Mutex<Vec<rusqlite::Connection>>,
}

impl Readers {
    pub(crate) fn open(file: &Arc<File>) -> Result<Self, Error> {
        let idle = (0..CONNECTIONS)
            .map(|_| file.reader())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file: Arc::clone(file),
            permits: Arc::new(Semaphore::new(CONNECTIONS as usize)),
            idle: Mutex::new(idle),
        })
    }

    /// Closes them all, once the reads under way are done; there are none until the guard is dropped. None, and nothing is
    /// closed, if they take too long.
    pub(crate) fn close(&self, limit: Duration) -> Option<SemaphorePermit<'_>> {
        let all = park::wait(self.permits.acquire_many(CONNECTIONS), limit)?.ok()?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Some(all)
    }

    fn take(&self) -> Result<rusqlite::Connection, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.file.reader(), Ok)
    }

    fn put_back(&self, connection: rusqlite::Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

impl Database {
    /// Runs `query` in one read transaction. What it sees was committed by one moment, and that moment is
    /// not before this call (rule 9: a source answers from a snapshot begun after the request arrived).
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Connection<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let readers = self.readers.clone();
        let mut caller = TaskContext::current();
        let permit = readers
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        // The permit goes along: a caller who goes away does not free the connection early.
        let work = move || {
            let _permit = permit;
            caller.enter(|| readers.run(query))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| E::from(Error::Unfinished))?
    }
}

impl Readers {
    fn run<T, E: From<Error>>(&self, query: impl FnOnce(&Connection<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.take()?;
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Deferred)
                .map_err(Error::from)?;
            query(&Connection::new(&transaction))
        }));
        self.put_back(connection);
        answer.unwrap_or_else(|_| Err(Error::Unfinished.into()))
    }
}
