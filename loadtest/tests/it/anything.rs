//! Whatever a run counted, something is said of it.

use std::collections::BTreeMap;

use loadtest::results::{
    CapacityResults, Distribution, Numbers, Quantiles, Results, Second, StrategyResults, Trial,
};
use loadtest::{baseline, report, table, verdict};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::fixture;

/// Mostly numbers as they occur, and the ends of what there can be.
fn number() -> BoxedStrategy<u64> {
    prop_oneof![3 => 0..5_u64, 3 => 0..10_000_000_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)].boxed()
}

fn rate() -> BoxedStrategy<f64> {
    prop_oneof![3 => 0.0..10_000.0_f64, 1 => any::<f64>()].boxed()
}

fn quantiles() -> BoxedStrategy<Quantiles> {
    [number(), number(), number(), number(), number(), number()]
        .prop_map(|[count, p50, p90, p99, p999, max]| Quantiles {
            count,
            p50,
            p90,
            p99,
            p999,
            max,
        })
        .boxed()
}

fn counts(names: &'static str) -> BoxedStrategy<BTreeMap<String, u64>> {
    btree_map(names, number(), 0..4).boxed()
}

fn numbers() -> BoxedStrategy<Numbers> {
    (
        [quantiles(), quantiles()],
        [option::of(quantiles()), option::of(quantiles())],
        [
            counts("timeout|503"),
            counts("hit|miss|stale"),
            counts("page|nats|loadtest|x"),
        ],
        [
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
            number(),
        ],
        [
            option::of(number()),
            option::of(number()),
            option::of(number()),
            option::of(number()),
        ],
        rate(),
    )
        .prop_map(
            |(measured, maybe, [errors, outcomes, cpu_us], n, counted, seconds)| Numbers {
                seconds,
                reads: n[0],
                errors,
                within_budget: n[1],
                latency_us: measured[0],
                outcomes,
                collapsed: n[2],
                marked: n[3],
                behind: n[4],
                stale: n[5],
                lies: n[6],
                behind_us: maybe[0],
                writes: n[7],
                write_errors: n[8],
                upstream_requests: counted[0],
                upstream_at_least: false,
                renders: counted[1],
                refreshes: counted[2],
                refreshes_wasted: counted[3],
                cpu_us,
                visible_us: maybe[1],
                probes: n[9],
                never_visible: n[10],
                late_us: measured[1],
            },
        )
        .boxed()
}

fn distribution() -> BoxedStrategy<Distribution> {
    btree_map(number(), number(), 0..6)
        .prop_map(|counts| Distribution(counts.into_iter().collect()))
        .boxed()
}

fn second() -> BoxedStrategy<Second> {
    (
        0..3_u32,
        any::<u32>(),
        [number(), number(), number(), number(), number()],
    )
        .prop_map(|(round, second, n)| Second {
            round,
            second,
            answers: n[0],
            hits: n[1],
            behind: n[2],
            stale: n[3],
            p99_us: n[4],
            upstream_requests: None,
        })
        .boxed()
}

fn strategy() -> BoxedStrategy<StrategyResults> {
    let name = "none|ttl|versioned|invalidate|prepopulate|other";
    (
        name,
        numbers(),
        vec(numbers(), 0..5),
        [distribution(), distribution()],
        vec(second(), 0..5),
    )
        .prop_map(
            |(strategy, total, rounds, [latency, staleness], seconds)| StrategyResults {
                strategy,
                total,
                rounds,
                latency,
                staleness,
                seconds,
            },
        )
        .boxed()
}

fn searched() -> BoxedStrategy<CapacityResults> {
    let trial = (
        rate(),
        rate(),
        quantiles(),
        quantiles(),
        number(),
        any::<bool>(),
        option::of("[a-z<]{0,9}"),
    )
        .prop_map(|(rate, answered, latency_us, late_us, errors, held, why)| Trial {
            rate,
            answered,
            latency_us,
            late_us,
            errors,
            held,
            why,
        });
    (
        "none|invalidate|other",
        option::of(rate()),
        option::of(rate()),
        any::<bool>(),
        vec(trial, 0..4),
    )
        .prop_map(
            |(strategy, held, missed, generator_limited, trials)| CapacityResults {
                strategy,
                held,
                missed,
                generator_limited,
                trials,
            },
        )
        .boxed()
}

/// Says all that can be said, which must not panic, nor place anything nowhere.
fn say(mut results: Results) -> Result<(), TestCaseError> {
    results.verdict = verdict::of(&results);
    prop_assert!(table::render(&results).contains("Verdict: "));
    let comparison = baseline::compare(&results, &results).ok();
    let html = report::html(&results, comparison.as_ref());
    prop_assert!(html.ends_with("</html>"));
    let placed = html
        .split(" d=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap_or_default());
    for path in placed {
        prop_assert!(!path.contains("NaN") && !path.contains("inf"), "{path}");
    }
    if let Some(comparison) = comparison {
        prop_assert!(!baseline::text(&comparison).is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_numbers_are_judged_and_drawn(strategies in vec(strategy(), 0..6), replay in any::<bool>(), budget_ms in number()) {
        let mut results = if replay { fixture::replay() } else { fixture::compare() };
        results.strategies = strategies;
        results.setup.budget_ms = budget_ms;
        say(results)?;
    }

    #[test]
    fn any_search_is_judged_and_drawn(capacity in vec(searched(), 0..4)) {
        say(Results { capacity, ..fixture::capacity() })?;
    }
}
