//! What a comparison found, made of the load test's results.

use std::collections::BTreeMap;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

/// Below so many reads, the p99 is the story of one or two of them, and is not told.
const READS_FOR_P99: u64 = 200;

/// What came out for one strategy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub strategy: String,
    /// How many reads were answered.
    pub reads: u64,
    /// The median time from the moment at which a read was due to the last byte.
    pub p50_ms: f64,
    /// The same at 99 %; none if there were too few reads to say.
    pub p99_ms: Option<f64>,
    /// How many of the reads were answered from the cache alone.
    pub hits_percent: f64,
    /// What the reads cost the sources; none where it was not counted.
    pub requests_per_100_reads: Option<f64>,
    /// It may have been more.
    pub at_least: bool,
    /// Answers that said themselves that something was stale or missing.
    pub marked: u64,
    /// Answers that lacked a change acknowledged more than a second before they were asked for, and did not say so.
    pub stale: u64,
    /// For how long the longest of those changes had been acknowledged, in seconds.
    pub oldest_stale_s: Option<f64>,
}

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// One per strategy.
    pub rows: Vec<Row>,
    /// How it was taken, in sentences.
    pub how: Vec<String>,
}

/// The load test's `results.json`, as far as it is shown here.
#[derive(Deserialize)]
pub(super) struct Results {
    strategies: Vec<StrategyResults>,
    verdict: Verdict,
}

#[derive(Deserialize)]
struct StrategyResults {
    strategy: String,
    total: Numbers,
}

#[derive(Default, Deserialize)]
struct Numbers {
    latency_us: Quantiles,
    outcomes: BTreeMap<String, u64>,
    marked: u64,
    stale: u64,
    behind_us: Option<Quantiles>,
    upstream_requests: Option<u64>,
    #[serde(default)]
    upstream_at_least: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct Quantiles {
    count: u64,
    p50: u64,
    p99: u64,
    max: u64,
}

#[derive(Deserialize)]
struct Verdict {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    promise: String,
    outcome: Outcome,
    evidence: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Pass,
    Undecided,
    Fail,
}

impl Compared {
    /// Takes from the results what is shown; `how` are the load test's own words for what it did.
    pub(super) fn new(results: &Results, how: Vec<String>) -> Self {
        let rows: Vec<Row> = results.strategies.iter().map(row).collect();
        let explanations = explanations(&rows);
        let findings = results.verdict.checks.iter().filter_map(finding);
        Self {
            how: how.into_iter().chain(explanations).chain(findings).collect(),
            rows,
        }
    }
}

fn row(found: &StrategyResults) -> Row {
    let numbers = &found.total;
    let reads = numbers.latency_us.count;
    let hits = numbers.outcomes.get("hit").copied().unwrap_or_default();
    let longest = numbers.behind_us.map(|behind| float(behind.max) / 1e6);
    Row {
        strategy: found.strategy.clone(),
        reads,
        p50_ms: float(numbers.latency_us.p50) / 1e3,
        p99_ms: (reads >= READS_FOR_P99).then(|| float(numbers.latency_us.p99) / 1e3),
        hits_percent: per_100(hits, reads),
        requests_per_100_reads: numbers.upstream_requests.map(|requests| per_100(requests, reads)),
        at_least: numbers.upstream_at_least,
        marked: numbers.marked,
        stale: numbers.stale,
        oldest_stale_s: longest.filter(|_| numbers.stale > 0),
    }
}

/// What the columns mean, and what they do not say.
fn explanations(rows: &[Row]) -> Vec<String> {
    let processors = available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let mut said = vec![
        format!("All of it on this machine: {processors} processors, {build} build."),
        "Stale: lacks a change that was acknowledged more than 1 s before the read was asked for, and does not say so. \
         Oldest: for how long it had been acknowledged, at most."
            .to_owned(),
    ];
    if rows.iter().any(|row| row.p99_ms.is_none()) {
        said.push(format!("The p99 is not told below {READS_FOR_P99} reads."));
    }
    if rows.iter().any(|row| row.at_least) {
        said.push(
            "≥: there may have been more requests: some failed, or others read with prepopulate meanwhile, whose refreshes \
             cannot be told from ours."
                .to_owned(),
        );
    }
    let marked: u64 = rows.iter().map(|row| row.marked).sum();
    if marked > 0 {
        said.push(format!(
            "{marked} answers said themselves that something in them was stale or missing; they do not count as stale here."
        ));
    }
    said
}

/// What the verdict has to say beyond that all is well.
fn finding(check: &Check) -> Option<String> {
    let outcome = match check.outcome {
        Outcome::Pass => return None,
        Outcome::Undecided => "Undecided",
        Outcome::Fail => "Not kept",
    };
    Some(format!("{outcome}: {} {}.", check.promise, check.evidence))
}

fn per_100(part: u64, whole: u64) -> f64 {
    100.0 * float(part) / float(whole.max(1))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of seconds of reads, and their times"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(total: Numbers) -> Results {
        let of = |promise: &str, outcome| Check {
            promise: promise.to_owned(),
            outcome,
            evidence: "none 7".to_owned(),
        };
        Results {
            strategies: vec![StrategyResults {
                strategy: "ttl".to_owned(),
                total,
            }],
            verdict: Verdict {
                checks: vec![of("Kept.", Outcome::Pass), of("Broken.", Outcome::Fail)],
            },
        }
    }

    fn latency(count: u64) -> Quantiles {
        Quantiles {
            count,
            p50: 1_500,
            p99: 9_000,
            max: 9_000,
        }
    }

    #[test]
    fn a_row_is_what_the_load_test_counted() {
        let total = Numbers {
            latency_us: latency(200),
            outcomes: BTreeMap::from([("hit".to_owned(), 150), ("miss".to_owned(), 50)]),
            stale: 4,
            behind_us: Some(Quantiles {
                max: 2_500_000,
                ..latency(9)
            }),
            upstream_requests: Some(150),
            ..Numbers::default()
        };
        let compared = Compared::new(&results(total), vec!["As told.".to_owned()]);
        let row = &compared.rows[0];
        assert_eq!((row.reads, row.p50_ms, row.p99_ms), (200, 1.5, Some(9.0)));
        assert_eq!((row.hits_percent, row.requests_per_100_reads), (75.0, Some(75.0)));
        assert_eq!((row.stale, row.oldest_stale_s), (4, Some(2.5)));
        assert_eq!(compared.how[0], "As told.");
        assert_eq!(compared.how.last().unwrap(), "Not kept: Broken. none 7.");
        assert_eq!(compared.how.len(), 4, "{:?}", compared.how);
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let total = Numbers {
            latency_us: latency(199),
            behind_us: Some(latency(3)),
            ..Numbers::default()
        };
        let compared = Compared::new(&results(total), Vec::new());
        let row = &compared.rows[0];
        assert_eq!(
            (row.p99_ms, row.requests_per_100_reads, row.oldest_stale_s),
            (None, None, None)
        );
        assert!(
            compared
                .how
                .iter()
                .any(|said| said.starts_with("The p99 is not told below 200"))
        );
        assert_eq!(row.reads, 199, "behind, and not for more than a second");
    }

    #[test]
    fn the_last_words_of_a_load_test_are_why_it_failed() {
        let said = "making accounts\n\nloadtest: the page at http://h/ did not answer any more\n";
        assert_eq!(
            super::super::reason(said),
            "the page at http://h/ did not answer any more"
        );
        assert_eq!(super::super::reason(" \n"), "it said nothing");
    }
}
