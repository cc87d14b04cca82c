//! Readers that leave, pages that are evicted, panics, and runtimes that end: none of it spoils a load for the others.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use fresh_cache::{CacheOptions, Consistency, Forward, Outcome};
use futures::FutureExt as _;
use tracing::span::Id;
use tracing::{Instrument as _, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::held_sources::{Fault, Request, Step};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, revision};

#[tokio::test]
async fn readers_that_go_away_cancel_nothing() {
    let replica = Replica::new();
    let stop = replica.sources.stop(ACCOUNTS, Step::Answer);
    stop.hold();
    let readers = replica.many_waiting(3).await;
    stop.arrived().await;
    drop(readers);
    stop.release();
    replica.loaded().await;
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    assert_eq!(replica.sources.take_requests().len(), 2);
}

#[tokio::test]
async fn readers_that_wait_for_the_next_load_and_go_away_cancel_nothing_either() {
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.change(ACCOUNTS);
    drop(replica.waiting(Consistency::MinimizeLatency).await);
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    replica.loaded().await;
    let next = replica.read().await;
    assert_eq!((next.outcome, revision(&next, ACCOUNTS)), (Outcome::Hit, Some(2)));
}

#[tokio::test]
async fn a_load_knows_what_was_loaded_before_it_by_the_same_task_though_it_was_evicted() {
    // A cache that keeps nothing evicts everything at once.
    let mut replica = Replica::with(CacheOptions {
        max_bytes: 0,
        ..CacheOptions::default()
    });
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.writer.changed(ACCOUNTS, &PAGE);
    let second = replica.waiting(Consistency::MinimizeLatency).await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Lags(1)));
    replica.sources.take_requests();
    replica.sources.stop(ACCOUNTS, Step::Answer).release();

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
    // Metrics was not overtaken: its fragment is kept, though it is resident nowhere.
    assert_eq!(
        replica.sources.take_requests(),
        [Request {
            source: ACCOUNTS,
            known: Some(2)
        }]
    );
}

#[tokio::test]
async fn a_page_too_heavy_to_be_kept_removes_the_older_one() {
    let replica = Replica::with(CacheOptions {
        max_bytes: 10,
        ..CacheOptions::default()
    });
    replica.read().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // its event has not come yet, so the resident page is fresh
    replica.sources.weight.store(11, Ordering::SeqCst);
    let full = replica.reading(Consistency::FullyConsistent(&[])).await;
    let why = Forward::Request;
    assert_eq!(
        full.outcome,
        Outcome::Forwarded {
            why,
            collapsed: false,
            stored: false
        }
    );
    assert_eq!(revision(&full, ACCOUNTS), Some(2));
    assert_eq!(
        revision(&replica.read().await, ACCOUNTS),
        Some(2),
        "it went back in time"
    );
}

#[tokio::test]
async fn a_page_evicted_during_its_revalidation_is_whole_again_after_it() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.writer.changed(ACCOUNTS, &PAGE);
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Ask).arrived().await;
    replica.cache.evict(&PAGE);
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    let answer = reading.await;
    assert_eq!(answer.page.content(), &[Some(1), Some(1)]);
    assert_eq!(replica.cache.stats().not_modified.get(), 1);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_panic_in_a_fetch_costs_its_fragment_alone() {
    let replica = Replica::new();
    replica
        .sources
        .set(METRICS, |source| source.fault = Some(Fault::Panics));
    let answer = replica.read().await;
    assert_eq!(answer.page.content(), &[Some(1), None]);
    let (source, reason) = answer.degraded().next().expect("it is said");
    assert_eq!(source, METRICS);
    assert!(reason.starts_with("panicked: "), "{reason}");
    replica.sources.set(METRICS, |source| source.fault = None);
    assert_eq!(replica.read().await.page.content(), &[Some(1), Some(1)]);
    assert_eq!(replica.cache.stats().panics.get(), 1);
}

#[tokio::test]
async fn a_panic_in_compose_reaches_every_reader_and_wedges_nothing() {
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let readers = replica.many_waiting(3).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.change(ACCOUNTS);
    let next = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.on_next_compose(|| panic!("no ink"));
    replica.sources.stop(ACCOUNTS, Step::Answer).release();

    for reader in readers {
        let panic = AssertUnwindSafe(reader)
            .catch_unwind()
            .await
            .expect_err("it is passed on");
        assert_eq!(
            panic.downcast_ref::<String>().expect("a message"),
            "the loader panicked: no ink"
        );
    }
    assert_eq!(
        revision(&next.await, ACCOUNTS),
        Some(2),
        "the load that waited starts all the same"
    );
    assert_eq!(replica.cache.loads_in_flight(), 0);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[test]
fn a_load_that_dies_with_its_runtime_is_started_again_on_the_readers_own() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (doomed, alive) = (runtime(), runtime());
    let replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let mut reader = replica.reading(Consistency::MinimizeLatency);
    doomed.block_on(async {
        assert!(futures::poll!(&mut reader).is_pending());
        replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    });
    drop(doomed);
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    let answer = alive.block_on(reader);
    assert_eq!(answer.page.content(), &[Some(1), Some(1)]);
    assert_eq!(replica.cache.loads_in_flight(), 0);
}

#[tokio::test]
async fn the_requests_of_a_load_belong_to_the_span_of_the_reader_who_began_it() {
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry());
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let mut first = Box::pin(
        replica
            .reading(Consistency::MinimizeLatency)
            .instrument(tracing::info_span!("first reader")),
    );
    assert!(futures::poll!(&mut first).is_pending());
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.change(ACCOUNTS);
    let mut second = Box::pin(
        replica
            .reading(Consistency::MinimizeLatency)
            .instrument(tracing::info_span!("second reader")),
    );
    assert!(futures::poll!(&mut second).is_pending());
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    first.await;
    second.await;
    let spans = replica.sources.spans.lock().unwrap().clone();
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
async fn the_span_of_a_reader_follows_from_the_load_of_another_and_never_from_itself() {
    let follows = Follows::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(follows.clone()));
    let mut replica = Replica::new();
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let [first, second] = [
        tracing::info_span!("first reader"),
        tracing::info_span!("second reader"),
    ];
    let mut readers = Vec::new();
    readers.push(
        replica
            .waiting(Consistency::MinimizeLatency)
            .instrument(first.clone())
            .await,
    );
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    // These join the load in flight: one of the same span, one of another, one of none.
    readers.push(
        replica
            .waiting(Consistency::MinimizeLatency)
            .instrument(first.clone())
            .await,
    );
    readers.push(
        replica
            .waiting(Consistency::MinimizeLatency)
            .instrument(second.clone())
            .await,
    );
    readers.push(replica.waiting(Consistency::MinimizeLatency).await);
    // The second reader begins what the first joins before it starts.
    replica.change(ACCOUNTS);
    readers.push(
        replica
            .waiting(Consistency::MinimizeLatency)
            .instrument(second.clone())
            .await,
    );
    readers.push(
        replica
            .waiting(Consistency::MinimizeLatency)
            .instrument(first.clone())
            .await,
    );
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    futures::future::join_all(readers).await;
    let expected = [
        ["second reader", "first reader"],
        ["first reader", "second reader"],
    ];
    assert_eq!(*follows.0.lock().unwrap(), expected);
}
