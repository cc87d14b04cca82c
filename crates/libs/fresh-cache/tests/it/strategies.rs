//! What each strategy costs its sources, and what it shows.

use std::time::Duration;

use fresh_cache::{CacheOptions, Demand, Forward, Outcome, Strategy};
use futures::future::join_all;

use crate::held_sources::Step;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, asked_in_full, revision};

const SECOND: Duration = Duration::from_secs(1);
const ALMOST_A_MINUTE: Duration = Duration::from_millis(59_999);
const TWO_TICKS_LESS: Duration = Duration::from_millis(59_998);
const MINUTE: Strategy = Strategy::Ttl(Duration::from_mins(1));
const COMPOSED_ALONE: Outcome = Outcome::Forwarded {
    why: Forward::Bypass,
    collapsed: false,
    stored: false,
};

/// The requests of a first read, of a second one, and of a third one after a change that was heard; and the revision that
/// the third one showed.
async fn cost(strategy: Strategy) -> ([usize; 3], Option<u64>) {
    let mut rig = Rig::of(strategy);
    rig.start_refreshing();
    rig.read().await;
    let first = rig.world.take_requests().len();
    rig.read().await;
    let second = rig.world.take_requests().len();
    rig.live(TICK);
    rig.change_carried(ACCOUNTS);
    rig.live(TICK);
    rig.settle().await;
    let shown = revision(&rig.read().await, ACCOUNTS);
    ([first, second, rig.world.take_requests().len()], shown)
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
    let rig = Rig::of(Strategy::None);
    for _ in 0..3 {
        let answer = rig.read().await;
        assert_eq!(answer.outcome, COMPOSED_ALONE);
        assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(asked_in_full));
    }
    assert!(rig.cache.sample(10).is_empty(), "a page was kept");
    assert_eq!(rig.cache.stats().bypasses.get(), 3);
}

#[tokio::test]
async fn no_cache_shares_no_composition_either() {
    let rig = Rig::of(Strategy::None);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let readers = rig.many_waiting(3).await;
    assert_eq!(rig.world.take_requests().len(), 6);
    assert_eq!(rig.cache.flights(), 0, "nobody can find it in the air");
    for _ in 0..3 {
        rig.world.stop(ACCOUNTS, Step::Answer).release();
    }
    for answer in join_all(readers).await {
        assert_eq!(answer.outcome, COMPOSED_ALONE);
    }
}

#[tokio::test]
async fn without_a_cache_a_page_is_dated_by_the_start_of_its_requests_however_well_the_feed_lives() {
    let mut rig = Rig::of(Strategy::None);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let reading = rig.waiting(Demand::Any).await;
    let began = rig.clock_now();
    rig.live(TICK);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(reading.await.fresh_as_of, began);
}

#[tokio::test]
async fn a_ttl_shows_the_old_page_after_its_event_until_it_is_old_and_dates_it_truthfully() {
    let mut rig = Rig::of(MINUTE);
    rig.read().await;
    let composed = rig.clock_now();
    rig.world.take_requests();
    rig.live(TICK);
    rig.change(ACCOUNTS);
    rig.live(TWO_TICKS_LESS);
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(1))
    );
    assert_eq!(answer.fresh_as_of, composed, "no later than what was asked");
    assert_eq!(answer.degraded().count(), 0, "and nothing marks it");
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.fresh_as_of),
        (Some(2), rig.clock_now())
    );
    assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(asked_in_full));
}

#[tokio::test]
async fn a_ttl_does_not_care_whether_the_feed_lives() {
    let rig = Rig::deaf(CacheOptions {
        strategy: MINUTE,
        ..CacheOptions::default()
    });
    rig.read().await;
    rig.clock.advance(ALMOST_A_MINUTE);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn behind_a_ttl_a_reader_who_knows_of_an_event_joins_the_composition_that_does_not() {
    let mut rig = Rig::of(MINUTE);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.live(TICK);
    rig.change(ACCOUNTS);
    let second = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    let (first, second) = (first.await, second.await);
    assert_eq!(revision(&second, ACCOUNTS), Some(1));
    assert_eq!(second.fresh_as_of, first.fresh_as_of);
    assert_eq!(rig.cache.stats().flights.get(), 1);
}

#[tokio::test]
async fn versioned_asks_about_every_part_at_every_read_and_renders_only_what_is_new() {
    let rig = Rig::of(Strategy::Versioned);
    rig.read().await;
    rig.world.take_requests();
    for _ in 0..3 {
        rig.clock.advance(TICK);
        let answer = rig.read().await;
        assert_eq!(
            rig.world.take_requests(),
            [asked_about(ACCOUNTS, 1), asked_about(METRICS, 1)]
        );
        assert_eq!(answer.fresh_as_of, rig.clock_now());
        assert_eq!(answer.composed, rig.clock_now(), "found to be the same");
    }
    assert_eq!(rig.cache.stats().renders.get(), 1);
    assert_eq!(rig.cache.stats().not_modified.get(), 6);

    rig.world.mutate(ACCOUNTS, PAGE); // and no event of it
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
    assert_eq!(rig.cache.stats().renders.get(), 2);
}

#[tokio::test]
async fn versioned_is_dated_by_its_requests_however_well_the_feed_lives() {
    let mut rig = Rig::of(Strategy::Versioned);
    rig.read().await;
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    let began = rig.clock_now();
    rig.live(TICK);
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(reading.await.fresh_as_of, began);
}

#[tokio::test]
async fn versioned_gives_nobody_the_answer_to_a_question_asked_before_they_came() {
    let rig = Rig::of(Strategy::Versioned);
    rig.read().await;
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.world.mutate(ACCOUNTS, PAGE); // acknowledged before the others arrive
    let others = rig.many_waiting(5).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    for answer in join_all(others).await {
        assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    }
    assert_eq!(rig.cache.stats().flights.get(), 3, "the five shared one");
}

#[tokio::test]
async fn invalidation_costs_nothing_while_the_feed_lives_and_nothing_changes() {
    let mut rig = Rig::of(Strategy::Invalidate);
    rig.start_refreshing();
    rig.read().await;
    rig.world.take_requests();
    for _ in 0..100 {
        rig.live(SECOND);
        assert_eq!(rig.read().await.outcome, Outcome::Hit);
    }
    rig.change_carried(ACCOUNTS);
    rig.settle().await;
    assert!(rig.world.take_requests().is_empty(), "nobody has asked for it");
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    assert_eq!(
        rig.world.take_requests(),
        [asked_about(ACCOUNTS, 1)],
        "nor is what the event carried of use to it"
    );
    assert_eq!(rig.cache.stats().refreshes.get(), 0);
}

#[tokio::test]
async fn pre_populating_without_its_task_is_invalidation() {
    let mut rig = Rig::of(Strategy::Prepopulate);
    rig.read().await;
    rig.world.take_requests();
    rig.change_carried(ACCOUNTS);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}
