//! Whether the database can be written, and one line of the log when that changes.

use std::mem::{Discriminant, discriminant};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use opentelemetry::global;

use crate::Error;

/// A cause that comes and goes is not written to the log more often than this.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// What the last writes met. Shared by the writer, which knows, and those who ask.
#[derive(Debug)]
pub(crate) struct Health {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: Option<Failing>,
    /// When each cause was last written to the log.
    said: Vec<(Discriminant<Error>, Instant)>,
}

#[derive(Debug)]
struct Failing {
    error: Error,
    since: Instant,
    /// Whether its begin was written to the log, so that its end is too.
    said: bool,
}

impl Health {
    /// Healthy, as far as is known.
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        let health = Arc::new(Self {
            path,
            state: Mutex::default(),
        });
        observe(Arc::downgrade(&health));
        health
    }

    /// Why writes fail, if they do.
    pub(crate) fn failing(&self) -> Option<Error> {
        Some(self.state().failing.as_ref()?.error.clone())
    }

    /// A write failed for a reason that the next one will meet too.
    pub(crate) fn failed(&self, error: Error) {
        let mut state = self.state();
        if let Some(failing) = &mut state.failing
            && discriminant(&failing.error) == discriminant(&error)
        {
            failing.error = error;
            return;
        }
        let said = state.may_say(&error);
        if said {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(
                database = %self.path.display(),
                cause,
                "the database cannot be written: {error}; {}. It is retried every second; this is logged once",
                error.remedy()
            );
        }
        // One outage, though its reason is another one now.
        let since = state
            .failing
            .as_ref()
            .map_or_else(Instant::now, |before| before.since);
        state.failing = Some(Failing { error, since, said });
    }

    /// A write was done.
    pub(crate) fn worked(&self) {
        if let Some(failing) = self.state().failing.take()
            && failing.said
        {
            tracing::info!(
                database = %self.path.display(),
                after = ?failing.since.elapsed(),
                "the database can be written again"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_say(&mut self, error: &Error) -> bool {
        self.said.retain(|(_, at)| at.elapsed() < SAID_EVERY);
        let kind = discriminant(error);
        let may = !self.said.iter().any(|(said, _)| *said == kind);
        if may {
            self.said.push((kind, Instant::now()));
        }
        may
    }
}

fn observe(health: Weak<Health>) {
    global::meter("group-commit")
        .u64_observable_gauge("database.writable")
        .with_description("Whether the last write to the database, or the last try, was done: 1, or 0. Are writers refused?")
        .with_callback(move |gauge| {
            if let Some(health) = health.upgrade() {
                gauge.observe(u64::from(health.failing().is_none()), &[]);
            }
        })
        .build();
}
