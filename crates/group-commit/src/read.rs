//! Reads: a few connections, each read in one transaction, off the async workers.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::{Database, Error, open};

/// Reads that run at once; the others wait their turn.
const CONNECTIONS: usize = 4;

#[derive(Debug)]
pub(crate) struct Readers {
    /// One permit per connection: whoever holds one finds a connection in `idle`.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let idle = (0..CONNECTIONS)
            .map(|_| open::reader(path))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::new(idle),
        })
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put_back(&self, connection: Connection) {
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
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let readers = self.readers.clone();
        let span = tracing::Span::current();
        let permit = readers
            .permits
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        // The permit goes along: a caller who goes away does not free the connection early.
        let work = move || {
            let _permit = permit;
            span.in_scope(|| readers.run(query))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| E::from(Error::Unfinished))?
    }
}

impl Readers {
    fn run<T, E: From<Error>>(&self, query: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.take().ok_or(Error::Closed)?;
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Deferred)
                .map_err(Error::from)?;
            query(&transaction)
        }));
        self.put_back(connection);
        answer.unwrap_or_else(|_| Err(Error::Unfinished.into()))
    }
}
