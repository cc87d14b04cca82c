//! What is counted of the cache's own business: who had to go, who waits, and what was overtaken.

use std::sync::atomic::Ordering;

use fresh_cache::{CacheOptions, Demand, Refresh, RefreshOptions};

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, PAGE, Rig};

#[tokio::test]
async fn pages_that_had_to_go_are_counted_apart_from_those_that_were_dropped() {
    let rig = Rig::with(CacheOptions {
        max_bytes: 10_000,
        ..CacheOptions::default()
    });
    rig.world.weight.store(1_000, Ordering::Relaxed);
    rig.read().await;
    rig.read().await;
    let stats = rig.cache.stats();
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 0));
    rig.cache.forget(&PAGE);
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 1));
    // The store tidies up now and then, not at every page.
    for page in 0..2_000 {
        rig.cache.read(&page, Demand::Any).await;
    }
    assert!(stats.evicted.get() >= 1_000, "{} had to go", stats.evicted.get());
    assert_eq!(stats.dropped.get(), 1);
}

#[tokio::test]
async fn a_page_that_is_composed_anew_is_neither_evicted_nor_dropped() {
    let mut rig = Rig::new();
    for _ in 0..1_000 {
        rig.change(ACCOUNTS);
        rig.read().await;
    }
    let stats = rig.cache.stats();
    assert_eq!((stats.evicted.get(), stats.dropped.get()), (0, 0));
}

#[tokio::test]
async fn a_flight_that_an_event_overtook_is_counted_and_no_other() {
    let mut rig = Rig::new();
    rig.read().await;
    assert_eq!(rig.cache.stats().overtaken.get(), 0);
    rig.change(ACCOUNTS);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.change(ACCOUNTS);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    reading.await;
    assert_eq!(rig.cache.stats().overtaken.get(), 1);
}

#[tokio::test]
async fn what_waits_to_be_refreshed_is_told_and_so_is_what_each_event_made_due() {
    let mut rig = Rig::refreshing_within(RefreshOptions {
        of: Refresh::All,
        at_once: 1,
        ..RefreshOptions::default()
    });
    rig.world.stop(ACCOUNTS, Step::Ask).hold();
    for page in 0..5 {
        rig.change_announced(ACCOUNTS, page);
    }
    assert_eq!((rig.cache.events_waiting(), rig.cache.pages_waiting()), (5, 0));
    rig.settle().await;
    assert_eq!(
        (rig.cache.events_waiting(), rig.cache.pages_waiting()),
        (0, 4),
        "one flies"
    );
    let stats = rig.cache.stats();
    assert_eq!((stats.announced.get(), stats.due.get()), (5, 5));
    rig.world.stop(ACCOUNTS, Step::Ask).let_others_pass();
    rig.world.stop(ACCOUNTS, Step::Ask).release();
    rig.settle().await;
    assert_eq!(rig.cache.pages_waiting(), 0);
}

#[tokio::test]
async fn an_event_of_a_page_that_nobody_read_makes_none_due() {
    let mut rig = Rig::refreshing(Refresh::Read);
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    let stats = rig.cache.stats();
    assert_eq!((stats.announced.get(), stats.due.get()), (1, 0));
}
