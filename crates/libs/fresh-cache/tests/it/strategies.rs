//! What each strategy costs its sources, and what it shows.

use std::time::Duration;

use fresh_cache::{CacheOptions, Consistency, Forward, Outcome, Strategy};
use futures::future::join_all;

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, asked_in_full, revision};

const SECOND: Duration = Duration::from_secs(1);
const ALMOST_A_MINUTE: Duration = Duration::from_millis(59_999);
const TWO_TICKS_LESS: Duration = Duration::from_millis(59_998);
const MINUTE: Strategy = Strategy::Ttl(Duration::from_mins(1));
const COMPOSED_ALONE: Outcome = Outcome::Forwarded {
    why: Forward::Bypass,
    collapsed: false,
    stored: false,
};

/// The requests of a first read, of a second one, and of a third one after a change whose event was applied; and the revision that
/// the third one showed.
async fn cost(strategy: Strategy) -> ([usize; 3], Option<u64>) {
    let mut replica = Replica::of(strategy);
    replica.start_refreshing();
    replica.read().await;
    let first = replica.sources.take_requests().len();
    replica.read().await;
    let second = replica.sources.take_requests().len();
    replica.live(TICK);
    replica.change_with_fragment(ACCOUNTS);
    replica.live(TICK);
    replica.settle().await;
    let shown = revision(&replica.read().await, ACCOUNTS);
    ([first, second, replica.sources.take_requests().len()], shown)
}

#[tokio::test]
async fn each_strategy_costs_less_than_the_one_before_and_only_a_ttl_shows_the_past() {
    assert_eq!(cost(Strategy::None).await, ([2, 2, 2], Some(2)));
    assert_eq!(cost(MINUTE).await, ([2, 0, 0], Some(1)));
    assert_eq!(cost(Strategy::Versioned).await, ([2, 2, 2], Some(2)));
    assert_eq!(cost(Strategy::Invalidate).await, ([2, 0, 1], Some(2)));
    assert_eq!(cost(Strategy::Prepopulate).await, ([2, 0, 0], Some(2)));
}

#[tokio::test]
async fn no_cache_asks_every_source_in_full_for_every_reader_and_keeps_nothing() {
    let replica = Replica::of(Strategy::None);
    for _ in 0..3 {
        let answer = replica.read().await;
        assert_eq!(answer.outcome, COMPOSED_ALONE);
        assert_eq!(
            replica.sources.take_requests(),
            [ACCOUNTS, METRICS].map(asked_in_full)
        );
    }
    assert!(replica.cache.sample(10).is_empty(), "a page was kept");
    assert_eq!(replica.cache.stats().bypasses.get(), 3);
}

#[tokio::test]
async fn no_cache_shares_no_composition_either() {
    let replica = Replica::of(Strategy::None);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let readers = replica.many_waiting(3).await;
    assert_eq!(replica.sources.take_requests().len(), 6);
    assert_eq!(replica.cache.loads_in_flight(), 0, "nobody can join it");
    for _ in 0..3 {
        replica.sources.stop(ACCOUNTS, Step::Answer).release();
    }
    for answer in join_all(readers).await {
        assert_eq!(answer.outcome, COMPOSED_ALONE);
    }
}

#[tokio::test]
async fn without_a_cache_a_page_is_dated_by_the_start_of_its_requests_however_well_the_feed_lives() {
    let mut replica = Replica::of(Strategy::None);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    let began = replica.clock_now();
    replica.live(TICK);
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(reading.await.fresh_as_of, began);
}

#[tokio::test]
async fn a_ttl_shows_the_old_page_after_its_event_until_it_is_old_and_dates_it_truthfully() {
    let mut replica = Replica::of(MINUTE);
    replica.read().await;
    let composed = replica.clock_now();
    replica.sources.take_requests();
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica.live(TWO_TICKS_LESS);
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(1))
    );
    assert_eq!(answer.fresh_as_of, composed, "no later than what was asked");
    assert_eq!(answer.degraded().count(), 0, "and nothing marks it");
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.fresh_as_of),
        (Some(2), replica.clock_now())
    );
    assert_eq!(
        replica.sources.take_requests(),
        [ACCOUNTS, METRICS].map(asked_in_full)
    );
}

#[tokio::test]
async fn a_ttl_does_not_care_whether_the_feed_lives() {
    let replica = Replica::silent(CacheOptions {
        strategy: MINUTE,
        ..CacheOptions::default()
    });
    replica.read().await;
    replica.clock.advance(ALMOST_A_MINUTE);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn behind_a_ttl_a_reader_who_knows_of_an_event_joins_the_composition_that_does_not() {
    let mut replica = Replica::of(MINUTE);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    let second = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    let (first, second) = (first.await, second.await);
    assert_eq!(revision(&second, ACCOUNTS), Some(1));
    assert_eq!(second.fresh_as_of, first.fresh_as_of);
    assert_eq!(replica.cache.stats().loads.get(), 1);
}

#[tokio::test]
async fn versioned_asks_about_every_fragment_at_every_read_and_composes_only_what_is_new() {
    let replica = Replica::of(Strategy::Versioned);
    replica.read().await;
    replica.sources.take_requests();
    for _ in 0..3 {
        replica.clock.advance(TICK);
        let answer = replica.read().await;
        assert_eq!(
            replica.sources.take_requests(),
            [asked_about(ACCOUNTS, 1), asked_about(METRICS, 1)]
        );
        assert_eq!(answer.fresh_as_of, replica.clock_now());
        assert_eq!(answer.composed, replica.clock_now(), "found to be the same");
    }
    assert_eq!(replica.cache.stats().compositions.get(), 1);
    assert_eq!(replica.cache.stats().not_modified.get(), 6);

    replica.sources.mutate(ACCOUNTS, PAGE); // and no event of it
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
    assert_eq!(replica.cache.stats().compositions.get(), 2);
}

#[tokio::test]
async fn versioned_is_dated_by_its_requests_however_well_the_feed_lives() {
    let mut replica = Replica::of(Strategy::Versioned);
    replica.read().await;
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    let began = replica.clock_now();
    replica.live(TICK);
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(reading.await.fresh_as_of, began);
}

#[tokio::test]
async fn versioned_gives_nobody_the_answer_to_a_question_asked_before_they_came() {
    let replica = Replica::of(Strategy::Versioned);
    replica.read().await;
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // acknowledged before the others arrive
    let others = replica.many_waiting(5).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    for answer in join_all(others).await {
        assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    }
    assert_eq!(replica.cache.stats().loads.get(), 3, "the five shared one");
}

#[tokio::test]
async fn invalidation_costs_nothing_while_the_feed_lives_and_nothing_changes() {
    let mut replica = Replica::of(Strategy::Invalidate);
    replica.start_refreshing();
    replica.read().await;
    replica.sources.take_requests();
    for _ in 0..100 {
        replica.live(SECOND);
        assert_eq!(replica.read().await.outcome, Outcome::Hit);
    }
    replica.change_with_fragment(ACCOUNTS);
    replica.settle().await;
    assert!(
        replica.sources.take_requests().is_empty(),
        "nobody has asked for it"
    );
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    assert_eq!(
        replica.sources.take_requests(),
        [asked_about(ACCOUNTS, 1)],
        "nor is what the event carried of use to it"
    );
    assert_eq!(replica.cache.stats().refreshes.get(), 0);
}

#[tokio::test]
async fn pre_populating_without_its_task_is_invalidation() {
    let mut replica = Replica::of(Strategy::Prepopulate);
    replica.read().await;
    replica.sources.take_requests();
    replica.change_with_fragment(ACCOUNTS);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}
