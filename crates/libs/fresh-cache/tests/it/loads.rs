//! One load per page, at most one more waiting, begun late enough for every reader who joins it.

use std::sync::Arc;
use std::time::Duration;

use fresh_cache::{Consistency, Forward, Outcome};
use futures::future::join_all;

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_in_full, revision};

const LOADED: Outcome = Outcome::Forwarded {
    why: Forward::Miss,
    collapsed: false,
    stored: true,
};
const COLLAPSED: Outcome = Outcome::Forwarded {
    why: Forward::Miss,
    collapsed: true,
    stored: true,
};

#[tokio::test]
async fn a_thousand_readers_share_one_load() {
    let replica = Replica::new();
    let stop = replica.sources.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let early = replica.many_waiting(500).await;
    stop.arrived().await;
    let late = replica.many_waiting(500).await;
    stop.release();

    let answers = join_all(early.into_iter().chain(late)).await;
    assert_eq!(answers[0].outcome, LOADED);
    assert!(answers[1..].iter().all(|answer| answer.outcome == COLLAPSED));
    assert!(
        answers
            .iter()
            .all(|answer| Arc::ptr_eq(&answer.page, &answers[0].page))
    );
    assert_eq!(replica.sources.take_requests().len(), 2, "one per source");
    assert_eq!(replica.cache.stats().loads.get(), 1);
    assert_eq!(
        (
            replica.cache.stats().misses.get(),
            replica.cache.stats().collapsed.get()
        ),
        (1_000, 999)
    );
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    assert_eq!(replica.cache.loads_in_flight(), 0, "no fence is left behind");
}

#[tokio::test]
async fn however_many_events_come_at_most_one_load_waits() {
    let mut replica = Replica::new();
    let stop = replica.sources.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    stop.arrived().await;
    replica.live(TICK);
    let started_at = replica.clock_now();
    let mut readers = Vec::new();
    for _ in 0..10 {
        replica.live(TICK);
        replica.change(ACCOUNTS);
        readers.extend(replica.many_waiting(10).await);
    }
    replica.sources.stop(ACCOUNTS, Step::Answer).release();

    let first = first.await;
    assert_eq!(revision(&first, ACCOUNTS), Some(1));
    assert!(
        first.fresh_as_of < started_at,
        "a load that an event overtook is dated by its start alone"
    );
    let answers = join_all(readers).await;
    assert!(
        answers
            .iter()
            .all(|answer| revision(answer, ACCOUNTS) == Some(11))
    );
    assert_eq!(replica.cache.stats().loads.get(), 2);
    assert_eq!(
        answers.iter().filter(|answer| answer.outcome == LOADED).count(),
        1
    );
}

#[tokio::test]
async fn a_fragment_that_is_overtaken_keeps_a_reader_out_of_the_load_that_kept_it() {
    let mut replica = Replica::new();
    replica.read().await;
    // A load for the sake of metrics keeps the fragment of accounts; then that is overtaken.
    replica.change(METRICS);
    let stop = replica.sources.stop(METRICS, Step::Answer);
    stop.hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    stop.arrived().await;
    replica.change(ACCOUNTS);
    let second = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(METRICS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    assert_eq!(revision(&second.await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn an_event_during_the_wait_for_a_permit_costs_no_second_request() {
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Admit).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Admit).arrived().await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica.sources.stop(ACCOUNTS, Step::Admit).release();
    assert_eq!(revision(&reading.await, ACCOUNTS), Some(2));
    let next = replica.read().await;
    assert_eq!(
        next.outcome,
        Outcome::Hit,
        "position and time are noted after the wait"
    );
}

#[tokio::test]
async fn a_reader_who_wants_full_consistency_gets_a_load_that_starts_after_it_arrived_and_asks_every_source()
{
    let replica = Replica::new();
    replica.read().await;
    replica.sources.take_requests();
    let stop = replica.sources.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let first = replica.waiting(Consistency::FullyConsistent(&[])).await;
    stop.arrived().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // its event has not come yet
    let second = replica.waiting(Consistency::FullyConsistent(&[])).await;
    let third = replica.waiting(Consistency::FullyConsistent(&[])).await;
    stop.release();

    let why = Forward::Request;
    let (first, second, third) = (first.await, second.await, third.await);
    assert_eq!(
        first.outcome,
        Outcome::Forwarded {
            why,
            collapsed: false,
            stored: true
        }
    );
    assert_eq!(revision(&first, ACCOUNTS), Some(1));
    assert_eq!(
        second.outcome,
        Outcome::Forwarded {
            why,
            collapsed: false,
            stored: true
        }
    );
    assert_eq!(
        third.outcome,
        Outcome::Forwarded {
            why,
            collapsed: true,
            stored: true
        }
    );
    assert_eq!(revision(&second, ACCOUNTS), Some(2));
    let requests = [ACCOUNTS, METRICS, ACCOUNTS, METRICS].map(asked_in_full);
    assert_eq!(replica.sources.take_requests(), requests);
    let next = replica.read().await;
    assert_eq!(
        (next.outcome, revision(&next, ACCOUNTS)),
        (Outcome::Hit, Some(2)),
        "and it is kept"
    );
}

#[tokio::test]
async fn a_reader_who_wants_full_consistency_turns_the_waiting_load_into_one_that_asks_every_source() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.change(ACCOUNTS);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.change(ACCOUNTS);
    let second = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.take_requests();
    let third = replica.waiting(Consistency::FullyConsistent(&[])).await;
    let fourth = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    join_all([first, second, third, fourth]).await;
    assert_eq!(
        replica.sources.take_requests(),
        [ACCOUNTS, METRICS].map(asked_in_full)
    );
    assert_eq!(replica.cache.stats().loads.get(), 3);
}

#[tokio::test]
async fn a_reader_does_not_join_a_load_that_has_been_in_flight_for_a_second() {
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.live(Duration::from_millis(999));
    let second = replica.waiting(Consistency::MinimizeLatency).await;
    replica.live(TICK);
    let third = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    let answers = join_all([first, second, third]).await;
    let collapsed = answers.iter().map(|answer| answer.outcome).map(|outcome| {
        let Outcome::Forwarded { collapsed, .. } = outcome else {
            panic!("it waited")
        };
        collapsed
    });
    assert_eq!(collapsed.collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(replica.cache.stats().loads.get(), 2);
}
