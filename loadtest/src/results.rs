//! What a run found, as `results.json` holds it: everything the table, the verdict, the report and a later comparison
//! need, and nothing that one of them would have to measure again.
//!
//! Durations are whole microseconds (`…_us`) unless the name says otherwise. What could not be measured is absent, never zero.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The form of this file; raised when a reader of the former one would misread it.
pub const FORMAT: u32 = 1;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    /// What was run.
    pub kind: Kind,
    /// When it began.
    pub started: Timestamp,
    /// How long all of it took, preparations included.
    pub took_seconds: f64,
    /// Where it ran.
    pub machine: Machine,
    /// What was compared, and how.
    pub setup: Setup,
    /// What was found of each strategy, in the order in which one comes to them: none, ttl, versioned, invalidate, prepopulate.
    pub strategies: Vec<StrategyResults>,
    /// What the search found; of a run of [`Kind::Capacity`] alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<CapacityResults>,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// All strategies on the same load, in turns.
    Compare,
    /// A recorded workload.
    Replay,
    /// The highest rate that each strategy holds.
    Capacity,
    /// One strategy, read by readers who wait longer and longer and accept older and older pages.
    Budget,
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that this program may use.
    pub cpus: usize,
    /// What the processor calls itself.
    pub cpu_model: String,
    /// Its memory.
    pub memory_mib: u64,
    /// The operating system and its version.
    pub system: String,
}

/// What was compared, and how: enough for a reader who has only this.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Setup {
    /// The command that repeats it.
    pub command: String,
    /// `started for this run`, or the address of the stack that was already up.
    pub stack: String,
    /// `release` or `debug`: how this program, and a stack that it started, was built.
    pub profile: String,
    /// What decides when and what is asked; the same seed asks the same.
    pub seed: u64,
    /// Arrivals per second while a strategy has its turn, reads and writes together.
    pub rate_per_second: f64,
    /// How often each strategy had its turn.
    pub rounds: u32,
    /// How long each turn was.
    pub turn_seconds: f64,
    /// Accounts of each strategy.
    pub accounts: usize,
    /// Whose popularity of pages was used, in words.
    pub popularity: String,
    /// Whose mix of reads and writes was used, in words, such as `61 reads to 1 write, as lobste.rs counted`.
    pub mix: String,
    /// Reads to each write.
    pub reads_per_write: f64,
    /// Below which an answer is within the budget.
    pub budget_ms: u64,
    /// What was made slower on purpose.
    pub injected: Vec<Injected>,
    /// How long the strategy `ttl` shows a page without asking.
    pub ttl_seconds: u64,
    /// How many times faster than it was recorded a trace was replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<f64>,
    /// What a reader must know to judge the numbers, a sentence each.
    pub notes: Vec<String>,
}

/// Latency that was injected into a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// The source's name.
    pub source: String,
    /// Added to each of its answers about an account.
    pub latency_ms: u64,
}

/// What was found of one strategy; in a run of [`Kind::Budget`], of one kind of reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StrategyResults {
    /// Its name.
    pub strategy: String,
    /// What its readers asked for, in a run of [`Kind::Budget`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReaderBudget>,
    /// All rounds together.
    pub total: Numbers,
    /// Each round, for the spread.
    pub rounds: Vec<Numbers>,
    /// All latencies: from the intended send time to the last byte of the answer, so that a stall is not hidden.
    pub latency: Distribution,
    /// How far readers waited beyond their wait: zero for most. Empty if their requests named none.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub beyond_wait: Distribution,
    /// How far behind the unmarked answers were that were behind at all.
    pub staleness: Distribution,
    /// The time that it had its turn, second by second.
    pub seconds: Vec<Second>,
}

/// How long a reader waits, and how old its page may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderBudget {
    /// `Prefer: wait-ms=`.
    pub wait_ms: u64,
    /// `Cache-Control: max-age=`; zero: it is not sent.
    pub max_age_seconds: u64,
}

