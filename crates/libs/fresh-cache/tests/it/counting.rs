//! What is counted of the cache's own business: who had to go, who waits, and what was overtaken.

use std::sync::atomic::Ordering;

use fresh_cache::{CacheOptions, Consistency, RefreshOptions, RefreshScope};

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, PAGE, Replica};

#[tokio::test]
async fn pages_that_had_to_go_are_counted_apart_from_those_that_were_dropped() {
    let replica = Replica::with(CacheOptions {
        max_bytes: 10_000,
        ..CacheOptions::default()
    });
    replica.sources.weight.store(1_000, Ordering::Relaxed);
    replica.read().await;
    replica.read().await;
    let stats = replica.cache.stats();
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 0));
    replica.cache.evict(&PAGE);
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 1));
    // The store tidies up now and then, not at every page.
    for page in 0..2_000 {
        replica.cache.read(&page, Consistency::MinimizeLatency).await;
    }
    assert!(stats.evicted.get() >= 1_000, "{} had to go", stats.evicted.get());
    assert_eq!(stats.dropped.get(), 1);
}

#[tokio::test]
async fn a_page_that_is_composed_anew_is_neither_evicted_nor_dropped() {
    let mut replica = Replica::new();
    for _ in 0..1_000 {
        replica.change(ACCOUNTS);
        replica.read().await;
    }
    let stats = replica.cache.stats();
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 0));
}

#[tokio::test]
async fn a_load_that_an_event_overtook_is_counted_and_no_other() {
    let mut replica = Replica::new();
    replica.read().await;
    assert_eq!(replica.cache.stats().overtaken.get(), 0);
    replica.change(ACCOUNTS);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.change(ACCOUNTS);
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    reading.await;
    assert_eq!(replica.cache.stats().overtaken.get(), 1);
}

#[tokio::test]
async fn what_waits_to_be_refreshed_is_told_and_so_is_what_each_event_made_due() {
    let mut replica = Replica::refreshing_within(RefreshOptions {
        scope: RefreshScope::All,
        at_once: 1,
        ..RefreshOptions::default()
    });
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    for page in 0..5 {
        replica.change_announced(ACCOUNTS, page);
    }
    assert_eq!(
        (replica.cache.events_waiting(), replica.cache.pages_waiting()),
        (5, 0)
    );
    replica.settle().await;
    assert_eq!(
        (replica.cache.events_waiting(), replica.cache.pages_waiting()),
        (0, 4),
        "one is refreshed"
    );
    let stats = replica.cache.stats();
    assert_eq!((stats.announced.get(), stats.due.get()), (5, 5));
    replica.sources.stop(ACCOUNTS, Step::Ask).let_others_pass();
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    replica.settle().await;
    assert_eq!(replica.cache.pages_waiting(), 0);
}

#[tokio::test]
async fn an_event_of_a_page_that_nobody_read_makes_none_due() {
    let mut replica = Replica::refreshing(RefreshScope::Read);
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    let stats = replica.cache.stats();
    assert_eq!((stats.announced.get(), stats.due.get()), (1, 0));
}
