//! A run compared with an earlier one.

use loadtest::baseline::{self, Comparison, Judgement, Row};
use loadtest::results::{Numbers, Results};

use crate::fixture;

/// Changes every round of one strategy.
fn changed(name: &str, change: impl Fn(&mut Numbers)) -> Results {
    let mut results = fixture::compare();
    let strategy = results
        .strategies
        .iter_mut()
        .find(|it| it.strategy == name)
        .unwrap();
    strategy.rounds.iter_mut().for_each(change);
    results
}

fn row<'a>(comparison: &'a Comparison, strategy: &str, measure: &str) -> &'a Row {
    let mut rows = comparison.rows.iter();
    rows.find(|it| it.strategy == strategy && it.measure == measure)
        .unwrap()
}

#[test]
fn the_same_run_again_shows_no_difference() {
    let comparison = baseline::compare(&fixture::seeded(8), &fixture::compare()).unwrap();
    assert_eq!(comparison.reference, "none");
    assert_eq!(comparison.rows.len(), 16, "four figures of four strategies");
    let different: Vec<&Row> = comparison
        .rows
        .iter()
        .filter(|row| row.judgement != Judgement::NoDifference)
        .collect();
    assert!(different.is_empty(), "{different:#?}");
}

#[test]
fn twice_the_cost_is_worse_and_half_of_it_better() {
    let dear = changed("invalidate", |it| it.latency_us.p99 *= 2);
    let comparison = baseline::compare(&dear, &fixture::compare()).unwrap();
    assert_eq!(
        row(&comparison, "invalidate", "p99 latency").judgement,
        Judgement::Worse
    );
    assert_eq!(
        row(&comparison, "invalidate", "median latency").judgement,
        Judgement::NoDifference
    );
    assert_eq!(
        row(&comparison, "prepopulate", "p99 latency").judgement,
        Judgement::NoDifference
    );
    let comparison = baseline::compare(&fixture::compare(), &dear).unwrap();
    assert_eq!(
        row(&comparison, "invalidate", "p99 latency").judgement,
        Judgement::Better
    );
    assert!(baseline::text(&comparison).contains("better"));
}

#[test]
fn a_slower_machine_is_no_difference() {
    let mut slow = fixture::compare();
    for numbers in slow.strategies.iter_mut().flat_map(|it| &mut it.rounds) {
        numbers.latency_us.p50 *= 3;
        numbers.latency_us.p99 *= 3;
        numbers.work.cpu_us.values_mut().for_each(|us| *us *= 3);
    }
    slow.machine.cpu_model = "a slower one".to_owned();
    let comparison = baseline::compare(&slow, &fixture::compare()).unwrap();
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| row.judgement == Judgement::NoDifference)
    );
    assert!(
        baseline::text(&comparison).contains("a slower one"),
        "but it is told"
    );
}

#[test]
fn too_few_rounds_decide_nothing() {
    let mut short = changed("ttl", |it| it.latency_us.p99 *= 9);
    short.strategies.iter_mut().for_each(|it| it.rounds.truncate(2));
    let comparison = baseline::compare(&short, &fixture::compare()).unwrap();
    assert!(
        comparison
            .rows
            .iter()
            .all(|row| row.judgement == Judgement::Unknown)
    );
}

#[test]
fn a_ratio_is_taken_in_each_round_before_the_median_of_them() {
    let mut results = fixture::compare();
    results.strategies.truncate(2);
    for (strategy, figures) in results
        .strategies
        .iter_mut()
        .zip([[100, 10, 1000], [50, 20, 300]])
    {
        strategy.rounds.truncate(3);
        for (round, p50) in strategy.rounds.iter_mut().zip(figures) {
            round.latency_us.p50 = p50;
        }
    }
    let comparison = baseline::compare(&results, &results).unwrap();
    let now = row(&comparison, "ttl", "median latency").now;
    assert_eq!((now.median, now.min, now.max, now.rounds), (0.5, 0.3, 2.0, 3));
}

#[test]
fn without_none_the_first_strategy_in_common_is_the_reference() {
    let mut results = fixture::compare();
    results.strategies.remove(0);
    let comparison = baseline::compare(&results, &fixture::compare()).unwrap();
    assert_eq!(comparison.reference, "ttl");
    results.strategies.truncate(1);
    let refused = baseline::compare(&results, &fixture::compare()).unwrap_err();
    assert!(refused.to_string().contains("only ttl"), "{refused}");
}

#[test]
fn runs_that_asked_for_different_things_are_refused_with_what_differs() {
    type Change = fn(&mut Results);
    let changes: [(&str, Change); 8] = [
        ("the rate was 200.0 and is 300.0", |it| {
            it.setup.rate_per_second = 300.0;
        }),
        ("the mix", |it| it.setup.mix.clear()),
        ("the accounts", |it| it.setup.accounts = 1),
        ("the injected latency", |it| it.setup.injected.clear()),
        ("the build", |it| "debug".clone_into(&mut it.setup.profile)),
        ("the TTL", |it| it.setup.ttl_seconds = 99),
        ("the length of a turn", |it| it.setup.turn_seconds = 1.0),
        ("the popularity", |it| it.setup.popularity.clear()),
    ];
    for (words, change) in changes {
        let mut results = fixture::compare();
        change(&mut results);
        let refused = baseline::compare(&results, &fixture::compare()).unwrap_err();
        assert_eq!(refused.0.len(), 1, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let refused = baseline::compare(&fixture::replay(), &fixture::compare()).unwrap_err();
    assert!(refused.to_string().contains("what was run"), "{refused}");
    assert!(baseline::compare(&fixture::capacity(), &fixture::capacity()).is_err());
}

#[test]
fn seeds_and_rounds_may_differ_and_are_told() {
    let mut results = fixture::compare();
    (results.setup.seed, results.setup.rounds) = (99, 4);
    let comparison = baseline::compare(&results, &fixture::compare()).unwrap();
    assert_eq!(comparison.notes.len(), 2, "{:?}", comparison.notes);
}
