//! Each promise, broken by one change to results that keep all of them.

use std::collections::BTreeMap;

use loadtest::results::{Outcome, Quantiles, Results, StrategyResults};
use loadtest::verdict;

use crate::fixture;

fn strategy<'a>(results: &'a mut Results, name: &str) -> &'a mut StrategyResults {
    results
        .strategies
        .iter_mut()
        .find(|it| it.strategy == name)
        .unwrap()
}

/// The promise that is the worst kept of `results`, and how well; of results that differ by `change` from good ones.
fn judged(mut results: Results, change: impl FnOnce(&mut Results)) -> (Outcome, Vec<String>) {
    change(&mut results);
    let verdict = verdict::of(&results);
    let worst = verdict
        .checks
        .iter()
        .filter(|check| check.outcome == verdict.outcome);
    (
        verdict.outcome,
        worst
            .map(|check| format!("{} {}", check.promise, check.evidence))
            .collect(),
    )
}

#[track_caller]
fn expect(results: Results, change: impl FnOnce(&mut Results), outcome: Outcome, words: &[&str]) {
    let (found, checks) = judged(results, change);
    assert_eq!(found, outcome, "{checks:?}");
    assert_eq!(checks.len(), 1, "one change breaks one promise: {checks:?}");
    for word in words {
        assert!(checks[0].contains(word), "{word:?} is not in {:?}", checks[0]);
    }
}

fn compared(change: impl FnOnce(&mut Results), outcome: Outcome, words: &[&str]) {
    expect(fixture::compare(), change, outcome, words);
}

#[test]
fn good_results_pass_every_check() {
    for (results, checks) in [
        (fixture::budget(), 8),
        (fixture::compare(), 10),
        (fixture::replay(), 8),
        (fixture::capacity(), 2),
    ] {
        let verdict = verdict::of(&results);
        assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.checks);
        assert_eq!(verdict.checks.len(), checks, "{:#?}", verdict.checks);
    }
}

#[test]
fn a_late_generator_leaves_the_run_undecided() {
    let late = Quantiles {
        count: 9,
        p50: 100,
        p99: 26_000,
        ..Quantiles::default()
    };
    compared(
        |it| strategy(it, "invalidate").total.late_us = late,
        Outcome::Undecided,
        &["invalidate", "or the machine that it shares, was the limit"],
    );
    let dragging = Quantiles {
        count: 9,
        p50: 2_001,
        p99: 2_100,
        ..Quantiles::default()
    };
    compared(
        |it| strategy(it, "prepopulate").total.late_us = dragging,
        Outcome::Undecided,
        &["prepopulate", "2.00 ms (p50)"],
    );
}

#[test]
fn lateness_that_is_small_against_what_is_measured_is_no_matter() {
    let mut results = fixture::compare();
    let none = &mut strategy(&mut results, "none").total;
    none.latency_us = Quantiles {
        p50: 700_000,
        p99: 3_000_000,
        ..none.latency_us
    };
    none.late_us = Quantiles {
        count: 9,
        p50: 20_000,
        p99: 290_000,
        ..Quantiles::default()
    };
    assert_eq!(verdict::of(&results).outcome, Outcome::Pass);
}

#[test]
fn too_few_answers_leave_the_run_undecided() {
    compared(
        |it| strategy(it, "ttl").total.latency_us.count = 999,
        Outcome::Undecided,
        &["ttl 999 answers"],
    );
    compared(
        |it| it.strategies.clear(),
        Outcome::Undecided,
        &["no strategy was measured"],
    );
}

#[test]
fn failed_reads_fail_the_run_and_those_of_none_leave_it_undecided() {
    let errors = BTreeMap::from([("timeout".to_owned(), 20), ("503".to_owned(), 1)]);
    let of = |name: &'static str| {
        let errors = errors.clone();
        move |it: &mut Results| strategy(it, name).total.errors = errors
    };
    compared(of("ttl"), Outcome::Fail, &["ttl 0.11 %", "timeout 20"]);
    compared(of("none"), Outcome::Undecided, &["none 0.11 %"]);
}

