//! The load is what was planned, and what it found is what happened.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use loadtest::generator::{Limits, drive};
use loadtest::plan::{Plan, Planner};

use crate::fake::Fake;

const LIMITS: Limits = Limits {
    budget: Duration::from_millis(250),
    in_flight: 1000,
};
const STALL: Duration = Duration::from_millis(400);

fn plan(rate: f64, reads_per_write: f64, ms: u64) -> Plan {
    Planner::new(1, Arc::new([0]), reads_per_write).turn(rate, Duration::from_millis(ms))
}

#[tokio::test]
async fn everything_that_was_planned_is_asked_and_counted() {
    let fake = Fake::spawn().await;
    let plan = plan(300.0, 4.0, 700);
    let numbers = drive(&fake.target(), &plan, LIMITS).await.numbers();
    assert_eq!(numbers.reads, plan.reads() as u64);
    assert_eq!(numbers.writes, plan.writes() as u64);
    assert_eq!((numbers.errors.len(), numbers.write_errors), (0, 0));
    assert_eq!(numbers.outcomes["hit"], numbers.reads);
    assert_eq!(numbers.latency_us.count, numbers.reads);
    assert_eq!(numbers.late_us.count, numbers.reads + numbers.writes);
    assert!(numbers.seconds >= 0.7, "{}", numbers.seconds);
    assert_eq!((numbers.mismatches, numbers.marked), (0, 0));
}

#[tokio::test]
async fn a_stall_counts_for_everyone_who_was_due_in_it() {
    let fake = Fake::spawn().await;
    *fake.behaviour.stalled_until.lock().unwrap() = Some(Instant::now() + STALL);
    let plan = plan(250.0, f64::INFINITY, 1000);
    let tally = drive(&fake.target(), &plan, LIMITS).await;
    // Those that were due in the first half of the stall waited for at least the other half.
    let due = plan.arrivals.iter().filter(|arrival| arrival.at < STALL / 2);
    let bars = tally.latency().0;
    let slow = bars.iter().filter(|(micros, _)| *micros > 150_000);
    let slow: u64 = slow.map(|(_, count)| count).sum();
    assert!(slow >= due.count() as u64, "{slow}");
    assert!(tally.numbers().latency_us.p90 > 150_000);
}

#[tokio::test(flavor = "current_thread")]
async fn a_generator_that_stands_still_says_that_it_was_late_and_counts_it_as_latency() {
    let fake = Fake::spawn().await;
    let (target, plan) = (fake.target(), plan(250.0, f64::INFINITY, 1000));
    let stall = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The only thread that the runtime has.
        thread::sleep(STALL);
    };
    let (tally, ()) = tokio::join!(drive(&target, &plan, LIMITS), stall);
    let numbers = tally.numbers();
    assert_eq!(numbers.reads, plan.reads() as u64, "nothing is left out");
    assert!(numbers.late_us.p90 > 200_000, "{:?}", numbers.late_us);
    assert!(numbers.latency_us.p90 > 200_000, "{:?}", numbers.latency_us);
}

#[tokio::test]
async fn what_is_too_much_at_once_is_not_sent_and_counts_as_failed() {
    let fake = Fake::spawn().await;
    *fake.behaviour.stalled_until.lock().unwrap() = Some(Instant::now() + Duration::from_secs(1));
    let plan = plan(250.0, f64::INFINITY, 500);
    let limits = Limits {
        in_flight: 10,
        ..LIMITS
    };
    let numbers = drive(&fake.target(), &plan, limits).await.numbers();
    assert_eq!(numbers.reads, plan.reads() as u64);
    assert_eq!(numbers.latency_us.count, 10);
    assert_eq!(numbers.errors["not sent: 10 in flight"], numbers.reads - 10);
    assert!(
        numbers.seconds > 0.9,
        "the last answer came after the turn: {}",
        numbers.seconds
    );
}

#[tokio::test]
async fn refusals_are_errors_by_their_status() {
    let fake = Fake::spawn().await;
    *fake.behaviour.refusing.lock().unwrap() = true;
    let numbers = drive(&fake.target(), &plan(100.0, f64::INFINITY, 300), LIMITS)
        .await
        .numbers();
    assert_eq!(numbers.errors["503"], numbers.reads);
    assert_eq!((numbers.latency_us.count, numbers.within_budget), (0, 0));
}

#[tokio::test]
async fn old_pages_are_behind_then_stale_and_mismatches_only_if_they_are_dated_so() {
    let fake = Fake::spawn().await;
    *fake.behaviour.frozen_at.lock().unwrap() = Some(0);
    let target = fake.target();
    let stale = drive(&target, &plan(200.0, 4.0, 1500), LIMITS).await.numbers();
    assert!(stale.behind > 100 && stale.behind <= stale.reads, "{stale:?}");
    assert!(stale.stale > 20 && stale.stale < stale.behind, "{stale:?}");
    assert!(
        stale.mismatches > 100,
        "it is dated now, and shows what was before: {stale:?}"
    );

    *fake.behaviour.status.lock().unwrap() = Some("hit; detail=\"accounts stale\"");
    let marked = drive(&target, &plan(200.0, 4.0, 300), LIMITS).await.numbers();
    assert_eq!(marked.marked, marked.reads);
    assert_eq!((marked.behind, marked.stale), (0, 0));
    assert_eq!(marked.mismatches, marked.reads, "a mark does not excuse a date");

    *fake.behaviour.frozen_at.lock().unwrap() = None;
    *fake.behaviour.status.lock().unwrap() = None;
    let fresh = drive(&target, &plan(200.0, 4.0, 300), LIMITS).await.numbers();
    assert_eq!((fresh.behind, fresh.stale, fresh.mismatches), (0, 0, 0));
    assert_eq!(fresh.behind_us, None);
}
