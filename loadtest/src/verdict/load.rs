//! Whether the load was what it claims to be, so that the other checks mean what they say.

use std::fmt::Write;

use super::{Finding, check, check_or, unless_late};
use crate::figures::{duration, grouped, percent};
use crate::results::{Check, Numbers, Outcome, Results, StrategyResults};
use crate::strategy::NONE;

/// The least number of answers: with fewer, not even ten are beyond the 99th percentile.
const ENOUGH_ANSWERS: u64 = 1_000;
/// The largest share of reads, and of changes, that may fail.
const TOLERATED_FAILURES: f64 = 0.001;
/// Lateness is small if it is less than one part in so many of what is measured, or of the budget.
const SMALL: u64 = 10;
/// Half of the requests may leave this late whatever is measured: timers have a resolution of a millisecond.
const TOLERATED_LATENESS_US: u64 = 2_000;

pub(super) fn checks(results: &Results) -> Vec<Check> {
    let checks = [
        Some(enough(results)),
        kept_up(results),
        failures(results),
        write_failures(results),
    ];
    checks.into_iter().flatten().collect()
}

/// Whether requests left when they were due: if not, they were slow ones by our own doing, and came in heaps.
pub(super) fn was_late(numbers: &Numbers, budget_ms: u64) -> bool {
    let (late, latency) = (numbers.late_us, numbers.latency_us);
    let measured = latency.p99.max(budget_ms.saturating_mul(1_000));
    late.p99 > measured / SMALL || late.p50 > TOLERATED_LATENESS_US.max(latency.p50 / 2)
}

fn kept_up(results: &Results) -> Option<Check> {
    let findings = results.strategies.iter().map(|it| {
        let (late, latency) = (it.total.late_us, it.total.latency_us);
        let limit = was_late(&it.total, results.setup.budget_ms);
        let mut figures = format!("{} (p50) and {} (p99)", duration(late.p50), duration(late.p99));
        if limit {
            let measured = format!("{} and {} measured", duration(latency.p50), duration(latency.p99));
            let _ = write!(
                figures,
                ", of {measured}: the generator, or the machine that it shares, was the limit"
            );
        }
        Finding::kept(&it.strategy, !limit, Outcome::Undecided, figures)
    });
    let promise =
        "Requests left when they were due: their lateness is small compared with the measured latency.";
    check(promise, findings)
}

fn enough(results: &Results) -> Check {
    let findings = results.strategies.iter().map(|it| {
        let answers = it.total.answers();
        let figures = format!("{} answers", grouped(answers));
        Finding::kept(
            &it.strategy,
            answers >= ENOUGH_ANSWERS,
            Outcome::Undecided,
            figures,
        )
    });
    let promise = format!(
        "There are enough answers for a 99th percentile: {} of each strategy.",
        grouped(ENOUGH_ANSWERS)
    );
    check_or(&promise, findings, "no strategy was measured")
}

/// What it means that requests failed. Those of `none` leave the comparison undecided: the rate was beyond what it holds, and its
/// latencies are those of the survivors. So do those of heaps of late requests, many of which were not even sent.
fn if_failed(results: &Results, it: &StrategyResults) -> Outcome {
    if it.strategy == NONE {
        Outcome::Undecided
    } else {
        unless_late(results, &it.total)
    }
}

fn failures(results: &Results) -> Option<Check> {
    let findings = results.strategies.iter().filter_map(|it| {
        let share = it.total.failed_share()?;
        let figures = format!("{} %{}", percent(share), kinds(&it.total));
        let kept = share <= TOLERATED_FAILURES;
        Some(Finding::kept(&it.strategy, kept, if_failed(results, it), figures))
    });
    check("At most 0.1 % of the reads failed.", findings)
}

/// ` (timeout 7, 503 2)`, or nothing.
fn kinds(numbers: &Numbers) -> String {
    let kinds = numbers.errors.iter().filter(|(_, count)| **count > 0);
    let kinds: Vec<String> = kinds
        .map(|(kind, count)| format!("{kind} {}", grouped(*count)))
        .collect();
    if kinds.is_empty() {
        String::new()
    } else {
        format!(" ({})", kinds.join(", "))
    }
}

fn write_failures(results: &Results) -> Option<Check> {
    let findings = results.strategies.iter().filter_map(|it| {
        let kept = it.total.failed_write_share()? <= TOLERATED_FAILURES;
        let (failed, all) = (
            grouped(it.total.write_errors),
            grouped(it.total.writes.saturating_add(it.total.write_errors)),
        );
        let figures = format!("{failed} of {all}");
        Some(Finding::kept(&it.strategy, kept, if_failed(results, it), figures))
    });
    check("At most 0.1 % of the changes failed.", findings)
}
