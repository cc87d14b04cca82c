//! One process: its output, its end.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Death, Layer, PATIENCE, Program};
use crate::console::Console;

/// How many lines are kept for the message about a death.
const KEPT_LINES: usize = 12;

/// How long the last output may take to arrive after the process ended: something it started may still hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running process, in the hands of its own task.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) layer: Layer,
    end: CancellationToken,
    lines: LastLines,
    task: JoinHandle<()>,
}

impl Child {
    pub(super) fn start(
        program: &Program,
        setpriv: Option<&Path>,
        console: &Console,
        report: &mpsc::UnboundedSender<Death>,
        hurry: &CancellationToken,
    ) -> Result<Self> {
        let mut process = command(program, setpriv).spawn()?;
        let lines = LastLines::default();
        let mut output = JoinSet::new();
        let stdout = process.stdout.take().context("standard output is piped")?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        output.spawn(pass_on(
            stdout,
            program.name.clone(),
            console.clone(),
            lines.clone(),
        ));
        output.spawn(pass_on(
            stderr,
            program.name.clone(),
            console.clone(),
            lines.clone(),
        ));

        let end = CancellationToken::new();
        let watched = Watched {
            process,
            output,
            end: end.clone(),
            hurry: hurry.clone(),
        };
        let task = tokio::spawn(watched.live(program.name.clone(), lines.clone(), report.clone()));
        Ok(Self {
            name: program.name.clone(),
            layer: program.layer,
            end,
            lines,
            task,
        })
    }

    pub(super) fn last_lines(&self) -> String {
        self.lines.text()
    }

    pub(super) fn ask_to_end(&self) {
        self.end.cancel();
    }

    pub(super) async fn ended(self) {
        // The task cannot fail; if it did, dropping it has killed the process.
        let _ = self.task.await;
    }
}

/// Its own process group, so that Ctrl-C in the terminal reaches the lab alone, which then stops things in order.
fn command(program: &Program, setpriv: Option<&Path>) -> Command {
    let mut command = match setpriv {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM"]).arg(&program.path);
            command
        }
        None => Command::new(&program.path),
    };
    command
        .args(&program.arguments)
        .process_group(0)
        .kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a child's task owns.
struct Watched {
    process: tokio::process::Child,
    output: JoinSet<()>,
    end: CancellationToken,
    hurry: CancellationToken,
}

impl Watched {
    async fn live(mut self, name: String, lines: LastLines, report: mpsc::UnboundedSender<Death>) {
        tokio::select! {
            status = self.process.wait() => {
                let _ = timeout(LAST_WORDS, self.drain()).await;
                if let Ok(status) = status {
                    let _ = report.send(Death { name, status, last_lines: lines.text() });
                }
            }
            () = self.end.cancelled() => {
                self.terminate().await;
                let _ = timeout(LAST_WORDS, self.drain()).await;
            }
        }
    }

    async fn terminate(&mut self) {
        // The process was not waited for yet, so its number cannot be another's.
        let Some(group) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return;
        };
        let _ = kill_process_group(group, Signal::TERM);
        let ended: Option<std::io::Result<ExitStatus>> = tokio::select! {
            status = self.process.wait() => Some(status),
            () = sleep(PATIENCE) => None,
            () = self.hurry.cancelled() => None,
        };
        if ended.is_none() {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.process.wait().await;
        }
    }

    async fn drain(&mut self) {
        while self.output.join_next().await.is_some() {}
    }
}

/// The newest lines of a process's output.
#[derive(Clone, Debug, Default)]
struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Reads bytes, not text: a child that writes half a character must not stop its own output.
async fn pass_on(output: impl AsyncRead + Unpin, name: String, console: Console, lines: LastLines) {
    let mut output = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = output.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        console.line(&name, &line);
        lines.push(line);
    }
}