#[test]
fn with_a_late_generator_neither_failures_nor_a_missed_budget_are_held_against_the_stack() {
    let overrun = |it: &mut Results| {
        for one in &mut it.strategies {
            one.total.late_us = Quantiles {
                count: 9,
                p50: 50_000,
                p99: 990_000,
                ..Quantiles::default()
            };
            one.total.latency_us.p99 = 4_000_000;
            one.total.errors.insert("timeout".to_owned(), 5_000);
            one.total.write_errors = 5_000;
        }
    };
    let (outcome, checks) = judged(fixture::compare(), overrun);
    assert_eq!((outcome, checks.len()), (Outcome::Undecided, 4), "{checks:?}");
    let mismatch = |it: &mut Results| {
        overrun(it);
        it.strategies[3].total.mismatches = 1;
    };
    assert_eq!(
        judged(fixture::compare(), mismatch).0,
        Outcome::Fail,
        "a mismatch has no such excuse"
    );
}

#[test]
fn failed_changes_fail_the_run() {
    compared(
        |it| strategy(it, "versioned").total.write_errors = 1,
        Outcome::Fail,
        &["versioned 1 of", "changes failed"],
    );
}

#[test]
fn a_promising_strategy_that_misses_the_budget_fails_and_the_problem_being_shown_does_not() {
    for name in ["versioned", "invalidate", "prepopulate"] {
        compared(
            |it| strategy(it, name).total.latency_us.p99 = 250_001,
            Outcome::Fail,
            &[name, "250 ms"],
        );
    }
    let mut results = fixture::compare();
    for name in ["none", "ttl"] {
        strategy(&mut results, name).total.latency_us.p99 = 2_000_000;
    }
    assert_eq!(verdict::of(&results).outcome, Outcome::Pass);
}

#[test]
fn with_a_source_slower_than_the_budget_marked_answers_have_to_come_in_time() {
    let slow = |it: &mut Results| {
        it.setup.injected[0].latency_ms = 300;
        for one in &mut it.strategies {
            one.total.marked = one.total.answers() / 20;
        }
    };
    let marked = judged(fixture::compare(), slow);
    assert_eq!(marked.0, Outcome::Pass, "{:?}", marked.1);
    let mostly_marked = |it: &mut Results| {
        slow(it);
        let total = &mut strategy(it, "invalidate").total;
        total.marked = total.answers() / 4;
    };
    compared(
        mostly_marked,
        Outcome::Undecided,
        &["At most 20 %", "invalidate 25"],
    );
    for (late, outcome, share) in [
        (500, Outcome::Undecided, "invalidate 99.8"),
        (50, Outcome::Fail, "invalidate 98.0"),
    ] {
        let too_late = |it: &mut Results| {
            slow(it);
            let total = &mut strategy(it, "invalidate").total;
            total.within_budget = total.reads - total.reads / late;
        };
        compared(too_late, outcome, &[share, "5.00 % marked", "300 ms"]);
    }
}

#[test]
fn of_many_kinds_of_readers_a_check_tells_the_figures_of_some() {
    let all_too_old = |it: &mut Results| {
        for one in &mut it.strategies {
            one.total.mismatches = 1;
        }
    };
    read(all_too_old, Outcome::Fail, &["wait 0 ms 1 of", "and 1 more"]);
}

fn read(change: impl FnOnce(&mut Results), outcome: Outcome, words: &[&str]) {
    expect(fixture::budget(), change, outcome, words);
}

#[test]
fn a_reader_who_waits_longer_than_it_wants_to_fails_the_run_if_it_is_one_in_a_thousand() {
    let late = |count: u64| move |it: &mut Results| it.strategies[1].beyond_wait.0.push((25_001, count));
    let all: u64 = fixture::budget()
        .strategies
        .iter()
        .map(|it| it.total.answers())
        .sum();
    let (tolerated, outcome) = (all / 1000, judged(fixture::budget(), late(all / 1000)).0);
    assert_eq!(outcome, Outcome::Pass, "{tolerated} of {all}");
    read(
        late(all / 500),
        Outcome::Fail,
        &["had it later", "25.0 ms beyond", "wait 100 ms"],
    );
    let few = |it: &mut Results| {
        for one in &mut it.strategies {
            one.beyond_wait.0 = vec![(0, 100)];
        }
    };
    read(few, Outcome::Undecided, &["0 of 600 had it later"]);
}

#[test]
fn an_unmarked_answer_that_is_older_than_its_reader_accepts_fails_the_run() {
    let too_old = |it: &mut Results| it.strategies[4].total.too_old = 1;
    read(too_old, Outcome::Fail, &["wait 100 ms, 5 s old 1 of"]);
}

