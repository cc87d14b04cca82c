//! What a comparison found, and how.

use std::collections::BTreeSet;
use std::thread::available_parallelism;
use std::time::Duration;

use serde::Serialize;

use super::Plan;
use super::tally::Tally;
use crate::web::Scrape;

/// Below so many reads, the p99 is the story of one or two of them, and is not told.
pub(super) const READS_FOR_P99: u64 = 200;

/// What came out for one strategy.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub strategy: String,
    /// How many reads are counted.
    pub reads: u64,
    /// The median time from the request to the last byte.
    pub p50_ms: f64,
    /// The same at 99 %; none if there were too few reads to say.
    pub p99_ms: Option<f64>,
    /// How many of the reads were answered from the cache alone.
    pub hits_percent: f64,
    /// What the reads cost the sources.
    pub requests_per_100_reads: f64,
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

impl Compared {
    pub(super) fn new(tallies: &[Tally], counted: (&Scrape, &Scrape), plan: Plan, took: Duration) -> Self {
        let rows: Vec<Row> = tallies.iter().map(|tally| tally.row(counted)).collect();
        let how = how(&rows, plan, took);
        Self { rows, how }
    }

    /// Names, before all else, the latency that is there on purpose.
    pub(super) fn injected(mut self, injected: &[(&str, u64)]) -> Self {
        let sources: BTreeSet<_> = injected
            .iter()
            .map(|(source, milliseconds)| format!("{milliseconds} ms into {source}"))
            .collect();
        if !sources.is_empty() {
            let sources: Vec<_> = sources.into_iter().collect();
            let sentence = format!(
                "Injected on purpose: {}, added to each answer about an account.",
                sources.join(", ")
            );
            self.how.insert(0, sentence);
        }
        self
    }
}

/// Says how the rows were taken, and what they do not say.
fn how(rows: &[Row], plan: Plan, took: Duration) -> Vec<String> {
    let processors = available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let fewest = rows.iter().map(|row| row.reads).min().unwrap_or_default();
    let most = rows.iter().map(|row| row.reads).max().unwrap_or_default();
    let mut how = vec![
        format!(
            "{fewest} to {most} reads of each strategy, by one client, one at a time, {} ms from one to the next or as long \
             as a read takes, on this machine ({processors} processors, {build} build), in {:.1} s.",
            plan.pace.as_millis(),
            took.as_secs_f64(),
        ),
        format!(
            "The strategies took turns, {} of {} ms each; in the middle of each, the account that is read was renamed. The \
             first read of each strategy, which fills its cache, is not counted.",
            plan.rounds,
            plan.slice.as_millis(),
        ),
        "Stale: lacks a rename that was acknowledged more than 1 s before the read was asked for, and does not say so. \
         Oldest: for how long it had been acknowledged, at most."
            .to_owned(),
    ];
    if rows.iter().any(|row| row.p99_ms.is_none()) {
        how.push(format!("The p99 is not told below {READS_FOR_P99} reads."));
    }
    if rows.iter().any(|row| row.at_least) {
        how.push(
            "≥: there may have been more requests: some failed, or others read with prepopulate meanwhile, \
             whose refreshes cannot be told from ours."
                .to_owned(),
        );
    }
    let marked: u64 = rows.iter().map(|row| row.marked).sum();
    if marked > 0 {
        how.push(format!(
            "{marked} answers said themselves that something in them was stale or missing; they do not count as stale here."
        ));
    }
    how
}
