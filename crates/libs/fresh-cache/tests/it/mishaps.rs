//! Readers that leave, pages that are evicted, panics, and runtimes that end: none of it spoils a flight for the others.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use fresh_cache::{CacheOptions, Demand, Forward, Outcome};
use futures::FutureExt as _;
use tracing::span::Id;
use tracing::{Instrument as _, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::held_sources::{Request, Step, Trouble};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, revision};

#[tokio::test]
async fn readers_that_go_away_cancel_nothing() {
    let rig = Rig::new();
    let stop = rig.world.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let readers = rig.many_waiting(3).await;
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
async fn a_page_too_heavy_to_be_kept_removes_the_older_one() {
    let rig = Rig::with(CacheOptions {
        max_bytes: 10,
        ..CacheOptions::default()
    });
    rig.read().await;
    rig.world.mutate(ACCOUNTS, PAGE); // nobody has heard of it yet, so the resident page is proven
    rig.world.weight.store(11, Ordering::SeqCst);
    let afresh = rig.reading(Demand::Afresh(&[])).await;
    let why = Forward::Request;
    assert_eq!(
        afresh.outcome,
        Outcome::Forwarded {
            why,
            collapsed: false,
            stored: false
        }
    );
    assert_eq!(revision(&afresh, ACCOUNTS), Some(2));
    assert_eq!(
        revision(&rig.read().await, ACCOUNTS),
        Some(2),
        "it went back in time"
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
    rig.cache.forget(&PAGE);
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
    let readers = rig.many_waiting(3).await;
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

/// Notes which span follows from which, by their names.
#[derive(Clone, Default)]
struct Follows(Arc<Mutex<Vec<[&'static str; 2]>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Follows {
    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let names = [span, follows].map(|id| context.span(id).unwrap().name());
        self.0.lock().unwrap().push(names);
    }
}

#[tokio::test]
async fn the_span_of_a_reader_follows_from_the_flight_of_another_and_never_from_itself() {
    let follows = Follows::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(follows.clone()));
    let mut rig = Rig::new();
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let [first, second] = [
        tracing::info_span!("first reader"),
        tracing::info_span!("second reader"),
    ];
    let mut readers = Vec::new();
    readers.push(rig.waiting(Demand::Any).instrument(first.clone()).await);
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    // These join the flight in the air: one of the same span, one of another, one of none.
    readers.push(rig.waiting(Demand::Any).instrument(first.clone()).await);
    readers.push(rig.waiting(Demand::Any).instrument(second.clone()).await);
    readers.push(rig.waiting(Demand::Any).await);
    // The second reader begins what the first joins before it is in the air.
    rig.change(ACCOUNTS);
    readers.push(rig.waiting(Demand::Any).instrument(second.clone()).await);
    readers.push(rig.waiting(Demand::Any).instrument(first.clone()).await);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    futures::future::join_all(readers).await;
    let expected = [
        ["second reader", "first reader"],
        ["first reader", "second reader"],
    ];
    assert_eq!(*follows.0.lock().unwrap(), expected);
}
