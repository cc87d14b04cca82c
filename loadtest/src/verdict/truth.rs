//! Whether the pages said the truth, judged from outside by every change that was acknowledged.

use std::fmt::Write;

use super::{EVENT_DRIVEN, Finding, PROMISING, among, check};
use crate::figures::{duration, grouped, percent, share};
use crate::results::{Check, Numbers, Outcome, Results};
use crate::strategy::TTL;

/// Marked answers are excused from the other checks; with more of them, those checks say little.
const TOLERATED_MARKS: f64 = 0.01;
/// The same while a source alone takes longer than an answer may: marks are then what keeps readers in time. Without a TTL, 5 to 6 %
/// were measured.
const TOLERATED_MARKS_IF_SLOW: f64 = 0.2;

pub(super) fn checks(results: &Results) -> Vec<Check> {
    let checks = [
        stale(results),
        mismatches(results),
        whole(results),
        visible(results),
    ];
    checks.into_iter().flatten().collect()
}

/// Of readers who say how old their page may be.
pub(super) fn checks_of_readers(results: &Results) -> Vec<Check> {
    let findings = results
        .strategies
        .iter()
        .map(|it| counted(&it.strategy, &it.total, it.total.stale));
    let stale = check(
        "No unmarked page was behind by more than 1 s, or by more than its reader's max-age if that is longer.",
        findings,
    );
    [stale, mismatches(results)].into_iter().flatten().collect()
}

fn stale(results: &Results) -> Option<Check> {
    let strategies = results.strategies.iter().filter(|it| it.strategy != TTL);
    let findings = strategies.map(|it| {
        let mut finding = counted(&it.strategy, &it.total, it.total.stale);
        if let Some(behind) = it.total.behind_us.filter(|_| it.total.stale > 0) {
            let _ = write!(finding.figures, ", up to {} behind", duration(behind.max));
        }
        finding
    });
    check(
        "Without a TTL, no page lacked a change for more than a second without saying so.",
        findings,
    )
}

fn mismatches(results: &Results) -> Option<Check> {
    let strategies = results.strategies.iter();
    let findings = strategies.map(|it| counted(&it.strategy, &it.total, it.total.mismatches));
    check(
        "Every page held all that was acknowledged before its own Fresh-As-Of, old pages of a TTL included.",
        findings,
    )
}

/// Nothing can be behind where nothing changed.
fn counted(strategy: &str, numbers: &Numbers, wrong: u64) -> Finding {
    if numbers.writes == 0 && wrong == 0 {
        let figures = "saw no change, so nothing could be missed".to_owned();
        return Finding::new(strategy, Outcome::Undecided, figures);
    }
    let figures = format!("{} of {}", grouped(wrong), grouped(numbers.answers()));
    Finding::kept(strategy, wrong == 0, Outcome::Fail, figures)
}

fn whole(results: &Results) -> Option<Check> {
    let (held, tolerated) = match results.setup.slow_source_ms() {
        None => (PROMISING, TOLERATED_MARKS),
        Some(_) => (EVENT_DRIVEN, TOLERATED_MARKS_IF_SLOW),
    };
    let findings = among(results, held).filter_map(|it| {
        let marked = share(it.total.marked, it.total.answers())?;
        let figures = format!("{} %", percent(marked));
        let kept = marked <= tolerated;
        Some(Finding::kept(&it.strategy, kept, Outcome::Undecided, figures))
    });
    let promise = format!(
        "At most {} % of the pages said that a fragment is stale or missing: such pages are not checked for staleness.",
        tolerated * 100.0
    );
    check(promise, findings)
}

/// A TTL may outlast the search, and without a cache the stack may be too slow for it. So may a strategy that asks at every read
/// while a source is slow: a change that comes during one load is shown after the next.
fn visible(results: &Results) -> Option<Check> {
    let found = match results.setup.slow_source_ms() {
        None => PROMISING,
        Some(_) => EVENT_DRIVEN,
    };
    let probed = among(results, found).filter(|it| it.total.probes > 0);
    let findings = probed.map(|it| {
        let missed = it.total.never_visible;
        let figures = format!("{} of {} missed", grouped(missed), grouped(it.total.probes));
        Finding::kept(&it.strategy, missed == 0, Outcome::Fail, figures)
    });
    check(
        "Every change that was probed, on an account that nobody else reads, was shown.",
        findings,
    )
}
