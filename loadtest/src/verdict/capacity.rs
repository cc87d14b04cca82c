//! Whether the search found the limit of each strategy, and whether caching moved it.

use super::{EVENT_DRIVEN, Finding, check, check_or};
use crate::figures::{brief, listed};
use crate::results::{CapacityResults, Check, Outcome, Results};
use crate::strategy::{NONE, StrategyInfo};

pub(super) fn checks(results: &Results) -> Vec<Check> {
    [Some(found(results)), raised(results)]
        .into_iter()
        .flatten()
        .collect()
}

fn found(results: &Results) -> Check {
    let promise = "The search found the limit of each strategy.";
    check_or(
        promise,
        results.capacity.iter().map(limit),
        "no strategy was searched",
    )
}

fn limit(found: &CapacityResults) -> Finding {
    let undecided = |figures: String| Finding::new(&found.strategy, Outcome::Undecided, figures);
    let rate = |rate| format!("{} reads/s", brief(rate));
    match (found.held, found.missed) {
        (Some(held), _) if found.generator_limited => undecided(format!(
            "holds at least {}: there, the generator was the limit",
            rate(held)
        )),
        (None, _) if found.generator_limited => {
            undecided("was not reached: the generator was the limit".to_owned())
        }
        (Some(held), Some(missed)) => {
            let figures = format!("holds {} and not {}", rate(held), rate(missed));
            Finding::new(&found.strategy, Outcome::Pass, figures)
        }
        (Some(held), None) => undecided(format!("held all that was tried, up to {}", rate(held))),
        (None, Some(missed)) => undecided(format!(
            "did not hold even {}, the lowest rate tried",
            rate(missed)
        )),
        (None, None) => undecided("was not tried".to_owned()),
    }
}

/// What is held is a lower bound even where the generator ended the search.
fn raised(results: &Results) -> Option<Check> {
    let none = results.capacity.iter().find(|it| it.strategy == NONE)?;
    let event_driven = results
        .capacity
        .iter()
        .filter(|it| StrategyInfo::named(&it.strategy).is_some_and(EVENT_DRIVEN));
    let findings: Vec<Finding> = event_driven.map(|it| compared(it, none)).collect();
    let names: Vec<String> = findings.iter().map(|it| it.strategy.clone()).collect();
    let names = listed(&names);
    let promise = format!("With {names}, a higher rate is held than without a cache.");
    check(promise, findings)
}

fn compared(with: &CapacityResults, without: &CapacityResults) -> Finding {
    let (higher, bound) = match (with.held, without.held, without.missed) {
        (Some(held), Some(least), _) => (
            held > least,
            format!("{}, and without {}", brief(held), brief(least)),
        ),
        (Some(held), None, Some(missed)) => (
            held >= missed,
            format!("{}, and without not even {}", brief(held), brief(missed)),
        ),
        _ => {
            return Finding::new(
                &with.strategy,
                Outcome::Undecided,
                "cannot be compared".to_owned(),
            );
        }
    };
    let limited = with.generator_limited || without.generator_limited;
    let otherwise = if limited {
        Outcome::Undecided
    } else {
        Outcome::Fail
    };
    let kept = higher && !without.generator_limited;
    Finding::kept(&with.strategy, kept, otherwise, format!("{bound} reads/s"))
}
