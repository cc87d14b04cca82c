//! One flight per page, at most one more waiting, begun late enough for whoever boards it.

use std::sync::Arc;
use std::time::Duration;

use fresh_cache::{Demand, Forward, Outcome};
use futures::future::join_all;

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_in_full, revision};

const FIRST_FLIGHT: Outcome = Outcome::Forwarded {
    why: Forward::Miss,
    collapsed: false,
    stored: true,
};
const SHARED_FLIGHT: Outcome = Outcome::Forwarded {
    why: Forward::Miss,
    collapsed: true,
    stored: true,
};

#[tokio::test]
async fn a_thousand_readers_share_one_flight() {
    let rig = Rig::new();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let early = rig.many_waiting(500).await;
    stop.arrived().await;
    let late = rig.many_waiting(500).await;
    stop.release();

    let answers = join_all(early.into_iter().chain(late)).await;
    assert_eq!(answers[0].outcome, FIRST_FLIGHT);
    assert!(answers[1..].iter().all(|answer| answer.outcome == SHARED_FLIGHT));
    assert!(
        answers
            .iter()
            .all(|answer| Arc::ptr_eq(&answer.entry, &answers[0].entry))
    );
    assert_eq!(rig.world.take_requests().len(), 2, "one per source");
    assert_eq!(rig.cache.stats().flights.get(), 1);
    assert_eq!(
        (rig.cache.stats().misses.get(), rig.cache.stats().collapsed.get()),
        (1_000, 999)
    );
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    assert_eq!(rig.cache.flights(), 0, "no slot is left behind");
}

#[tokio::test]
async fn however_many_events_pass_at_most_one_flight_waits() {
    let mut rig = Rig::new();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let first = rig.waiting(Demand::Any).await;
    stop.arrived().await;
    rig.live(TICK);
    let departed = rig.clock_now();
    let mut readers = Vec::new();
    for _ in 0..10 {
        rig.live(TICK);
        rig.change(ACCOUNTS);
        readers.extend(rig.many_waiting(10).await);
    }
    rig.world.stop(ACCOUNTS, Step::Answer).release();

    let first = first.await;
    assert_eq!(revision(&first, ACCOUNTS), Some(1));
    assert!(
        first.fresh_as_of < departed,
        "a flight that an event overtook is dated by its start alone"
    );
    let answers = join_all(readers).await;
    assert!(
        answers
            .iter()
            .all(|answer| revision(answer, ACCOUNTS) == Some(11))
    );
    assert_eq!(rig.cache.stats().flights.get(), 2);
    assert_eq!(
        answers
            .iter()
            .filter(|answer| answer.outcome == FIRST_FLIGHT)
            .count(),
        1
    );
}

#[tokio::test]
async fn a_part_that_is_overtaken_keeps_a_reader_out_of_the_flight_that_kept_it() {
    let mut rig = Rig::new();
    rig.read().await;
    // A flight for the sake of metrics keeps the part of accounts; then that is overtaken.
    rig.change(METRICS);
    let stop = rig.world.stop(METRICS, Step::Answer);
    stop.hold();
    let first = rig.waiting(Demand::Any).await;
    stop.arrived().await;
    rig.change(ACCOUNTS);
    let second = rig.waiting(Demand::Any).await;
    rig.world.stop(METRICS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    assert_eq!(revision(&second.await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn an_event_during_the_wait_for_a_permit_costs_no_second_request() {
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Admit).hold();
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Admit).arrived().await;
    rig.live(TICK);
    rig.change(ACCOUNTS);
    rig.world.stop(ACCOUNTS, Step::Admit).release();
    assert_eq!(revision(&reading.await, ACCOUNTS), Some(2));
    let next = rig.read().await;
    assert_eq!(
        next.outcome,
        Outcome::Hit,
        "position and time are noted after the wait"
    );
}

#[tokio::test]
async fn a_reader_who_wants_it_afresh_gets_a_flight_that_begins_after_it_arrived_and_asks_everybody() {
    let rig = Rig::new();
    rig.read().await;
    rig.world.take_requests();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let first = rig.waiting(Demand::Afresh(&[])).await;
    stop.arrived().await;
    rig.world.mutate(ACCOUNTS, PAGE); // nobody has heard of it yet
    let second = rig.waiting(Demand::Afresh(&[])).await;
    let third = rig.waiting(Demand::Afresh(&[])).await;
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
    assert_eq!(rig.world.take_requests(), requests);
    let next = rig.read().await;
    assert_eq!(
        (next.outcome, revision(&next, ACCOUNTS)),
        (Outcome::Hit, Some(2)),
        "and it is kept"
    );
}

#[tokio::test]
async fn a_reader_who_wants_it_afresh_turns_the_waiting_flight_into_one_that_asks_everybody() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.change(ACCOUNTS);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.change(ACCOUNTS);
    let second = rig.waiting(Demand::Any).await;
    rig.world.take_requests();
    let third = rig.waiting(Demand::Afresh(&[])).await;
    let fourth = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    join_all([first, second, third, fourth]).await;
    assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(asked_in_full));
    assert_eq!(rig.cache.stats().flights.get(), 3);
}

#[tokio::test]
async fn a_reader_does_not_join_a_flight_that_has_been_in_the_air_for_a_second() {
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.live(Duration::from_millis(999));
    let second = rig.waiting(Demand::Any).await;
    rig.live(TICK);
    let third = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    let answers = join_all([first, second, third]).await;
    let collapsed = answers.iter().map(|answer| answer.outcome).map(|outcome| {
        let Outcome::Forwarded { collapsed, .. } = outcome else {
            panic!("it waited")
        };
        collapsed
    });
    assert_eq!(collapsed.collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(rig.cache.stats().flights.get(), 2);
}
