//! Keeps the write-ahead log short.
//!
//! SQLite begins the log anew only at a commit that meets no reader of it, and never makes its file shorter by itself: under
//! steady reads, or beside a backup that reads for long, it grows, and would stay so.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::global;
use rusqlite::Connection;

/// Bytes, 64 MiB, above which the log is cut.
pub(crate) const BOUND: u64 = 64 * 1024 * 1024;
/// Bytes above which a person has to know: something outside of this program keeps it from being cut.
const ALARMING: u64 = 4 * BOUND;
/// How long its readers are waited for then; ours take milliseconds.
const READERS_MAY_TAKE: Duration = Duration::from_millis(200);

/// The log's file, as of the last look.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    size: Arc<AtomicU64>,
    /// Whether it was said that it is too long.
    said: bool,
}

impl Log {
    /// The log of this database.
    pub(crate) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let size = Arc::new(AtomicU64::new(0));
        observe(&size);
        Self {
            path: path.into(),
            size,
            said: false,
        }
    }

    /// Whether it was too long at the last look.
    pub(crate) fn is_long(&self) -> bool {
        self.size.load(Ordering::Relaxed) > BOUND
    }

    /// Looks at the file, and cuts it if it is too long and nobody needs it.
    pub(crate) fn look(&mut self, connection: &Connection) {
        if self.measure() > BOUND {
            let cut = cut(connection);
            let size = self.measure();
            if size > ALARMING && !std::mem::replace(&mut self.said, true) {
                tracing::warn!(
                    log = %self.path.display(),
                    bytes = size,
                    error = cut.err().map(tracing::field::display),
                    "the database's write-ahead log cannot be cut, and grows with every write: end whatever reads the database \
                     from outside this program, such as a backup or a database shell"
                );
            }
        }
        if !self.is_long() && std::mem::take(&mut self.said) {
            tracing::info!(log = %self.path.display(), "the database's write-ahead log is short again");
        }
    }

    fn measure(&self) -> u64 {
        let size = fs::metadata(&self.path).map_or(0, |file| file.len());
        self.size.store(size, Ordering::Relaxed);
        size
    }
}

/// Copies what may be copied to the database; if that is nearly all, waits for the readers of the rest and empties the file.
fn cut(connection: &Connection) -> rusqlite::Result<()> {
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let (pages, copied): (i64, i64) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get(1)?, row.get(2)?))
    })?;
    // Somebody reads an old state, and will not be ready in a moment: writes would wait for nothing.
    if u64::try_from(pages - copied).unwrap_or(0) * page > BOUND {
        return Ok(());
    }
    connection.busy_timeout(READERS_MAY_TAKE)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn observe(size: &Arc<AtomicU64>) {
    let size = Arc::clone(size);
    global::meter("group-commit")
        .u64_observable_gauge("database.log.size")
        .with_description(
            "The write-ahead log's file. Does something outside hold an old state of the database?",
        )
        .with_unit("By")
        .with_callback(move |gauge| gauge.observe(size.load(Ordering::Relaxed), &[]))
        .build();
}
