//! Whether caching did what it is for: fast pages, and less work for the sources.

use super::{EVENT_DRIVEN, Finding, NONE, PROMISING, among, check, load, present};
use crate::figures::{brief, duration, percent};
use crate::results::{Check, Outcome, Results};

/// Of the hits, where only they can be fast.
const FAST_SHARE_OF_HITS: f64 = 0.99;

pub(super) fn checks(results: &Results) -> Vec<Check> {
    let slowest = results
        .setup
        .injected
        .iter()
        .map(|it| it.latency_ms)
        .max()
        .unwrap_or_default();
    let fast = if slowest < results.setup.budget_ms {
        within_budget(results)
    } else {
        hits_within_budget(results, slowest)
    };
    [fast, less_work(results)].into_iter().flatten().collect()
}

fn within_budget(results: &Results) -> Option<Check> {
    let budget_us = results.setup.budget_ms.saturating_mul(1_000);
    let findings = among(results, &PROMISING)
        .filter(|it| it.total.answers() > 0)
        .map(|it| {
            let p99 = it.total.latency_us.p99;
            let late = load::was_late(&it.total, results.setup.budget_ms);
            let otherwise = if late { Outcome::Undecided } else { Outcome::Fail };
            Finding::kept(&it.strategy, p99 <= budget_us, otherwise, duration(p99))
        });
    let promise = format!(
        "With {}, 99 of 100 answers came within {} ms.",
        present(results, &PROMISING),
        results.setup.budget_ms
    );
    check(&promise, &findings.collect::<Vec<_>>())
}

/// With a source that alone takes longer than the budget, only what was kept can be fast; and that must be.
fn hits_within_budget(results: &Results, slowest_ms: u64) -> Option<Check> {
    let findings = among(results, &EVENT_DRIVEN).filter_map(|it| {
        let (within, hits) = (it.total.within_share()?, it.total.hit_ratio()?);
        let says = format!("{} % within, {} % hits", percent(within), percent(hits));
        let kept = within >= hits * FAST_SHARE_OF_HITS;
        let late = load::was_late(&it.total, results.setup.budget_ms);
        let otherwise = if late { Outcome::Undecided } else { Outcome::Fail };
        Some(Finding::kept(&it.strategy, kept, otherwise, says))
    });
    let promise = format!(
        "With {}, at least as many answers came within {} ms as were hits (a source takes {slowest_ms} ms).",
        present(results, &EVENT_DRIVEN),
        results.setup.budget_ms
    );
    check(&promise, &findings.collect::<Vec<_>>())
}

fn less_work(results: &Results) -> Option<Check> {
    let none = results.strategy(NONE)?;
    let findings = among(results, &EVENT_DRIVEN).map(|it| {
        match (it.total.upstream_per_page(), none.total.upstream_per_page()) {
            (Some(with), Some(without)) => {
                let says = format!("{} of {}", brief(with), brief(without));
                Finding::kept(&it.strategy, with < without, Outcome::Fail, says)
            }
            _ => Finding::new(&it.strategy, Outcome::Undecided, "was not counted".to_owned()),
        }
    });
    let promise = format!(
        "With {}, a page costs the sources fewer requests than without a cache.",
        present(results, &EVENT_DRIVEN)
    );
    check(&promise, &findings.collect::<Vec<_>>())
}
