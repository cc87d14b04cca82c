//! The promise, under every kind of fault; that the faults are worth it, by what they do to a cache without it; and that a
//! broken promise is found.

use clap::Parser as _;
use faults::check::Rule;
use faults::config::Config;
use faults::history::Subject;
use faults::report::{Report, Verdict};
use faults::run::run;
use faults::schedule::Schedule;

use crate::one_at_a_time;

/// Any other would do: none is known to fail.
const SEED: u64 = 3;

async fn short_run(rounds: usize, more: &[&str]) -> Report {
    let _turn = one_at_a_time().await;
    let rounds = rounds.to_string();
    let arguments = ["faults", "--pace", "short", "--rounds", &rounds];
    let config = Config::parse_from([&arguments, more].concat());
    let mut report = Report::default();
    run(&config, SEED, &mut report).await;
    println!("{report}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_keeps_its_promises_under_faults_that_the_naive_page_does_not_survive() {
    let pace = Config::parse_from(["faults", "--pace", "short"]).pace();
    let lap = Schedule::lap(&pace);
    let mut report = short_run(lap, &[]).await;
    assert_eq!(report.verdict(), Verdict::Kept);
    assert_eq!(
        report.kinds.len(),
        pace.kinds.len(),
        "every kind of fault was injected"
    );
    let exercised = report.exercised;
    let preferred = report.tally(Subject::Page).preferred;
    for (what, count) in [
        ("dated", exercised.dated_fragments),
        ("ordered", exercised.ordered_fragments),
        ("in the dark", exercised.unproven_fragments),
        ("contents", exercised.contents),
        ("of deleted accounts", exercised.deleted),
        ("asked with a token", exercised.tokens),
        ("due within a wait", exercised.waits),
        ("accepted by their age", exercised.aged),
        ("of readers that did not wait longer", preferred.timed_out),
        ("from memory alone", preferred.from_memory),
    ] {
        assert!(count > 0, "nothing to check: {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_believes_itself_for_a_while_is_found_out() {
    let report = short_run(
        1,
        &["--page-1=--strategy ttl --ttl-seconds 30", "--calm-within", "1"],
    )
    .await;
    assert_eq!(report.verdict(), Verdict::Broken);
    for rule in [Rule::TooOld, Rule::StaleUnmarked, Rule::NotConverged] {
        assert!(
            report.broken.contains_key(&(Subject::Page, rule)),
            "{rule}: {:?}",
            report.broken
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_at_every_read_becomes_right_without_a_hit() {
    let report = short_run(2, &["--strategy", "versioned"]).await;
    assert!(
        report
            .broken
            .keys()
            .all(|(subject, _)| *subject == Subject::Naive),
        "{:?}",
        report.broken
    );
    assert_eq!(report.convergences.len(), 4, "two replicas in two rounds");
}
