//! Processes that live and die with the lab.

mod child;
mod processes;
mod program;

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::program::{Death, said};
use crate::console::Console;

pub use self::processes::Processes;
pub use self::program::{Layer, Program, State};

/// Starts processes, notices when one dies, and leaves none behind.
#[derive(Debug)]
pub struct Supervisor {
    /// The processes, for whoever starts, breaks or stops them: what ends through this handle is no failure.
    pub processes: Processes,
    deaths: mpsc::UnboundedReceiver<Death>,
}

impl Supervisor {
    /// A supervisor without children; their output goes to `console`.
    pub fn new(console: Console) -> Self {
        let (report, deaths) = mpsc::unbounded_channel();
        Self {
            processes: Processes::new(console, report),
            deaths,
        }
    }

    /// Waits for `work`, unless a child dies over it: then that is the error.
    pub async fn unless_one_dies<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            Some(death) = self.deaths.recv() => Err(death.into_error()),
            done = work => Ok(done),
        }
    }

    /// Waits until `ready` is, at most `limit` long.
    pub async fn until_ready(
        &mut self,
        name: &str,
        limit: Duration,
        ready: impl Future<Output = ()>,
    ) -> Result<()> {
        if self.unless_one_dies(timeout(limit, ready)).await?.is_ok() {
            return Ok(());
        }
        let last_lines = self.processes.last_lines(name);
        Err(anyhow!(
            "{name} was not ready after {} s; {}",
            limit.as_secs(),
            said(&last_lines)
        ))
    }
}
