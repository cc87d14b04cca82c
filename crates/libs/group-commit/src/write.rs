//! Writes: jobs that wait for the writer, and what it tells their callers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use telemetry::TaskContext;
use tokio::sync::{mpsc, oneshot};

use crate::{Connection, Database, Error};

/// A mutation with its types erased: runs on the writer's connection, leaves behind how to answer its caller.
/// Without a connection it does not run: its group had already failed.
pub(crate) type Job = Box<dyn FnOnce(Option<&Connection<'_>>) -> Ran + Send>;

/// What a job left behind.
pub(crate) struct Ran {
    /// False: undo this job's savepoint.
    pub(crate) keep: bool,
    /// Why it failed, if the database is why.
    pub(crate) failure: Option<Error>,
    /// Tells the caller, once the fate of the group is known.
    pub(crate) answer: Box<dyn FnOnce(Result<(), Error>) + Send>,
}

impl Database {
    /// Runs `job` in the next group and answers once that group is on disk. An error of the job undoes the job.
    ///
    /// The caller may go away; the job runs all the same.
    pub async fn write<T, E, F>(&self, job: F) -> Result<T, E>
    where
        F: FnOnce(&Connection<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: std::error::Error + From<Error> + Send + 'static,
    {
        let commit = TaskContext::of(commit_span());
        let (reply, answer) = oneshot::channel();
        let job = erase(job, commit.clone(), reply);
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        commit.run(answer).await.map_err(|_| E::from(Error::Unfinished))?
    }
}

/// A commit is a step of its caller's trace; a caller without one (a relay tidying up) starts none.
fn commit_span() -> tracing::Span {
    if tracing::Span::current().is_none() {
        return tracing::Span::none();
    }
    tracing::info_span!("commit", db.system.name = "sqlite", db.operation.name = "COMMIT")
}

fn erase<T, E, F>(job: F, mut commit: TaskContext, reply: oneshot::Sender<Result<T, E>>) -> Job
where
    F: FnOnce(&Connection<'_>) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: std::error::Error + From<Error> + Send + 'static,
{
    Box::new(move |connection| {
        // In the caller's context, so that what the job stores of its trace is the writer's.
        let result = connection.map_or_else(
            || Err(Error::Undone.into()),
            |connection| {
                catch_unwind(AssertUnwindSafe(|| commit.enter(|| job(connection))))
                    .unwrap_or_else(|_| Err(Error::Unfinished.into()))
            },
        );
        Ran {
            keep: result.is_ok(),
            failure: result
                .as_ref()
                .err()
                .and_then(|error| Error::within(error))
                .cloned(),
            answer: Box::new(move |fate| {
                // Nobody listens any more: the caller went away, the work is done.
                let _ = reply.send(fate.map_err(E::from).and(result));
            }),
        }
    })
}
