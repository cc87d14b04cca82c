//! Which fragments are asked for again, when, and what vouches for them afterwards.

use std::time::Duration;

use fresh_cache::{Brought, CacheOptions, Consistency, Forward, Outcome};

use crate::held_sources::Fault;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, revision};

const SECOND: Duration = Duration::from_secs(1);
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);
const REVALIDATED: Outcome = Outcome::Forwarded {
    why: Forward::Stale,
    collapsed: false,
    stored: true,
};

#[tokio::test]
async fn an_event_costs_one_request_to_its_source() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.sources.take_requests();
    replica.live(TICK);
    replica.change(METRICS);
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, answer.page.content()),
        (REVALIDATED, &vec![Some(1), Some(2)])
    );
    assert_eq!(replica.sources.take_requests(), [asked_about(METRICS, 1)]);
    assert_eq!(
        answer
            .fetches
            .iter()
            .map(|fetch| fetch.brought)
            .collect::<Vec<_>>(),
        [Brought::New]
    );
    assert_eq!(answer.fresh_as_of, replica.clock_now());
    assert_eq!(replica.cache.stats().rejected_by_fence.get(), 1);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_repeated_event_costs_a_not_modified() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.writer.changed(ACCOUNTS, &PAGE);
    let answer = replica.read().await;
    assert_eq!(
        answer
            .fetches
            .iter()
            .map(|fetch| fetch.brought)
            .collect::<Vec<_>>(),
        [Brought::NotModified]
    );
    assert_eq!(
        replica.read().await.outcome,
        Outcome::Hit,
        "the confirmation counts from its own position"
    );
}

#[tokio::test]
async fn events_of_other_pages_cost_nothing() {
    let mut replica = Replica::new();
    replica.read().await;
    let mut hits = 0;
    for other in (0..100).filter(|&entity| entity != PAGE) {
        replica.writer.changed(ACCOUNTS, &other);
        hits += usize::from(replica.read().await.outcome == Outcome::Hit);
    }
    assert!(hits > 90, "{hits}: those few that share its fence cost a request");
}

#[tokio::test]
async fn after_a_loss_every_fragment_of_that_source_is_asked_for_again() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // its event is the one that was lost
    replica.sources.take_requests();
    replica.writer.lost(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_feed_that_died_costs_one_confirmation_per_page_and_second() {
    let replica = Replica::new();
    replica.read().await;
    replica.sources.take_requests();
    replica.clock.advance(10 * SECOND);
    for _ in 0..5 {
        let began = replica.clock_now();
        let answer = replica.read().await;
        assert_eq!((answer.outcome, answer.fresh_as_of), (REVALIDATED, began));
        assert_eq!(
            replica.sources.take_requests(),
            [asked_about(ACCOUNTS, 1), asked_about(METRICS, 1)]
        );
        for _ in 0..999 {
            replica.clock.advance(TICK);
            let answer = replica.read().await;
            assert_eq!(
                (answer.outcome, answer.fresh_as_of),
                (Outcome::Hit, began),
                "no later than what was asked"
            );
        }
        replica.clock.advance(TICK);
    }
    assert!(replica.sources.take_requests().is_empty());
    assert_eq!(replica.cache.stats().rejected_as_untrusted.get(), 5);
}

#[tokio::test]
async fn one_dead_source_does_not_cost_the_others_anything() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.sources.take_requests();
    replica.clock.advance(10 * SECOND);
    replica.writer.watermark(METRICS, replica.clock_now());
    replica.read().await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_replica_that_never_received_its_feed_serves_by_confirmation() {
    let replica = Replica::silent(CacheOptions::default());
    replica.read().await;
    replica.clock.advance(ALMOST_A_SECOND);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    replica.clock.advance(TICK);
    assert_eq!(replica.read().await.outcome, REVALIDATED);
}

#[tokio::test]
async fn what_was_fetched_before_the_feed_was_received_is_asked_for_again() {
    let mut replica = Replica::silent(CacheOptions::default());
    replica.read().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // its event came before the feed began
    replica.apply_watermarks();
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn an_answer_that_holds_for_a_while_is_asked_for_again_after_it_without_any_event() {
    let mut replica = Replica::new();
    replica
        .sources
        .set(METRICS, |source| source.valid_for = Some(3 * SECOND));
    replica.read().await;
    replica.sources.take_requests();
    replica.live(2 * SECOND + ALMOST_A_SECOND);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    replica.live(TICK);
    assert_eq!(replica.read().await.outcome, REVALIDATED);
    assert_eq!(replica.sources.take_requests(), [asked_about(METRICS, 1)]);
    assert_eq!(replica.cache.stats().rejected_as_expired.get(), 1);
    replica.live(2 * SECOND + ALMOST_A_SECOND);
    assert_eq!(
        replica.read().await.outcome,
        Outcome::Hit,
        "a confirmation holds as long as it says"
    );
}

#[tokio::test]
async fn of_two_answers_of_one_revision_the_one_that_holds_longer_is_kept() {
    let mut replica = Replica::new();
    replica
        .sources
        .set(METRICS, |source| source.valid_for = Some(10 * SECOND));
    replica.read().await;
    replica
        .sources
        .set(METRICS, |source| source.valid_for = Some(3 * SECOND));
    replica.reading(Consistency::FullyConsistent(&[])).await;
    replica.live(5 * SECOND);
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_new_incarnation_is_believed_though_its_revisions_begin_again() {
    let mut replica = Replica::new();
    replica.sources.mutate(ACCOUNTS, PAGE);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
    replica.sources.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    replica.writer.lost(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(1), 0)
    );
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_new_incarnation_is_believed_though_nothing_was_received_of_it() {
    let replica = Replica::new();
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.read().await;
    replica.sources.set(ACCOUNTS, |source| source.incarnation = 2);
    replica.sources.set(ACCOUNTS, |source| source.revisions.clear());
    replica.clock.advance(10 * SECOND);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(1));
}

#[tokio::test]
async fn not_modified_without_a_question_is_no_answer() {
    let replica = Replica::new();
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::SaysNotModified));
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
    assert_eq!(answer.degraded().count(), 1);
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    replica.read().await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::SaysNotModified));
    replica.reading(Consistency::FullyConsistent(&[])).await;
    let failures = replica.cache.stats().failures.get();
    assert_eq!(failures, 2, "a fragment is known, but it was not asked about");
}
