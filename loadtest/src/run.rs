//! A command from its settings to its exit status.

use std::io::{self, Write as _};

use anyhow::Result;
use jiff::Timestamp;
use serde_json::json;

use crate::budget::{self, budget};
use crate::capacity::capacity;
use crate::compare::{Load, compare};
use crate::config::{Command, OutputConfig, ReportConfig, StackConfig};
use crate::output::{self, Output};
use crate::progress::Progress;
use crate::replay::{self, replay};
use crate::results::{Kind, Outcome, Results};
use crate::session::Session;
use crate::{baseline, describe, report, table, verdict};
use stack::StopSignals;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a verdict.
    Verdict(Outcome),
    /// Somebody wanted it to.
    Interrupted,
}

impl Ended {
    /// The status that the program ends with.
    pub const fn status(self) -> u8 {
        match self {
            Self::Verdict(Outcome::Pass) => 0,
            Self::Verdict(Outcome::Fail) => 1,
            // Not 2: that is a wrong call.
            Self::Verdict(Outcome::Undecided) => 3,
            // As shells tell it of a process that Ctrl-C has ended.
            Self::Interrupted => 130,
        }
    }
}

/// Does what a command says.
pub async fn run(command: Command) -> Result<Ended> {
    match command {
        Command::Compare(config) => {
            let load = Load::read(&config.load, &config.run.stack.traces)?;
            let work = async |session: &mut Session| compare(&config, &load, session).await;
            measured(Kind::Compare, &config.run.stack, &config.run.output, work).await
        }
        Command::Replay(config) => {
            let (trace, stack) = (replay::read(&config)?, replay::stack(&config)?);
            let work = async |session: &mut Session| replay(&config, &trace, session).await;
            measured(Kind::Replay, &stack, &config.run.output, work).await
        }
        Command::Capacity(config) => {
            let load = Load::read(&config.load, &config.run.stack.traces)?;
            let work = async |session: &mut Session| capacity(&config, &load, session).await;
            measured(Kind::Capacity, &config.run.stack, &config.run.output, work).await
        }
        Command::Budget(config) => {
            let load = Load::read(&config.load(), &config.stack.traces)?;
            let stack = budget::stack(&config);
            let work = async |session: &mut Session| budget(&config, &load, session).await;
            measured(Kind::Budget, &stack, &config.output, work).await
        }
        Command::Report(config) => report_again(&config),
    }
}

/// Opens a session, measures in it unless somebody interrupts, closes it whatever happened, and tells what was found.
async fn measured(
    kind: Kind,
    stack: &StackConfig,
    output: &OutputConfig,
    measure: impl AsyncFnOnce(&mut Session) -> Result<Results>,
) -> Result<Ended> {
    // Everything that can be missing is looked for before anything runs.
    let former = output.baseline.as_deref().map(output::read).transpose()?;
    // Another program that wants files says where.
    let kept = !output.json || output.out.is_some();
    let folder = kept.then(|| Output::open(output.out.as_deref(), kind, Timestamp::now()));
    let folder = folder.transpose()?;
    let mut signals = StopSignals::new()?;
    let progress = if output.json {
        Progress::json()
    } else {
        Progress::new()
    };
    let mut session = tokio::select! {
        session = Session::open(stack, progress.clone()) => session?,
        name = signals.next() => return Ok(interrupted(&progress, name)),
    };
    let outcome = tokio::select! {
        outcome = measure(&mut session) => outcome.map(Some),
        name = signals.next() => { interrupted(&progress, name); Ok(None) }
    };
    progress.end();
    tokio::select! {
        closed = session.close() => closed?,
        _ = signals.next() => {}
    }
    match outcome? {
        None => Ok(Ended::Interrupted),
        Some(mut results) => {
            results.verdict = verdict::of(&results);
            let keep = |report: &str| folder.map_or_else(|| Ok(Vec::new()), |it| it.write(&results, report));
            show(&results, former.as_ref(), output.json, keep)
        }
    }
}

fn interrupted(progress: &Progress, name: &str) -> Ended {
    progress.say(format!("{name}: stopping; the measurements so far are dropped"));
    Ended::Interrupted
}

/// Tells of a kept run again. The verdict is computed again: the rules may have changed since.
fn report_again(config: &ReportConfig) -> Result<Ended> {
    let mut results = output::read(&config.results)?;
    let former = config.baseline.as_deref().map(output::read).transpose()?;
    results.verdict = verdict::of(&results);
    show(&results, former.as_ref(), false, |report| {
        output::write_report(&config.results, report)
    })
}

/// Keeps the report first, then prints the run to standard output, and what was kept to standard error.
///
/// A baseline that cannot be compared with leaves the verdict as it is, and is said to be none.
fn show(
    results: &Results,
    former: Option<&Results>,
    as_json: bool,
    keep: impl FnOnce(&str) -> Result<Vec<String>>,
) -> Result<Ended> {
    let comparison = former.map(|former| baseline::compare(results, former));
    let told = match &comparison {
        Some(Ok(comparison)) => format!("\n{}", baseline::text(comparison)),
        Some(Err(why)) => format!("\nNo comparison with the baseline: {why}.\n"),
        None => String::new(),
    };
    let kept = keep(&report::html(results, comparison.and_then(Result::ok).as_ref()))?;
    if as_json {
        let injected = [describe::injected(&results.setup.injected)];
        let how: Vec<_> = injected.into_iter().chain(describe::sentences(results)).collect();
        output::print_json(&json!({"results": results, "how": how}));
    } else {
        // Who does not want to read on has closed the pipe; the results are kept.
        let _ = write!(io::stdout(), "{}{told}", table::render(results));
    }
    for line in kept {
        eprintln!("{line}");
    }
    Ok(Ended::Verdict(results.verdict.outcome))
}
