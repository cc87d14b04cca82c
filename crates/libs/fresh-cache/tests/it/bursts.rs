//! Pre-populating under load: bursts, refreshes that hang, and the bounds of all of it (rules 16 and 18).

use std::collections::HashSet;

use fresh_cache::{Consistency, Outcome, RefreshOptions, RefreshScope};
use proptest::prelude::{ProptestConfig, prop, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy;

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, revision};

const OTHER_PAGE: u64 = 7;

#[tokio::test]
async fn a_burst_of_events_is_one_refresh_that_shows_the_last() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    for _ in 0..1_000 {
        replica.change_with_fragment(ACCOUNTS);
    }
    replica.settle().await;
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(1_001))
    );
    assert_eq!(replica.cache.stats().refreshes.get(), 1);
    assert_eq!(replica.cache.stats().compositions.get(), 2);
    assert!(replica.sources.take_requests().is_empty());
}

#[tokio::test]
async fn a_burst_during_a_refresh_is_one_more() {
    let mut replica = Replica::refreshing_read(RefreshScope::Resident).await;
    replica.sources.stop(METRICS, Step::Answer).hold();
    replica.change_announced(METRICS, PAGE);
    replica.sources.stop(METRICS, Step::Answer).arrived().await;
    for _ in 0..1_000 {
        replica.change_announced(METRICS, PAGE);
        tokio::task::yield_now().await;
    }
    replica.sources.stop(METRICS, Step::Answer).release();
    replica.settle().await;
    assert_eq!(replica.cache.stats().refreshes.get(), 2);
    assert_eq!(revision(&replica.read().await, METRICS), Some(1_002));
    assert_eq!(replica.sources.take_requests().len(), 2);
}

#[tokio::test]
async fn a_refresh_that_is_held_open_delays_neither_the_feed_nor_another_page() {
    let mut replica = Replica::refreshing_read(RefreshScope::Resident).await;
    replica
        .cache
        .read(&OTHER_PAGE, Consistency::MinimizeLatency)
        .await;
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    replica.change_announced(ACCOUNTS, PAGE);
    replica.sources.stop(ACCOUNTS, Step::Ask).arrived().await;
    replica.sources.stop(ACCOUNTS, Step::Ask).let_others_pass();
    // Nothing here waits, so that none of it can be delayed: more events of that page than may be refreshed at once.
    for _ in 0..10 {
        replica.change_announced(ACCOUNTS, PAGE);
        replica.settle().await;
    }
    replica.change_announced(ACCOUNTS, OTHER_PAGE);
    replica.settle().await;
    let other = replica
        .cache
        .read(&OTHER_PAGE, Consistency::MinimizeLatency)
        .await;
    assert_eq!(
        (other.outcome, revision(&other, ACCOUNTS)),
        (Outcome::Hit, Some(2))
    );
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    assert_eq!(revision(&reading.await, ACCOUNTS), Some(12));
}

#[tokio::test]
async fn only_so_many_pages_are_refreshed_at_once_and_the_others_later() {
    let mut replica = Replica::refreshing_within(RefreshOptions {
        scope: RefreshScope::All,
        at_once: 2,
        ..RefreshOptions::default()
    });
    replica.sources.stop(ACCOUNTS, Step::Admit).hold();
    for page in 0..5 {
        replica.change_announced(ACCOUNTS, page);
    }
    replica.settle().await;
    assert_eq!(replica.cache.loads_in_flight(), 2);
    replica.sources.stop(ACCOUNTS, Step::Admit).release();
    replica.sources.stop(ACCOUNTS, Step::Admit).release();
    replica.settle().await;
    assert_eq!(replica.cache.sample(10).len(), 5);
}

#[tokio::test]
async fn events_beyond_the_limit_are_invalidations_and_counted() {
    // Nothing takes the events out of the inbox while the test does not wait.
    let mut replica = Replica::refreshing_within(RefreshOptions {
        waiting: 2,
        ..RefreshOptions::default()
    });
    replica.read().await;
    for _ in 0..10 {
        replica.change_with_fragment(ACCOUNTS);
    }
    assert_eq!(replica.cache.stats().refreshes_left_out.get(), 8);
    replica.settle().await;
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(11));
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn pages_beyond_the_limit_are_invalidated_and_counted() {
    let mut replica = Replica::refreshing_within(RefreshOptions {
        scope: RefreshScope::Read,
        waiting: 2,
        at_once: 1,
    });
    for page in 0..5 {
        replica.cache.read(&page, Consistency::MinimizeLatency).await;
    }
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    for page in 0..5 {
        replica.change_announced(ACCOUNTS, page);
        replica.settle().await;
    }
    assert_eq!(
        replica.cache.stats().refreshes_left_out.get(),
        2,
        "one is refreshed, two wait"
    );
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    replica.settle().await;
    assert_eq!(replica.cache.stats().refreshes.get(), 3);
    for page in 0..5 {
        let answer = replica.cache.read(&page, Consistency::MinimizeLatency).await;
        assert_eq!(revision(&answer, ACCOUNTS), Some(2), "page {page}");
        assert_eq!(answer.outcome == Outcome::Hit, page < 3, "page {page}");
    }
}

/// What happens in a random run.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Read(u64),
    Event(u64),
    Evict(u64),
    Settle,
}

fn happening() -> impl Strategy<Value = Happening> {
    (0..3_u64, 0..20_u8).prop_map(|(page, what)| match what {
        0..6 => Happening::Read(page),
        6..14 => Happening::Event(page),
        14 => Happening::Evict(page),
        _ => Happening::Settle,
    })
}

/// Lets it happen; the refreshes that were of use to nobody, the reads, and the pages created without one.
async fn run(happenings: &[Happening]) -> (u64, u64, usize) {
    let mut replica = Replica::refreshing(RefreshScope::Read);
    let mut reads = 0;
    let mut read = HashSet::new();
    for &happening in happenings {
        match happening {
            Happening::Read(page) => {
                reads += 1;
                read.insert(page);
                let latest = replica.sources.version(ACCOUNTS, page).revision;
                let answer = replica.cache.read(&page, Consistency::MinimizeLatency).await;
                assert_eq!(revision(&answer, ACCOUNTS), Some(latest));
            }
            Happening::Event(page) => replica.change_announced(ACCOUNTS, page),
            Happening::Evict(page) => replica.cache.evict(&page),
            Happening::Settle => replica.settle().await,
        }
        let wasted = replica.cache.stats().refreshes_wasted.get();
        let refreshes = replica.cache.stats().refreshes.get();
        assert!(
            wasted <= reads,
            "{wasted} of {refreshes} wasted for {reads} reads"
        );
    }
    replica.settle().await;
    let created = replica.cache.sample(10);
    let unasked = created.iter().filter(|page| !read.contains(*page)).count();
    (replica.cache.stats().refreshes.get(), reads, unasked)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_more_refreshes_are_wasted_than_pages_were_read(happenings in prop::collection::vec(happening(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (refreshes, reads, unasked) = runtime.block_on(run(&happenings));
        prop_assert!(refreshes <= reads, "{refreshes} refreshes for {reads} reads");
        prop_assert_eq!(unasked, 0);
    }
}
