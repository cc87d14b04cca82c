//! The writer: a thread that takes every waiting job, and syncs once for all of them. Between them it keeps the log short, and
//! tries again what failed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, MAIN_DB, TransactionBehavior};
use tokio::sync::{mpsc, watch};

use crate::health::Health;
use crate::log::Log;
use crate::open::{self, File};
use crate::read::Readers;
use crate::write::{Job, Ran};
use crate::{Error, park};

/// Writes that may wait before callers are told that the database is overloaded.
const WAITING: usize = 1024;
/// Jobs that share one commit. Larger groups gain nothing and make the first of them wait.
const GROUP: usize = 128;
/// From a write to the look at what it left, and from one look to the next while something is wrong.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a lock of another process is waited for once it was waited for in vain: callers pile up behind it.
const STILL_LOCKED_AFTER: Duration = Duration::from_millis(250);
/// How long the reads under way may take when all connections are to be made anew.
const READS_MAY_TAKE: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    /// Or why there is none.
    connection: Result<Connection, Error>,
    file: Arc<File>,
    readers: Arc<Readers>,
    health: Arc<Health>,
    log: Log,
    committed: watch::Sender<u64>,
    /// When to look at the log, or to try again. None while all is well and nothing was written since.
    look_at: Option<Instant>,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        file: &Arc<File>,
        readers: &Arc<Readers>,
        health: &Arc<Health>,
    ) -> Result<Self, Error> {
        // SQLite opens what it may not write for reading.
        if connection.is_readonly(MAIN_DB)? {
            health.failed(read_only());
        }
        Ok(Self {
            connection: Ok(connection),
            log: Log::of(file.path()),
            file: Arc::clone(file),
            readers: Arc::clone(readers),
            health: Arc::clone(health),
            committed: watch::Sender::new(0),
            // At once, for what an earlier process left.
            look_at: Some(Instant::now()),
        })
    }

    pub(crate) fn spawn(self) -> (mpsc::Sender<Job>, watch::Receiver<u64>) {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let commits = self.committed.subscribe();
        std::thread::spawn(move || self.run(waiting));
        (jobs, commits)
    }

    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            let taken = match self.look_at {
                None => Some(waiting.blocking_recv_many(&mut group, GROUP)),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    park::wait(waiting.recv_many(&mut group, GROUP), left)
                }
            };
            let Some(taken) = taken else {
                self.look();
                continue;
            };
            if taken == 0 {
                return;
            }
            self.run_together(&mut group);
            match self.look_at {
                None => self.look_at = Some(Instant::now() + LOOK_EVERY),
                Some(at) if at <= Instant::now() => self.look(),
                Some(_) => {}
            }
        }
    }

    /// Runs the jobs, commits them together, and tells their callers.
    fn run_together(&mut self, group: &mut Vec<Job>) {
        let mut ran = Vec::with_capacity(group.len());
        let mut jobs = group.drain(..);
        let before = self.changes();
        let fate = match &mut self.connection {
            Ok(connection) => {
                let patience = self
                    .health
                    .failing()
                    .map_or(open::BUSY_TIMEOUT, |_| STILL_LOCKED_AFTER);
                let set = connection.busy_timeout(patience).map_err(Error::from);
                set.and_then(|()| commit_together(connection, &mut jobs, &mut ran))
            }
            Err(error) => Err(error.clone()),
        };
        ran.extend(jobs.map(|job| job(None)));
        let failures = ran.iter().filter_map(|job| job.failure.clone());
        let outage = fate
            .clone()
            .err()
            .into_iter()
            .chain(failures)
            .find(Error::is_outage);
        if let Some(error) = outage {
            self.health.failed(error);
        } else if fate.is_ok() && self.changes() > before {
            self.health.worked();
        }
        if fate.is_ok() {
            self.committed.send_modify(|count| *count += 1);
        }
        for job in ran {
            (job.answer)(fate.clone());
        }
    }

    /// Rows changed by this connection so far: a commit without any proves nothing.
    fn changes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::total_changes)
    }

    fn look(&mut self) {
        if let Some(error) = self.health.failing() {
            match self.try_again(&error) {
                Ok(()) => self.health.worked(),
                Err(error) if error.is_outage() => self.health.failed(error),
                Err(error) => tracing::debug!(%error, "the database is not tried"),
            }
        }
        if let Ok(connection) = &self.connection {
            self.log.look(connection);
        }
        let again = self.log.is_long() || self.health.failing().is_some();
        self.look_at = again.then(|| Instant::now() + LOOK_EVERY);
    }

    /// Writes what changes nothing, on new connections where the old ones are of no use.
    fn try_again(&mut self, failed: &Error) -> Result<(), Error> {
        if failed.needs_new_connections() {
            self.open_again()?;
        }
        let connection = self.connection.as_mut().map_err(|error| error.clone())?;
        connection.busy_timeout(STILL_LOCKED_AFTER)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = open::version(&transaction)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit().map_err(Error::from)
    }

    /// Makes all connections anew if one of them could write. All: what SQLite found out about the file when it was opened, it
    /// keeps as long as the process has any connection to it.
    fn open_again(&mut self) -> Result<(), Error> {
        if self.file.writer()?.is_readonly(MAIN_DB)? {
            return Err(read_only());
        }
        let Some(_none_reads) = self.readers.close(READS_MAY_TAKE) else {
            return Ok(());
        };
        // Closed before the next one is opened.
        self.connection = Err(Error::Closed);
        self.connection = self.file.writer();
        Ok(())
    }
}

fn read_only() -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
    rusqlite::Error::SqliteFailure(code, None).into()
}

fn commit_together(
    connection: &mut Connection,
    group: &mut impl Iterator<Item = Job>,
    ran: &mut Vec<Ran>,
) -> Result<(), Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        let savepoint = transaction.savepoint()?;
        let outcome = job(Some(&crate::Connection::new(&savepoint)));
        // A full disk makes SQLite undo the whole transaction. The job that met it knows why, and so do the others then.
        if savepoint.is_autocommit() {
            let why = outcome.failure.clone().unwrap_or(Error::Undone);
            if outcome.keep {
                ran.push(outcome);
            } else {
                (outcome.answer)(Ok(()));
            }
            return Err(why);
        }
        let keep = outcome.keep;
        ran.push(outcome);
        if keep {
            savepoint.commit()?;
        } else {
            savepoint.finish()?;
        }
    }
    transaction.commit().map_err(Error::from)
}
