//! Whether readers waited no longer than they wanted to, and got nothing older than they accept.

use std::collections::BTreeMap;

use super::{Finding, check, load};
use crate::figures::{duration, grouped};
use crate::results::{Check, Outcome, Results, StrategyResults};

/// By how much an answer may come later than its reader wants: by what timers and a busy processor add.
const TOLERANCE_US: u64 = 25_000;
/// At most one in this many readers may get a late answer.
const READERS: u64 = 1_000;

pub(super) fn checks(results: &Results) -> Vec<Check> {
    [in_time(results), not_too_old(results)]
        .into_iter()
        .flatten()
        .collect()
}

/// All readers together: one kind alone has too few.
fn in_time(results: &Results) -> Option<Check> {
    let mut beyond = BTreeMap::<u64, u64>::new();
    for (us, count) in results.strategies.iter().flat_map(|it| &it.beyond_wait.0) {
        *beyond.entry(*us).or_default() += count;
    }
    let all: u64 = beyond.values().sum();
    let longest = *beyond.keys().next_back()?;
    let late: u64 = beyond.range(TOLERANCE_US + 1..).map(|(_, count)| count).sum();
    let figures = format!(
        "{} of {} had it later, the latest {} beyond its wait{}",
        grouped(late),
        grouped(all),
        duration(longest),
        worst(results)
    );
    let outcome = if all < READERS {
        Outcome::Undecided
    } else if late.saturating_mul(READERS) <= all {
        Outcome::Pass
    } else if results
        .strategies
        .iter()
        .any(|it| load::was_late(&it.total, results.setup.budget_ms))
    {
        Outcome::Undecided
    } else {
        Outcome::Fail
    };
    Some(Check {
        promise: "999 of 1,000 readers had their answer within their wait plus 25 ms.".to_owned(),
        outcome,
        evidence: figures,
    })
}

/// Which readers had to wait longest beyond their wait.
fn worst(results: &Results) -> String {
    let longest = |it: &StrategyResults| it.beyond_wait.0.last().map_or(0, |(us, _)| *us);
    let worst = results.strategies.iter().max_by_key(|it| longest(it));
    worst.map(|it| format!(" ({})", it.strategy)).unwrap_or_default()
}

fn not_too_old(results: &Results) -> Option<Check> {
    let with_age = results
        .strategies
        .iter()
        .filter(|it| it.reading.is_some_and(|reading| reading.max_age_seconds > 0));
    let findings = with_age.map(|it| {
        let (wrong, all) = (it.total.too_old, it.total.answers());
        let figures = format!("{} of {}", grouped(wrong), grouped(all));
        Finding::kept(&it.strategy, wrong == 0 && all > 0, Outcome::Fail, figures)
    });
    check(
        "No unmarked answer was older than its reader's max-age, or than 1 s if the max-age is shorter.",
        findings,
    )
}
