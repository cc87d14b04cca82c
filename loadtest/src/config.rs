//! Every setting: a flag, a default, and why.

mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use stack::{AGES_SECONDS, PerSource, WAITS_MS};

use crate::client::Addresses;
use crate::results::Injected;
use crate::stack::Which;
use crate::strategy::Strategy;
use crate::workload::TraceName;

pub use values::MixName;

/// What `--quick` chooses where nothing else is asked for.
mod quick {
    pub(super) const RATE: &str = "120";
    pub(super) const ROUNDS: &str = "4";
    pub(super) const TURN_SECONDS: &str = "0.5";
    pub(super) const ACCOUNTS: &str = "1";
    /// So many writes that each turn has some.
    pub(super) const MIX: &str = "20";
}

/// Below which an answer is within the budget, as the article has it.
const BUDGET_MS: u64 = 250;

/// What did caching buy, what did it cost, and was anything stale?
///
/// Without a command: compare. It needs only this clone: it starts a stack if none is up, and stops it at the end.
///
/// Exit status: 0 if every promise was kept, 1 if one was broken, 3 if undecided; 2 for wrong usage, 69 if the run failed,
/// 130 if it was interrupted.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Settings of the comparison, if no command is given.
    #[command(flatten)]
    pub compare: CompareConfig,
}

/// What is run.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Compare all strategies on the same load, in turns.
    Compare(CompareConfig),
    /// Replay a recorded workload, faster than it was recorded, with all strategies at once.
    Replay(ReplayConfig),
    /// Find the highest rate of reads that each strategy sustains.
    Capacity(CapacityConfig),
    /// Read with several waits and maximum ages while a source is slow: metrics by 500 ms, unless `--inject` says otherwise.
    Budget(BudgetConfig),
    /// Render the table, the verdict and the report of a kept run again.
    Report(ReportConfig),
}

/// Settings of `compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareConfig {
    /// Requests per second during a turn, reads and writes together. They arrive at random times, as from many independent
    /// readers, whether or not earlier requests were answered.
    #[arg(long, default_value_t = 150.0, value_parser = values::positive)]
    #[arg(default_value_if("quick", "true", quick::RATE))]
    pub rate: f64,

    /// Turns of each strategy; the order of the strategies rotates.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    #[arg(default_value_if("quick", "true", quick::ROUNDS))]
    pub rounds: u32,

    /// Length of a turn.
    #[arg(long, default_value_t = 5.0, value_parser = values::positive)]
    #[arg(default_value_if("quick", "true", quick::TURN_SECONDS))]
    pub turn_seconds: f64,

    /// Compare in about twelve seconds: short turns, one page for each strategy, no probing for changes after a turn. There are
    /// too few answers for a verdict on the 99th percentile.
    #[arg(long)]
    pub quick: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub load: LoadConfig,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub run: RunConfig,
}

/// Settings of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayConfig {
    /// Which recording.
    #[arg(value_enum, default_value = "twitter52")]
    pub trace: TraceName,

    /// How many times faster than it was recorded. The TTL is divided by it and must stay a whole number of seconds. Default: 60
    /// (`twitter52`) or 3 (`cloudphysics`).
    #[arg(long, value_parser = values::positive)]
    pub compression: Option<f64>,

    /// Keep one key in this many, with all its requests. Default: 16, which two processors can serve.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub one_key_in: Option<u32>,

    /// Start at this second of the recording. Default: 0; for `cloudphysics` 1680, since the next five minutes hold nearly all of
    /// its reads.
    #[arg(long, value_name = "SECOND")]
    pub from: Option<u32>,

    /// Stop at this second. Default: the end; for `cloudphysics` 1980.
    #[arg(long, value_name = "SECOND")]
    pub until: Option<u32>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub run: RunConfig,
}

/// Settings of `capacity`.
#[derive(Args, Clone, Debug)]
pub struct CapacityConfig {
    /// Rate of the first trial, in reads per second.
    #[arg(long, default_value_t = 100.0, value_parser = values::positive)]
    pub from: f64,

    /// The search stops at this rate.
    #[arg(long, default_value_t = 20_000.0, value_parser = values::positive)]
    pub to: f64,

    /// Length of a trial.
    #[arg(long, default_value_t = 4.0, value_parser = values::positive)]
    pub trial_seconds: f64,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub load: LoadConfig,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub run: RunConfig,
}

/// Settings of `budget`.
#[derive(Args, Clone, Debug)]
pub struct BudgetConfig {
    /// How long readers wait, in milliseconds, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = WAITS_MS)]
    pub waits_ms: Vec<u64>,

    /// How old their pages may be, in seconds, separated by commas; 0: no max-age.
    #[arg(long, value_delimiter = ',', default_values_t = [&[0], &AGES_SECONDS[..]].concat())]
    pub ages_s: Vec<u64>,

    /// The strategy of the pages.
    #[arg(long, value_enum, default_value = Strategy::Invalidate.name())]
    pub strategy: Strategy,

    /// Requests per second during a turn, reads and writes together.
    #[arg(long, default_value_t = 200.0, value_parser = values::positive)]
    pub rate: f64,

    /// Turns of each kind of reader.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,

    /// Length of a turn.
    #[arg(long, default_value_t = 3.0, value_parser = values::positive)]
    pub turn_seconds: f64,

    /// Accounts, which all readers share.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub accounts: u16,

