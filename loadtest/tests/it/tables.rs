//! The text for the terminal.

use loadtest::results::{Numbers, Outcome, Results};
use loadtest::{table, verdict};

use crate::fixture;

fn row<'a>(text: &'a str, title: &str, strategy: &str) -> Vec<&'a str> {
    let below = text.split_once(title).unwrap().1;
    let line = below
        .lines()
        .find(|line| line.trim_start().starts_with(strategy))
        .unwrap();
    line.split_whitespace().collect()
}

#[test]
fn every_line_fits_the_terminal() {
    for results in [fixture::compare(), fixture::replay(), fixture::capacity()] {
        let text = table::render(&results);
        for line in text.lines() {
            assert!(
                line.chars().count() <= 120,
                "{} columns: {line}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn figures_stand_in_the_row_of_their_strategy_in_the_unit_of_the_head() {
    let mut results = fixture::compare();
    let ttl = &mut results.strategies[1].total;
    ttl.latency_us.p50 = 1_234_567;
    ttl.stale = 77;
    ttl.work.upstream_requests = Some(ttl.latency_us.count * 2);
    let text = table::render(&results);
    assert_eq!(row(&text, "Latency in ms", "ttl")[3], "1,235");
    assert_eq!(row(&text, "Staleness", "ttl")[5], "77");
    assert_eq!(row(&text, "The cache", "ttl")[3], "2.00");
}

#[test]
fn what_was_not_measured_is_a_dash_and_what_was_none_is_a_zero() {
    let mut results = fixture::compare();
    let none = &mut results.strategies[0].total;
    none.work.upstream_requests = None;
    none.visible_us = None;
    none.work.cpu_us.remove("nats");
    let text = table::render(&results);
    assert_eq!(
        row(&text, "The cache", "none")[1..],
        ["0", "1.00", "-", "1.00", "-", "-"]
    );
    assert_eq!(row(&text, "Changes, and the time", "none")[5..], ["-"; 5]);
    assert_eq!(row(&text, "CPU time", "none")[5], "-");
    assert_eq!(
        row(&text, "Staleness", "none")[1..],
        ["19,600", "0", "0", "0", "0", "0", "-", "-", "-", "-", "-"]
    );
}

#[test]
fn the_verdict_is_told_in_words_with_what_it_is_due_to() {
    let mut results = fixture::compare();
    results.strategies[3].total.stale = 3;
    results.verdict = verdict::of(&results);
    let text = table::render(&results);
    assert!(
        text.contains("Verdict: FAIL. 1 of 10 promises not kept: Without a TTL, no page lacked"),
        "{text}"
    );
    let failed = text.lines().find(|line| line.starts_with("  FAIL")).unwrap();
    assert!(failed.contains("invalidate 3 of 19,600"), "{failed}");
    assert_eq!(results.verdict.outcome, Outcome::Fail);
}

#[test]
fn results_of_nothing_are_told_as_well() {
    let empty = |it: &mut Results| {
        it.strategies.truncate(1);
        it.strategies[0].total = Numbers::default();
        it.strategies[0].rounds.clear();
    };
    let mut results = fixture::compare();
    empty(&mut results);
    results.verdict = verdict::of(&results);
    let text = table::render(&results);
    assert_eq!(
        row(&text, "Latency in ms", "none")[1..],
        ["0", "-", "-", "-", "-", "-", "-", "-", "-", "-"]
    );
    assert!(text.contains("Verdict: undecided."));
}
