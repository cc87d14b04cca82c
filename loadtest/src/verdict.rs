//! What follows from a run: each promise of the project that it could put to the test, and whether it was kept.
//!
//! What is merely shown is no promise: that `none` misses the budget is the problem, and that `ttl` serves old pages
//! is what a TTL is. Whatever makes the figures say less than they seem to say leaves the verdict undecided.

mod capacity;
mod load;
mod purpose;
mod truth;

use crate::figures::listed;
use crate::results::{Check, Kind, Outcome, Results, StrategyResults, Verdict};

/// The strategy that composes every page afresh: the problem being shown.
pub(crate) const NONE: &str = "none";
/// The strategy that shows pages until they are old: fast, and stale by design.
pub(crate) const TTL: &str = "ttl";
/// The strategies that promise to be both fast and true.
const PROMISING: [&str; 3] = ["versioned", "invalidate", "prepopulate"];
/// Of these, those that events keep true.
const EVENT_DRIVEN: [&str; 2] = ["invalidate", "prepopulate"];

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
        _ if all == 0 => "Nothing was looked at.".to_owned(),
        Outcome::Pass if all == 1 => "The one promise that was looked at was kept.".to_owned(),
        Outcome::Pass => format!("All {all} promises that were looked at were kept."),
        Outcome::Fail => format!("{count} of {all} promises not kept: {told}."),
        Outcome::Undecided => format!("Nothing can be said of {count} of {all} promises: {told}."),
    }
}

/// What one strategy has to say about one promise.
struct Finding {
    strategy: String,
    outcome: Outcome,
    /// The figures.
    says: String,
}

impl Finding {
    fn new(strategy: &str, outcome: Outcome, says: String) -> Self {
        Self {
            strategy: strategy.to_owned(),
            outcome,
            says,
        }
    }

    /// A promise that was kept if `kept`, and else has `otherwise` for its outcome.
    fn kept(strategy: &str, kept: bool, otherwise: Outcome, says: String) -> Self {
        Self::new(strategy, if kept { Outcome::Pass } else { otherwise }, says)
    }
}

/// One check from what the strategies say: the worst outcome, with the figures of those that it is due to.
fn check(promise: &str, findings: &[Finding]) -> Option<Check> {
    let outcome = findings.iter().map(|finding| finding.outcome).max()?;
    let worst = findings.iter().filter(|finding| finding.outcome == outcome);
    let figures: Vec<String> = worst.map(|it| format!("{} {}", it.strategy, it.says)).collect();
    Some(Check {
        promise: promise.to_owned(),
        outcome,
        evidence: figures.join("; "),
    })
}

/// The strategies among `names` that took part.
fn among<'a>(results: &'a Results, names: &'a [&str]) -> impl Iterator<Item = &'a StrategyResults> {
    results
        .strategies
        .iter()
        .filter(|it| names.contains(&it.strategy.as_str()))
}

/// `invalidate and prepopulate`: those of `names` that took part.
fn present(results: &Results, names: &[&str]) -> String {
    let names: Vec<String> = among(results, names).map(|it| it.strategy.clone()).collect();
    listed(&names)
}