    /// Reads to each write, as in `compare`. At 10, a page is often not fresh when it is read.
    #[arg(long, default_value = "10", value_parser = values::mix)]
    pub mix: MixName,

    /// The same seed gives the same requests at the same times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub stack: StackConfig,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub output: OutputConfig,
}

/// Settings of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportConfig {
    /// The `results.json` of a run.
    pub results: PathBuf,

    /// The `results.json` of an earlier run to compare with.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
}

/// What is asked.
#[derive(Args, Clone, Debug)]
pub struct LoadConfig {
    /// Accounts per strategy. No other strategy uses them.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(default_value_if("quick", "true", quick::ACCOUNTS))]
    pub accounts: u16,

    /// Reads to each write: `lobsters` (61, as lobste.rs counted), `write-heavy` (1, as in YCSB's workload A), or a number.
    #[arg(long, default_value = "lobsters", value_parser = values::mix)]
    #[arg(default_value_if("quick", "true", quick::MIX))]
    pub mix: MixName,

    /// The same seed gives the same requests at the same times.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What every kind of run needs.
#[derive(Args, Clone, Debug)]
pub struct RunConfig {
    /// The strategies to compare, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Strategy::ALL)]
    pub strategies: Vec<Strategy>,

    /// An answer that takes less than this is within the budget.
    #[arg(long, default_value_t = BUDGET_MS, value_parser = clap::value_parser!(u64).range(1..=5000))]
    pub budget_ms: u64,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub stack: StackConfig,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as the help of this part's flags")]
    pub output: OutputConfig,
}

/// Which stack, and what is done to it.
///
/// Without an address: the stack that is up at the usual addresses, or else a stack of its own on free ports.
#[derive(Args, Clone, Debug)]
pub struct StackConfig {
    /// Start a stack of its own even if another one is up.
    #[arg(long, conflicts_with = "page_url")]
    pub own_stack: bool,

    /// Add latency to a source's answers about an account, such as `metrics=500ms`. May be repeated.
    #[arg(long, value_name = "SOURCE=TIME", value_parser = values::injected)]
    pub inject: Vec<Injected>,

    /// How long the strategy `ttl` shows a page without asking the sources. For a running stack: the value it was started with.
    #[arg(long, default_value_t = 60)]
    pub ttl_seconds: u32,

    /// The page of a running stack, started with `--allow-override`. Accounts are created in that stack, and deleted at the end.
    #[arg(long, requires_all = ["accounts_url", "endpoints_url", "metrics_url"], value_parser = values::root)]
    pub page_url: Option<Url>,

    /// The accounts service of that stack.
    #[arg(long, requires = "page_url", value_parser = values::root)]
    pub accounts_url: Option<Url>,

    /// The endpoints service of that stack.
    #[arg(long, requires = "page_url", value_parser = values::root)]
    pub endpoints_url: Option<Url>,

    /// The metrics service of that stack.
    #[arg(long, requires = "page_url", value_parser = values::root)]
    pub metrics_url: Option<Url>,

    /// The recorded workloads.
    #[arg(long, value_name = "FOLDER", default_value = "data/traces")]
    pub traces: PathBuf,

    /// The recorded checks from which accounts are made.
    #[arg(long, value_name = "FOLDER", default_value = "data/uptime")]
    pub data: PathBuf,
}

/// Where the results go.
#[derive(Args, Clone, Debug)]
pub struct OutputConfig {
    /// Folder for `results.json` and `report.html`. Default: a new folder in `loadtest-results`.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,

    /// The `results.json` of a kept run to compare with, by ratios, never by absolute times.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// For other programs: write progress and results as lines of JSON to standard output, and files only with `--out`.
    #[arg(long)]
    pub json: bool,
}

impl Config {
    /// What is to be done.
    pub fn wanted(self) -> Command {
        self.command.unwrap_or(Command::Compare(self.compare))
    }
}

impl BudgetConfig {
    /// What is asked.
    pub const fn load(&self) -> LoadConfig {
        LoadConfig {
            accounts: self.accounts,
            mix: self.mix,
            seed: self.seed,
        }
    }

    /// What every kind of run needs.
    pub fn run(&self) -> RunConfig {
        RunConfig {
            strategies: vec![self.strategy],
            budget_ms: BUDGET_MS,
            stack: self.stack.clone(),
            output: self.output.clone(),
        }
    }
}

impl RunConfig {
    /// Below which an answer is within the budget.
    pub const fn budget(&self) -> Duration {
        Duration::from_millis(self.budget_ms)
    }
}

impl StackConfig {
    /// Which stack is wanted.
    pub fn which(&self) -> Which {
        match self.running() {
            Some(addresses) => Which::At(Box::new(addresses)),
            None if self.own_stack => Which::Own,
            None => Which::RunningOrOwn,
        }
    }

    fn running(&self) -> Option<Addresses> {
        let root = |url: &Option<Url>| Some(url.as_ref()?.as_str().trim_end_matches('/').to_owned());
        let sources = [&self.accounts_url, &self.endpoints_url, &self.metrics_url].map(root);
        Some(Addresses {
            page: root(&self.page_url)?,
            sources: PerSource::from(sources).map(|url| url.ok_or(())).all().ok()?,
        })
    }
}

/// The command as it was given: what repeats the run.
pub fn command_line() -> String {
    let words = std::env::args().skip(1).map(|word| quoted(&word));
    ["scripts/loadtest".to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=./:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
