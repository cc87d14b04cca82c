//! Which parts are asked for again, when, and what vouches for them afterwards.

use std::time::Duration;

use fresh_cache::{Brought, CacheOptions, Demand, Forward, Outcome};

use crate::held_sources::Trouble;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, revision};

const SECOND: Duration = Duration::from_secs(1);
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);
const REVALIDATED: Outcome = Outcome::Forwarded {
    why: Forward::Stale,
    collapsed: false,
    stored: true,
};

#[tokio::test]
async fn an_event_costs_one_request_to_its_source() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.world.take_requests();
    rig.live(TICK);
    rig.change(METRICS);
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, answer.entry.page()),
        (REVALIDATED, &vec![Some(1), Some(2)])
    );
    assert_eq!(rig.world.take_requests(), [asked_about(METRICS, 1)]);
    assert_eq!(
        answer
            .fetches
            .iter()
            .map(|fetch| fetch.brought)
            .collect::<Vec<_>>(),
        [Brought::New]
    );
    assert_eq!(answer.fresh_as_of, rig.clock_now());
    assert_eq!(rig.cache.stats().rejected_by_fence.get(), 1);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_repeated_event_costs_a_not_modified() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.hearing.changed(ACCOUNTS, PAGE);
    let answer = rig.read().await;
    assert_eq!(
        answer
            .fetches
            .iter()
            .map(|fetch| fetch.brought)
            .collect::<Vec<_>>(),
        [Brought::NotModified]
    );
    assert_eq!(
        rig.read().await.outcome,
        Outcome::Hit,
        "the confirmation counts from its own position"
    );
}

#[tokio::test]
async fn events_of_other_pages_cost_nothing() {
    let mut rig = Rig::new();
    rig.read().await;
    let slot = rig.ledger.slot(ACCOUNTS, PAGE);
    let other = (0..100)
        .find(|&entity| rig.ledger.slot(ACCOUNTS, entity) != slot)
        .unwrap();
    rig.hearing.changed(ACCOUNTS, other);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn after_a_loss_every_part_of_that_source_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.world.mutate(ACCOUNTS, PAGE); // its event is the one that was lost
    rig.world.take_requests();
    rig.hearing.lost(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_feed_that_died_costs_one_confirmation_per_page_and_second() {
    let rig = Rig::new();
    rig.read().await;
    rig.world.take_requests();
    rig.clock.advance(10 * SECOND);
    for _ in 0..5 {
        let began = rig.clock_now();
        let answer = rig.read().await;
        assert_eq!((answer.outcome, answer.fresh_as_of), (REVALIDATED, began));
        assert_eq!(
            rig.world.take_requests(),
            [asked_about(ACCOUNTS, 1), asked_about(METRICS, 1)]
        );
        for _ in 0..999 {
            rig.clock.advance(TICK);
            let answer = rig.read().await;
            assert_eq!(
                (answer.outcome, answer.fresh_as_of),
                (Outcome::Hit, began),
                "no later than what was asked"
            );
        }
        rig.clock.advance(TICK);
    }
    assert!(rig.world.take_requests().is_empty());
    assert_eq!(rig.cache.stats().rejected_by_distrust.get(), 5);
}

#[tokio::test]
async fn one_dead_source_does_not_cost_the_others_anything() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.world.take_requests();
    rig.clock.advance(10 * SECOND);
    rig.hearing.watermark(METRICS, rig.clock_now());
    rig.read().await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_replica_that_never_heard_the_feed_serves_by_confirmation() {
    let rig = Rig::deaf(CacheOptions::default());
    rig.read().await;
    rig.clock.advance(ALMOST_A_SECOND);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    rig.clock.advance(TICK);
    assert_eq!(rig.read().await.outcome, REVALIDATED);
}

#[tokio::test]
async fn what_was_fetched_before_the_feed_was_heard_is_asked_for_again() {
    let mut rig = Rig::deaf(CacheOptions::default());
    rig.read().await;
    rig.world.mutate(ACCOUNTS, PAGE); // its event came before the feed began
    rig.hear_watermarks();
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn an_answer_that_holds_for_a_while_is_asked_for_again_after_it_without_any_event() {
    let mut rig = Rig::new();
    rig.world
        .set(METRICS, |source| source.holds_for = Some(3 * SECOND));
    rig.read().await;
    rig.world.take_requests();
    rig.live(2 * SECOND + ALMOST_A_SECOND);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    rig.live(TICK);
    assert_eq!(rig.read().await.outcome, REVALIDATED);
    assert_eq!(rig.world.take_requests(), [asked_about(METRICS, 1)]);
    assert_eq!(rig.cache.stats().rejected_by_time.get(), 1);
    rig.live(2 * SECOND + ALMOST_A_SECOND);
    assert_eq!(
        rig.read().await.outcome,
        Outcome::Hit,
        "a confirmation holds as long as it says"
    );
}

#[tokio::test]
async fn of_two_answers_of_one_revision_the_one_that_holds_longer_is_kept() {
    let mut rig = Rig::new();
    rig.world
        .set(METRICS, |source| source.holds_for = Some(10 * SECOND));
    rig.read().await;
    rig.world
        .set(METRICS, |source| source.holds_for = Some(3 * SECOND));
    rig.reading(Demand::Afresh(&[])).await;
    rig.live(5 * SECOND);
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_new_incarnation_is_believed_though_its_revisions_begin_again() {
    let mut rig = Rig::new();
    rig.world.mutate(ACCOUNTS, PAGE);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
    rig.world.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    rig.hearing.lost(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(1), 0)
    );
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_new_incarnation_is_believed_though_nothing_was_heard_of_it() {
    let rig = Rig::new();
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.read().await;
    rig.world.set(ACCOUNTS, |source| source.incarnation = 2);
    rig.world.set(ACCOUNTS, |source| source.revisions.clear());
    rig.clock.advance(10 * SECOND);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(1));
}

#[tokio::test]
async fn not_modified_without_a_question_is_no_answer() {
    let rig = Rig::new();
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::SaysNotModified));
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
    assert_eq!(answer.degraded().count(), 1);
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    rig.read().await;
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::SaysNotModified));
    rig.reading(Demand::Afresh(&[])).await;
    let failures = rig.cache.stats().failures.get();
    assert_eq!(failures, 2, "a part is known, but it was not asked about");
}
