//! Writes: a thread that takes every waiting job, and syncs once for all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument as _;

use crate::{Database, Error, open};

/// Writes that may wait before callers are told that the database is overloaded.
const WAITING: usize = 1024;
/// Jobs that share one commit. Larger groups gain nothing and make the first of them wait.
const GROUP: usize = 128;

/// Pages of the write-ahead log, 64 MiB of them, above which its readers are waited for so that it can begin anew.
const LOG_PAGES: i64 = 16_384;
/// Commits between two looks at the length of the log.
const LOOK_EVERY: u64 = 256;
/// How long those readers are waited for.
const READERS_MAY_TAKE: Duration = Duration::from_millis(200);

/// A mutation with its types erased: runs on the writer's connection, leaves behind how to answer its caller.
/// Without a connection it does not run: its group had already failed.
pub(crate) type Job = Box<dyn FnOnce(Option<&Connection>) -> Ran + Send>;

/// What a job left behind.
pub(crate) struct Ran {
    /// False: undo this job's savepoint.
    keep: bool,
    /// Tells the caller, once the fate of the group is known.
    answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

pub(crate) fn spawn(connection: Connection) -> (mpsc::Sender<Job>, watch::Receiver<u64>) {
    let (jobs, waiting) = mpsc::channel(WAITING);
    let (committed, commits) = watch::channel(0);
    std::thread::spawn(move || run(connection, waiting, &committed));
    (jobs, commits)
}

fn run(mut connection: Connection, mut waiting: mpsc::Receiver<Job>, committed: &watch::Sender<u64>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut commits: u64 = 0;
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut ran = Vec::with_capacity(group.len());
        let mut jobs = group.drain(..);
        let fate = commit_together(&mut connection, &mut jobs, &mut ran);
        ran.extend(jobs.map(|job| job(None)));
        if fate.is_ok() {
            committed.send_modify(|count| *count += 1);
        }
        for job in ran {
            (job.answer)(fate.clone());
        }
        commits += 1;
        if commits.is_multiple_of(LOOK_EVERY)
            && let Err(error) = bound_log(&connection)
        {
            tracing::warn!(%error, "the write-ahead log cannot be cut");
        }
    }
}

/// SQLite begins the log anew only at a commit that meets no reader of it: under steady reads it would grow for ever.
fn bound_log(connection: &Connection) -> rusqlite::Result<()> {
    let pages: i64 = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
    if pages > LOG_PAGES {
        connection.busy_timeout(READERS_MAY_TAKE)?;
        let cut = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        connection.busy_timeout(open::BUSY_TIMEOUT)?;
        cut?;
    }
    Ok(())
}

fn commit_together(
    connection: &mut Connection,
    group: &mut impl Iterator<Item = Job>,
    ran: &mut Vec<Ran>,
) -> Result<(), Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        let savepoint = transaction.savepoint()?;
        let outcome = job(Some(&savepoint));
        // A full disk makes SQLite undo the whole transaction. The job that met it knows why; the others are told that.
        if savepoint.is_autocommit() {
            if outcome.keep {
                ran.push(outcome);
            } else {
                (outcome.answer)(Ok(()));
            }
            return Err(Error::Undone);
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

impl Database {
    /// Runs `job` in the next group and answers once that group is on disk. An error of the job undoes the job.
    ///
    /// The caller may go away; the job runs all the same.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let span = commit_span();
        let (reply, answer) = oneshot::channel();
        let job = erase(job, span.clone(), reply);
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        answer
            .instrument(span)
            .await
            .map_err(|_| E::from(Error::Unfinished))?
    }
}

/// A commit is a step of its caller's trace; a caller without one (a relay tidying up) starts none.
fn commit_span() -> tracing::Span {
    if tracing::Span::current().is_none() {
        return tracing::Span::none();
    }
    tracing::info_span!("commit", db.system.name = "sqlite")
}

fn erase<T, E, F>(job: F, span: tracing::Span, reply: oneshot::Sender<Result<T, E>>) -> Job
where
    F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    Box::new(move |connection| {
        // In the caller's span, so that what the job stores of its trace is the writer's.
        let result = connection.map_or_else(
            || Err(Error::Undone.into()),
            |connection| {
                catch_unwind(AssertUnwindSafe(|| span.in_scope(|| job(connection))))
                    .unwrap_or_else(|_| Err(Error::Unfinished.into()))
            },
        );
        Ran {
            keep: result.is_ok(),
            answer: Box::new(move |fate| {
                // Nobody listens any more: the caller went away, the work is done.
                let _ = reply.send(fate.map_err(E::from).and(result));
            }),
        }
    })
}
