//! One flight per page, at most one more waiting, and nobody's leaving, panic or eviction spoils it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fresh_cache::{CacheOptions, Demand, Forward, Outcome};
use futures::FutureExt as _;
use futures::future::join_all;

use crate::rig::{ACCOUNTS, METRICS, PAGE, Reading, Request, Rig, Step, TICK, Trouble, revision};

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

async fn waiting(rig: &Rig, count: usize) -> Vec<Reading> {
    let mut readings = Vec::new();
    for _ in 0..count {
        readings.push(rig.waiting(Demand::Any).await);
    }
    readings
}

#[tokio::test]
async fn a_thousand_readers_share_one_flight() {
    let rig = Rig::new();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let early = waiting(&rig, 500).await;
    stop.arrived().await;
    let late = waiting(&rig, 500).await;
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
        readers.extend(waiting(&rig, 10).await);
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
async fn readers_that_go_away_cancel_nothing() {
    let rig = Rig::new();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let readers = waiting(&rig, 3).await;
    stop.arrived().await;
    drop(readers);
    stop.release();
    rig.landed().await;
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    assert_eq!(rig.world.take_requests().len(), 2);
}

#[tokio::test]
async fn readers_that_boarded_and_went_away_cancel_nothing_either() {
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.change(ACCOUNTS);
    drop(rig.waiting(Demand::Any).await);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    rig.landed().await;
    let next = rig.read().await;
    assert_eq!((next.outcome, revision(&next, ACCOUNTS)), (Outcome::Hit, Some(2)));
}

#[tokio::test]
async fn a_reader_who_wants_it_afresh_gets_a_flight_that_begins_after_it_arrived_and_asks_everybody() {
    let rig = Rig::new();
    rig.read().await;
    rig.world.take_requests();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let first = rig.waiting(Demand::Afresh).await;
    stop.arrived().await;
    rig.world.mutate(ACCOUNTS, PAGE); // nobody has heard of it yet
    let second = rig.waiting(Demand::Afresh).await;
    let third = rig.waiting(Demand::Afresh).await;
    stop.release();

    let why = Forward::Bypass;
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
    let unconditional = |source| Request { source, known: None };
    let requests = [ACCOUNTS, METRICS, ACCOUNTS, METRICS].map(unconditional);
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
    let third = rig.waiting(Demand::Afresh).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    join_all([first, second, third]).await;
    let unconditional = |source| Request { source, known: None };
    assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(unconditional));
    assert_eq!(rig.cache.stats().flights.get(), 3);
}

#[tokio::test]
async fn a_flight_knows_what_landed_before_it_in_the_same_slot_though_it_was_evicted() {
    // A cache that keeps nothing evicts everything at once.
    let mut rig = Rig::with(CacheOptions {
        max_bytes: 0,
        ..CacheOptions::default()
    });
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.hearing.changed(ACCOUNTS, PAGE);
    let second = rig.waiting(Demand::Any).await;
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Lags(1)));
    rig.world.take_requests();
    rig.world.stop(ACCOUNTS, Step::Answer).release();

    let first = first.await;
    assert_eq!(revision(&first, ACCOUNTS), Some(2));
    assert_eq!(
        first.outcome,
        Outcome::Forwarded {
            why: Forward::Miss,
            collapsed: false,
            stored: false
        }
    );
    let second = second.await;
    assert_eq!(revision(&second, ACCOUNTS), Some(2), "it went back in time");
    assert_eq!(
        second.degraded().next(),
        Some((ACCOUNTS, "answered with revision 1, after revision 2"))
    );
    // Metrics was not overtaken: its part is kept, though it is resident nowhere.
    assert_eq!(
        rig.world.take_requests(),
        [Request {
            source: ACCOUNTS,
            known: Some(2)
        }]
    );
}

#[tokio::test]
async fn a_page_evicted_during_its_revalidation_is_whole_again_after_it() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.hearing.changed(ACCOUNTS, PAGE);
    rig.world.stop(ACCOUNTS, Step::Ask).hold();
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Ask).arrived().await;
    rig.cache.forget(&PAGE).await;
    rig.world.stop(ACCOUNTS, Step::Ask).release();
    let answer = reading.await;
    assert_eq!(answer.entry.page(), &[Some(1), Some(1)]);
    assert_eq!(rig.cache.stats().not_modified.get(), 1);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_panic_in_a_fetch_costs_its_part_alone() {
    let rig = Rig::new();
    rig.world
        .set(METRICS, |source| source.trouble = Some(Trouble::Panics));
    let answer = rig.read().await;
    assert_eq!(answer.entry.page(), &[Some(1), None]);
    let (source, reason) = answer.degraded().next().expect("it is said");
    assert_eq!(source, METRICS);
    assert!(reason.starts_with("panicked: "), "{reason}");
    rig.world.set(METRICS, |source| source.trouble = None);
    assert_eq!(rig.read().await.entry.page(), &[Some(1), Some(1)]);
    assert_eq!(rig.cache.stats().panics.get(), 1);
}

#[tokio::test]
async fn a_panic_in_render_reaches_every_reader_and_wedges_nothing() {
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let readers = waiting(&rig, 3).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.change(ACCOUNTS);
    let next = rig.waiting(Demand::Any).await;
    rig.world.on_next_render(|| panic!("no ink"));
    rig.world.stop(ACCOUNTS, Step::Answer).release();

    for reader in readers {
        let panic = AssertUnwindSafe(reader)
            .catch_unwind()
            .await
            .expect_err("it is passed on");
        assert_eq!(
            panic.downcast_ref::<String>().expect("a message"),
            "the composer panicked: no ink"
        );
    }
    assert_eq!(
        revision(&next.await, ACCOUNTS),
        Some(2),
        "the flight that waited flies all the same"
    );
    assert_eq!(rig.cache.flights(), 0);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[test]
fn a_flight_that_dies_with_its_runtime_is_flown_again_on_the_readers_own() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (doomed, alive) = (runtime(), runtime());
    let rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let mut reader = rig.reading(Demand::Any);
    doomed.block_on(async {
        assert!(futures::poll!(&mut reader).is_pending());
        rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    });
    drop(doomed);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    let answer = alive.block_on(reader);
    assert_eq!(answer.entry.page(), &[Some(1), Some(1)]);
    assert_eq!(rig.cache.flights(), 0);
}

#[tokio::test]
async fn the_requests_of_a_flight_belong_to_the_span_of_the_reader_who_asked_for_it() {
    use tracing::Instrument as _;
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry());
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let mut first = Box::pin(
        rig.reading(Demand::Any)
            .instrument(tracing::info_span!("first reader")),
    );
    assert!(futures::poll!(&mut first).is_pending());
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.change(ACCOUNTS);
    let mut second = Box::pin(
        rig.reading(Demand::Any)
            .instrument(tracing::info_span!("second reader")),
    );
    assert!(futures::poll!(&mut second).is_pending());
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    first.await;
    second.await;
    let spans = rig.world.spans.lock().unwrap().clone();
    assert_eq!(spans, ["first reader", "first reader", "second reader"]);
}
