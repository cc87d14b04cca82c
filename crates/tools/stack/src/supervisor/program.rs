//! What a supervisor starts, and what it knows of it.

use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::anyhow;
use serde::Serialize;

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

/// How a process is, as far as the lab has decided it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not started, or ended by the lab.
    #[default]
    Down,
    /// Started, and not told otherwise.
    Running,
    /// Standing still, its connections open.
    Paused,
}

/// A child ended that nobody had asked to.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) name: String,
    pub(super) status: ExitStatus,
    pub(super) last_lines: String,
}

impl Death {
    pub(super) fn into_error(self) -> anyhow::Error {
        anyhow!("{} died ({}); {}", self.name, self.status, said(&self.last_lines))
    }
}

/// What a process last said, for the message about it.
pub(super) fn said(last_lines: &str) -> String {
    if last_lines.is_empty() {
        "it said nothing".to_owned()
    } else {
        format!("its last lines:\n{last_lines}")
    }
}
