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

use super::program::{Death, Layer, Program, State};
use crate::console::Console;

/// How long a process may take to end after it was asked to: five seconds for requests under way, two for the last spans.
const PATIENCE: Duration = Duration::from_secs(8);

/// How many lines are kept for the message about a death.
const KEPT_LINES: usize = 12;

/// How long the last output may take to arrive after the process ended: something it started may still hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running process, in the hands of its own task.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) layer: Layer,
    pub(super) id: Option<u32>,
    pub(super) state: State,
    orders: mpsc::UnboundedSender<Order>,
    lines: LastLines,
    task: JoinHandle<()>,
}

/// What a child's task is told. It alone sends signals: it knows whether the number is still this process's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// Stand still, with every connection open.
    Pause,
    /// Go on.
    Resume,
    /// End in good order, within [`PATIENCE`].
    End,
    /// End at once, as by a power cut.
    Kill,
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

        let id = process.id();
        let (orders, obeyed) = mpsc::unbounded_channel();
        let watched = Watched {
            process,
            output,
            orders: obeyed,
            hurry: hurry.clone(),
        };
        let task = tokio::spawn(watched.live(program.name.clone(), lines.clone(), report.clone()));
        Ok(Self {
            name: program.name.clone(),
            layer: program.layer,
            id,
            state: State::Running,
            orders,
            lines,
            task,
        })
    }

    pub(super) fn last_lines(&self) -> String {
        self.lines.text()
    }

    pub(super) fn order(&self, order: Order) {
        // A task that has ended has reported the death of its process, or will.
        let _ = self.orders.send(order);
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
            command.args(["--pdeathsig", "KILL"]).arg(&program.path);
            command
        }
        None => Command::new(&program.path),
    };
    command
        .args(&program.arguments)
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            format!("service.instance.id={}", program.name),
        )
        // Spans leave twice a second, and not every five: who clicks on a trace is looking at it now.
        .env("OTEL_BSP_SCHEDULE_DELAY", "500")
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
    orders: mpsc::UnboundedReceiver<Order>,
    hurry: CancellationToken,
}

impl Watched {
    /// Reports the end of the process, unless it was ordered.
    async fn live(mut self, name: String, lines: LastLines, report: mpsc::UnboundedSender<Death>) {
        let died = loop {
            tokio::select! {
                status = self.process.wait() => break status.ok(),
                Some(order) = self.orders.recv() => match order {
                    Order::Pause => self.signal(Signal::STOP),
                    Order::Resume => self.signal(Signal::CONT),
                    Order::End => {
                        self.terminate().await;
                        break None;
                    }
                    Order::Kill => {
                        self.kill().await;
                        break None;
                    }
                },
            }
        };
        let _ = timeout(LAST_WORDS, self.drain()).await;
        if let Some(status) = died {
            let _ = report.send(Death {
                name,
                status,
                last_lines: lines.text(),
            });
        }
    }

    async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        // A paused process would be asked in vain.
        self.signal(Signal::CONT);
        let ended: Option<std::io::Result<ExitStatus>> = tokio::select! {
            status = self.process.wait() => Some(status),
            () = sleep(PATIENCE) => None,
            () = self.hurry.cancelled() => None,
        };
        if ended.is_none() {
            self.kill().await;
        }
    }

    async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait().await;
    }

    /// Signals the process and what it started.
    fn signal(&self, signal: Signal) {
        // As long as it has an id it was not waited for, so its number cannot be another's.
        if let Some(group) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, signal);
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
