//! Processes that live and die with the lab.

mod child;
mod processes;

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::console::Console;
pub use crate::supervisor::processes::{Processes, State};

/// A process to be started.
#[derive(Clone, Debug)]
pub struct Program {
    /// How its lines are marked and how messages call it.
    pub name: String,
    /// What to run.
    pub path: PathBuf,
    /// With which arguments.
    pub arguments: Vec<String>,
    /// What stands on what: programs of a higher layer are stopped before those of a lower one.
    pub layer: Layer,
}

/// The layers of the stack, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The broker, which all speak to.
    Broker,
    /// The services that own data; what they have not published is published at the next start.
    Source,
    /// The services that read the others.
    Edge,
    /// The page as it is usually written: it reads as those of the edge do, and counts for none of them.
    Naive,
}

/// How long a process may take to end after it was asked to: five seconds for requests under way, two for the last spans.
const PATIENCE: Duration = Duration::from_secs(8);

/// Starts processes, notices when one dies, and leaves none behind.
#[derive(Debug)]
pub struct Supervisor {
    processes: Processes,
    deaths: mpsc::UnboundedReceiver<Death>,
}

/// A child ended that nobody had asked to.
#[derive(Debug)]
struct Death {
    name: String,
    status: ExitStatus,
    last_lines: String,
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

    /// The processes, for whoever may break them: what ends through this handle is no failure.
    pub fn processes(&self) -> Processes {
        self.processes.clone()
    }

    /// Starts a process: see [`Processes::start`].
    pub fn start(&self, program: &Program) -> Result<()> {
        self.processes.start(program)
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

    /// Asks every process to end, the highest layer first, and kills those that do not within eight seconds.
    ///
    /// From now on nothing can be started.
    pub async fn stop(&mut self) {
        self.processes.stop().await;
    }

    /// When cancelled, [`stop`](Self::stop) is done with waiting and kills.
    pub fn hurry(&self) -> CancellationToken {
        self.processes.hurry()
    }
}

impl Death {
    fn into_error(self) -> anyhow::Error {
        anyhow!("{} died ({}); {}", self.name, self.status, said(&self.last_lines))
    }
}

fn said(last_lines: &str) -> String {
    if last_lines.is_empty() {
        "it said nothing".to_owned()
    } else {
        format!("its last lines:\n{last_lines}")
    }
}