#[test]
fn the_date_has_to_be_true_for_readers_with_a_wait_too() {
    let mismatch = |it: &mut Results| it.strategies[0].total.mismatches = 1;
    read(mismatch, Outcome::Fail, &["Fresh-As-Of", "wait 0 ms 1 of"]);
    let stale = |it: &mut Results| it.strategies[5].total.stale = 1;
    read(
        stale,
        Outcome::Fail,
        &["its reader's max-age", "wait 900 ms, 5 s old 1 of"],
    );
}

#[test]
fn a_stale_page_fails_the_run_except_of_a_ttl() {
    for name in ["none", "versioned", "invalidate", "prepopulate"] {
        compared(
            |it| strategy(it, name).total.stale = 1,
            Outcome::Fail,
            &[name, "1 of 19,600", "without saying so"],
        );
    }
    assert!(
        strategy(&mut fixture::compare(), "ttl").total.stale > 0,
        "the good results have stale pages of a TTL"
    );
}

#[test]
fn a_mismatch_fails_the_run_of_a_ttl_too() {
    for name in ["none", "ttl", "versioned", "invalidate", "prepopulate"] {
        compared(
            |it| strategy(it, name).total.mismatches = 2,
            Outcome::Fail,
            &[name, "2 of 19,600", "Fresh-As-Of"],
        );
        expect(
            fixture::replay(),
            |it| strategy(it, name).total.mismatches = 2,
            Outcome::Fail,
            &[name],
        );
    }
}

#[test]
fn without_changes_nothing_can_be_said_of_truth() {
    let (outcome, checks) = judged(fixture::compare(), |it| {
        for one in &mut it.strategies {
            one.total.writes = 0;
            (one.total.stale, one.total.behind) = (0, 0);
        }
    });
    assert_eq!((outcome, checks.len()), (Outcome::Undecided, 2), "{checks:?}");
}

#[test]
fn many_marked_pages_leave_the_truth_undecided() {
    compared(
        |it| strategy(it, "invalidate").total.marked = 300,
        Outcome::Undecided,
        &["invalidate 1.53 %"],
    );
}

#[test]
fn a_change_that_was_never_shown_fails_the_run_except_of_a_ttl() {
    compared(
        |it| strategy(it, "prepopulate").total.never_visible = 1,
        Outcome::Fail,
        &["prepopulate 1 of 100 missed"],
    );
    let ttl = judged(fixture::compare(), |it| {
        strategy(it, "ttl").total.never_visible = 50;
    });
    assert_eq!(ttl.0, Outcome::Pass);
    // Two loads of a slow source take longer than the search.
    let mut slow = fixture::compare();
    slow.setup.injected[0].latency_ms = 500;
    strategy(&mut slow, "versioned").total.never_visible = 1;
    assert_eq!(verdict::of(&slow).outcome, Outcome::Pass);
}

#[test]
fn a_cache_that_does_not_spare_the_sources_fails() {
    compared(
        |it| strategy(it, "invalidate").total.work.upstream_requests = Some(19_600 * 4),
        Outcome::Fail,
        &["invalidate 4.00 of 3.00"],
    );
    compared(
        |it| strategy(it, "none").total.work.upstream_requests = None,
        Outcome::Undecided,
        &["was not counted"],
    );
}

#[test]
fn a_search_that_the_generator_ended_is_undecided() {
    expect(
        fixture::capacity(),
        |it| it.capacity[4].generator_limited = true,
        Outcome::Undecided,
        &["prepopulate holds at least 4,700", "the generator was the limit"],
    );
    let (outcome, checks) = judged(fixture::capacity(), |it| it.capacity[0].generator_limited = true);
    assert_eq!(
        (outcome, checks.len()),
        (Outcome::Undecided, 2),
        "what none holds is then unknown: {checks:?}"
    );
}

#[test]
fn a_search_without_a_limit_is_undecided() {
    expect(
        fixture::capacity(),
        |it| it.capacity[1].missed = None,
        Outcome::Undecided,
        &["ttl held all that was tried, up to 3,800"],
    );
    expect(
        fixture::capacity(),
        |it| it.capacity[0].held = None,
        Outcome::Undecided,
        &["none did not hold even 470"],
    );
    let (outcome, checks) = judged(fixture::capacity(), |it| it.capacity.clear());
    assert_eq!(outcome, Outcome::Undecided, "{checks:?}");
}

#[test]
fn a_cache_that_raises_no_limit_fails() {
    expect(
        fixture::capacity(),
        |it| it.capacity[3].held = Some(420.0),
        Outcome::Fail,
        &["invalidate 420, and without 420 reads/s"],
    );
}
