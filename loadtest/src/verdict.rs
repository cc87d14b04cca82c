//! What follows from a run: each promise of the project that it could put to the test, and whether it was kept.
//!
//! What is merely shown is no promise: that `none` misses the budget is the problem, and that `ttl` serves old pages
//! is what a TTL is. Whatever makes the figures say less than they seem to say leaves the verdict undecided.

mod budget;
mod capacity;
mod load;
mod purpose;
mod truth;

use crate::figures::listed;
use crate::results::{Check, Kind, Numbers, Outcome, Results, StrategyResults, Verdict};
use crate::strategy::StrategyInfo;

/// The strategies that promise to be both fast and true.
const PROMISING: fn(&StrategyInfo) -> bool = |info| info.promises;
/// Of these, those that events keep true.
const EVENT_DRIVEN: fn(&StrategyInfo) -> bool = |info| info.event_driven;

/// Looks at every promise that `results` can say something about. Pure: the same results, the same verdict.
pub fn of(results: &Results) -> Verdict {
    let checks = match results.kind {
        Kind::Compare => [
            load::checks(results),
            purpose::checks(results),
            truth::checks(results),
        ]
        .concat(),
        Kind::Replay => [load::checks(results), truth::checks(results)].concat(),
        Kind::Capacity => capacity::checks(results),
        Kind::Budget => [
            load::checks(results),
            budget::checks(results),
            truth::checks_of_readers(results),
        ]
        .concat(),
    };
    let outcome = checks.iter().map(|check| check.outcome).max();
    Verdict {
        outcome: outcome.unwrap_or(Outcome::Undecided),
        checks,
    }
}

/// The verdict in one sentence, without its outcome.
pub fn sentence(verdict: &Verdict) -> String {
    let all = verdict.checks.len();
    let worst = verdict
        .checks
        .iter()
        .filter(|check| check.outcome == verdict.outcome);
    let promises: Vec<&str> = worst.map(|check| check.promise.trim_end_matches('.')).collect();
    let (count, told) = (promises.len(), promises.join("; "));
    match verdict.outcome {
        _ if all == 0 => "No promise was checked.".to_owned(),
        Outcome::Pass if all == 1 => "The one promise that was checked was kept.".to_owned(),
        Outcome::Pass => format!("All {all} promises that were checked were kept."),
        Outcome::Fail => format!("{count} of {all} promises not kept: {told}."),
        Outcome::Undecided => format!("{count} of {all} promises undecided: {told}."),
    }
}

/// A check shows the figures of at most this many strategies or kinds of readers.
const TOLD: usize = 5;

/// What one strategy has to say about one promise.
struct Finding {
    strategy: String,
    outcome: Outcome,
    /// The figures.
    figures: String,
}

impl Finding {
    fn new(strategy: &str, outcome: Outcome, figures: String) -> Self {
        Self {
            strategy: strategy.to_owned(),
            outcome,
            figures,
        }
    }

    /// A promise that was kept if `kept`, and else has `otherwise` for its outcome.
    fn kept(strategy: &str, kept: bool, otherwise: Outcome, figures: String) -> Self {
        Self::new(strategy, if kept { Outcome::Pass } else { otherwise }, figures)
    }
}

/// One check from what the strategies say: the worst outcome, with the figures of those that it is due to. None of no strategy.
fn check(promise: impl Into<String>, findings: impl IntoIterator<Item = Finding>) -> Option<Check> {
    let findings: Vec<Finding> = findings.into_iter().collect();
    let outcome = findings.iter().map(|finding| finding.outcome).max()?;
    let worst = findings.iter().filter(|finding| finding.outcome == outcome);
    let mut figures: Vec<String> = worst
        .map(|it| format!("{} {}", it.strategy, it.figures))
        .collect();
    if figures.len() > TOLD {
        let more = figures.len() - TOLD;
        figures.truncate(TOLD);
        figures.push(format!("and {more} more"));
    }
    Some(Check {
        promise: promise.into(),
        outcome,
        evidence: figures.join("; "),
    })
}

/// The same; of no strategy, it is undecided for this reason.
fn check_or(promise: &str, findings: impl IntoIterator<Item = Finding>, nothing: &str) -> Check {
    check(promise, findings).unwrap_or(Check {
        promise: promise.to_owned(),
        outcome: Outcome::Undecided,
        evidence: nothing.to_owned(),
    })
}

/// What a promise is that was not kept: nothing is held against the stack where the generator was late.
fn unless_late(results: &Results, numbers: &Numbers) -> Outcome {
    if load::was_late(numbers, results.setup.budget_ms) {
        Outcome::Undecided
    } else {
        Outcome::Fail
    }
}

/// The strategies that took part and are such as `wanted` says.
fn among(results: &Results, wanted: fn(&StrategyInfo) -> bool) -> impl Iterator<Item = &StrategyResults> {
    let strategies = results.strategies.iter();
    strategies.filter(move |it| StrategyInfo::named(&it.strategy).is_some_and(wanted))
}

/// `invalidate and prepopulate`: the names of those.
fn present(results: &Results, wanted: fn(&StrategyInfo) -> bool) -> String {
    let names: Vec<String> = among(results, wanted).map(|it| it.strategy.clone()).collect();
    listed(&names)
}