/// What was counted and measured of one strategy over some time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// How long it had its turn.
    pub seconds: f64,
    /// Reads whose time came.
    pub reads: u64,
    /// Of these, those that failed, by how: `timeout`, `connection`, `503`.
    pub errors: BTreeMap<String, u64>,
    /// Of these, those that were answered within the budget.
    pub within_budget: u64,
    /// Latency of the answered reads.
    pub latency_us: Quantiles,
    /// Answers by how the cache came by them: `hit`, `miss`, `stale`, `request`, `bypass`, by their `Cache-Status`.
    pub outcomes: BTreeMap<String, u64>,
    /// Of these, those that shared another reader's composition.
    pub collapsed: u64,
    /// Answers that said of themselves that a fragment is stale or missing.
    pub marked: u64,
    /// Unmarked answers that lacked a change which had been acknowledged before they were asked for.
    pub behind: u64,
    /// Of these, those that were more than a second behind, which is stale.
    pub stale: u64,
    /// Answers that lacked a change which had been acknowledged before their own `Fresh-As-Of`: they contradict themselves.
    #[serde(alias = "lies")]
    pub mismatches: u64,
    /// Unmarked answers that were older, when they were asked for, than their reader accepts.
    #[serde(default)]
    pub too_old: u64,
    /// From the request to the last byte of its answer, of readers who say how long they wait.
    #[serde(default)]
    pub waited_us: Option<Quantiles>,
    /// How old answers were when they arrived: from their `Fresh-As-Of`.
    #[serde(default)]
    pub age_us: Option<Quantiles>,
    /// The same, of the marked ones.
    #[serde(default)]
    pub marked_age_us: Option<Quantiles>,
    /// How far those that were behind were: from the acknowledgement of the first change they lacked to their request.
    pub behind_us: Option<Quantiles>,
    /// Changes that were acknowledged.
    pub writes: u64,
    /// Changes that failed.
    pub write_errors: u64,
    /// What the services did for it.
    #[serde(flatten)]
    pub work: Work,
    /// From the answer to a change to the first read that showed it, on an account that nobody else reads.
    pub visible_us: Option<Quantiles>,
    /// Changes that were looked for in this way.
    pub probes: u64,
    /// Of these, those that were not shown before the search for them was given up.
    pub never_visible: u64,
    /// By how much requests left later than intended: when it is long, the generator was the limit.
    pub late_us: Quantiles,
}

/// What the services did over some time, by their own counters. What could not be read is absent, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Requests that the pages sent to the sources, refreshes included.
    pub upstream_requests: Option<u64>,
    /// Whether there may have been more of them: others used the stack as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upstream_at_least: bool,
    /// Pages rendered.
    pub renders: Option<u64>,
    /// Refreshes begun because of an event.
    pub refreshes: Option<u64>,
    /// Of these, those that nobody read before the next one.
    pub refreshes_wasted: Option<u64>,
    /// CPU time of each service (`page`, `accounts`, `endpoints`, `metrics`, `nats`) and of `loadtest` itself.
    pub cpu_us: BTreeMap<String, u64>,
}

/// The quantiles that are told of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many values there were.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// Nine of ten are not above it.
    pub p90: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

/// A histogram: values in microseconds, ascending, and how often each was recorded. To three significant digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution(pub Vec<(u64, u64)>);

impl Distribution {
    /// Whether nothing was recorded.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One second of a strategy's turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// The round, from 0.
    pub round: u32,
    /// The second of the strategy's own time, turns put end to end.
    pub second: u32,
    /// Answers to reads that were due in it.
    pub answers: u64,
    /// Of these, hits.
    pub hits: u64,
    /// Of these, unmarked ones that were behind.
    pub behind: u64,
    /// Of these, those that were more than a second behind.
    pub stale: u64,
    /// The latency that 99 of 100 of them did not exceed.
    pub p99_us: u64,
}

/// What the search for a strategy's limit found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CapacityResults {
    /// Its name.
    pub strategy: String,
    /// The highest rate that was held, in reads per second; none if not even the lowest was.
    pub held: Option<f64>,
    /// The lowest rate that was not held; none if the search ended before.
    pub missed: Option<f64>,
    /// Whether the generator, and not the strategy, ended the search.
    pub generator_limited: bool,
    /// In the order in which they were tried.
    pub trials: Vec<Trial>,
}

/// One rate that was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// Reads per second that were intended.
    pub rate: f64,
    /// Reads per second that were answered.
    pub answered: f64,
    /// Latency.
    pub latency_us: Quantiles,
    /// By how much requests left later than intended.
    pub late_us: Quantiles,
    /// Reads that failed.
    pub errors: u64,
    /// Whether the rate was held.
    pub held: bool,
    /// Why not.
    pub why: Option<String>,
}

/// What follows from a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst of the checks.
    pub outcome: Outcome,
    /// Each promise that was looked at.
    pub checks: Vec<Check>,
}

/// One promise, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The promise, as a sentence.
    pub promise: String,
    /// Whether it was kept.
    pub outcome: Outcome,
    /// The figures that say so, or the reason why nothing can be said.
    pub evidence: String,
}

/// Whether a promise was kept; in the order in which one outweighs another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    #[default]
    Pass,
    /// It cannot be said.
    Undecided,
    /// It was not.
    Fail,
}
