//! The tasks that a service depends on, beside its routes: if one of them ends, so does the service.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::serve::{ServeOptions, serve};

/// How long the tasks may take to end after the stop; then they are dropped where they wait.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Why a service ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error("cannot serve")]
    Listener(#[source] io::Error),
    /// A task ended that the service does not go on without.
    #[error("{task} ended, and the service cannot run without it; start it again")]
    Ended {
        /// What the task is called.
        task: &'static str,
        /// How it panicked, if it did.
        #[source]
        panic: Option<JoinError>,
    },
}

/// Tasks that run beside the routes of a service, and the stop that ends them all.
///
/// A task that panics ends alone: nobody is told, and the service would answer on, ready as ever, without what the task
/// did. So the service is stopped then, its requests are answered, and [`Background::serve`] says which task it was. To start
/// a process anew is the work of whoever runs it.
///
/// ```no_run
/// # use http_edge::{Background, ServeError};
/// # async fn publish(stop: tokio_util::sync::CancellationToken) {}
/// # async fn main_(listener: tokio::net::TcpListener, router: axum::Router) -> Result<(), ServeError> {
/// let mut background = Background::until(&http_edge::stop_on_signal());
/// background.spawn("the publisher", publish(background.stop()));
/// background.serve(listener, router, Default::default()).await
/// # }
/// ```
#[derive(Debug)]
pub struct Background {
    tasks: JoinSet<()>,
    names: HashMap<Id, Name>,
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    task: &'static str,
    /// Whether the service goes on without it.
    optional: bool,
}

impl Background {
    /// No tasks yet, of a service that `stop` ends.
    pub fn until(stop: &CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            stop: stop.child_token(),
        }
    }

    /// Cancelled when the service ends, for whatever reason.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a task that ends when [`stop`](Self::stop) says so, and not before.
    pub fn spawn(&mut self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.start(task, false, work);
    }

    /// Starts a task that knows no end: at the stop it is dropped where it waits.
    pub fn spawn_endless(&mut self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop();
        self.spawn(task, async move { _ = stop.run_until_cancelled(work).await });
    }

    /// Starts a task that ends by itself, and that the service can do without: if it panics, the log says so.
    pub fn spawn_optional(&mut self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop();
        self.start(
            task,
            true,
            async move { _ = stop.run_until_cancelled(work).await },
        );
    }

    fn start(&mut self, task: &'static str, optional: bool, work: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(work).id();
        self.names.insert(id, Name { task, optional });
    }

    /// [Serves](serve()) until the stop, and until the tasks have ended too.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        router: Router,
        options: ServeOptions,
    ) -> Result<(), ServeError> {
        let stop = self.stop();
        let serving = async {
            let served = serve(listener, router, options, stop.clone()).await;
            stop.cancel(); // if it was the listener that failed
            served
        };
        let (served, ended) = tokio::join!(serving, self.watch());
        ended.and(served.map_err(ServeError::Listener))
    }

    /// Waits until every task has ended; the first that ends before its time ends the others and the service.
    async fn watch(&mut self) -> Result<(), ServeError> {
        let stop = self.stop();
        let mut too_long = std::pin::pin!(async {
            stop.cancelled().await;
            sleep(END_WITHIN).await;
        });
        let mut result = Ok(());
        loop {
            let ended = tokio::select! {
                ended = self.tasks.join_next_with_id() => ended,
                () = &mut too_long => {
                    tracing::warn!(after = ?END_WITHIN, tasks = self.tasks.len(), "stopping with tasks under way");
                    return result;
                }
            };
            let Some(ended) = ended else { return result };
            let (id, panic) = match ended {
                Ok((id, ())) => (id, None),
                Err(panic) => (panic.id(), Some(panic)),
            };
            result = result.and(self.judge(id, panic));
        }
    }

    /// Whether a task might end like this, and now.
    fn judge(&self, id: Id, panic: Option<JoinError>) -> Result<(), ServeError> {
        let Some(&Name { task, optional }) = self.names.get(&id) else {
            return Ok(());
        };
        match panic {
            None if optional || self.stop.is_cancelled() => Ok(()),
            Some(panic) if optional => {
                tracing::error!(task, %panic, "a task panicked; the service runs on without it");
                Ok(())
            }
            panic => {
                let panicked = panic.as_ref().map(tracing::field::display);
                tracing::error!(
                    task,
                    panic = panicked,
                    "a task ended that the service cannot run without, so the service stops; start it again"
                );
                self.stop.cancel();
                Err(ServeError::Ended { task, panic })
            }
        }
    }
}
