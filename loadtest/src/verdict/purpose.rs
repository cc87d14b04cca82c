//! Whether caching did what it is for: fast pages, and less work for the sources.

use std::fmt::Write as _;

use super::{EVENT_DRIVEN, Finding, PROMISING, among, check, present, unless_late};
use crate::figures::{brief, duration, percent, share};
use crate::results::{Check, Outcome, Results};
use crate::strategy::NONE;

/// The share of answers within the budget while a source is slower than it. The rest allows for a busy
/// processor.
const SHARE_WITHIN: f64 = 0.999;
/// Below this share, a busy processor is no excuse.
const SHARE_IF_BUSY: f64 = 0.99;

pub(super) fn checks(results: &Results) -> Vec<Check> {
    let fast = match results.setup.slow_source_ms() {
        None => within_budget(results),
        Some(slowest_ms) => within_despite(results, slowest_ms),
    };
    [fast, less_work(results)].into_iter().flatten().collect()
}

fn within_budget(results: &Results) -> Option<Check> {
    let budget_ms = results.setup.budget_ms;
    let answered = among(results, PROMISING).filter(|it| it.total.answers() > 0);
    let findings = answered.map(|it| {
        let p99 = it.total.latency_us.p99;
        let kept = p99 <= budget_ms.saturating_mul(1_000);
        Finding::kept(&it.strategy, kept, unless_late(results, &it.total), duration(p99))
    });
    let names = present(results, PROMISING);
    let promise = format!("With {names}, 99 of 100 answers came within {budget_ms} ms.");
    check(promise, findings)
}

/// With a source that alone takes longer than the budget, readers do not wait for it: they get what is known, marked.
fn within_despite(results: &Results, slowest_ms: u64) -> Option<Check> {
    let findings = among(results, EVENT_DRIVEN).filter_map(|it| {
        let (within, numbers) = (it.total.within_share()?, &it.total);
        let marked = percent(share(numbers.marked, numbers.answers())?);
        let mut figures = format!("{} % within, {marked} % marked", percent(within));
        if let Some(age) = numbers.marked_age_us {
            let _ = write!(
                figures,
                ", {} old (p50), {} (p99)",
                duration(age.p50),
                duration(age.p99)
            );
        }
        let kept = within >= SHARE_WITHIN;
        let otherwise = if within >= SHARE_IF_BUSY {
            Outcome::Undecided
        } else {
            unless_late(results, numbers)
        };
        Some(Finding::kept(&it.strategy, kept, otherwise, figures))
    });
    let promise = format!(
        "With {}, 999 of 1,000 answers came within {} ms, although a source takes {slowest_ms} ms.",
        present(results, EVENT_DRIVEN),
        results.setup.budget_ms
    );
    check(promise, findings)
}

fn less_work(results: &Results) -> Option<Check> {
    let without = results.strategy(NONE)?.total.upstream_per_page();
    let findings = among(results, EVENT_DRIVEN).map(|it| {
        let Some((with, without)) = it.total.upstream_per_page().zip(without) else {
            return Finding::new(&it.strategy, Outcome::Undecided, "was not counted".to_owned());
        };
        let figures = format!("{} of {}", brief(with), brief(without));
        Finding::kept(&it.strategy, with < without, Outcome::Fail, figures)
    });
    let names = present(results, EVENT_DRIVEN);
    let promise = format!("With {names}, a page costs the sources fewer requests than without a cache.");
    check(promise, findings)
}
