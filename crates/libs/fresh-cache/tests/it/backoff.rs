//! A source that failed is backed off from: for a while it is not asked again for the same page, unless an event of it comes.

use std::time::Duration;

use fresh_cache::{CacheOptions, Consistency, Outcome};

use crate::held_sources::Fault;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, asked_in_full, revision};

const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// A page whose accounts changed and went down, as it was answered after that.
async fn failed_once() -> Replica {
    let mut replica = Replica::with(CacheOptions::default());
    replica.read().await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    assert_eq!(replica.read().await.degraded().count(), 1);
    replica.sources.take_requests();
    replica
}

#[tokio::test]
async fn for_a_second_a_source_that_failed_is_not_asked_again_for_the_page() {
    let mut replica = failed_once().await;
    let date = replica.read().await.fresh_as_of;
    replica.live(ALMOST_A_SECOND);
    for _ in 0..10 {
        let answer = replica.read().await;
        assert_eq!(answer.outcome, Outcome::Hit);
        assert_eq!(
            answer.degraded().collect::<Vec<_>>(),
            [(ACCOUNTS, "is down")],
            "marked as ever"
        );
        assert_eq!(answer.fresh_as_of, date, "and no younger");
    }
    assert!(replica.sources.take_requests().is_empty());
    replica.live(TICK);
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn another_page_asks_all_the_same() {
    let replica = failed_once().await;
    replica.cache.read(&7, Consistency::MinimizeLatency).await;
    assert_eq!(
        replica.sources.take_requests(),
        [ACCOUNTS, METRICS].map(asked_in_full)
    );
}

#[tokio::test]
async fn an_event_of_the_source_ends_its_backoff() {
    let mut replica = failed_once().await;
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    replica.change(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(3), 0)
    );
}

#[tokio::test]
async fn a_loss_of_the_sources_events_ends_its_backoff() {
    let mut replica = failed_once().await;
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    replica.writer.lost(ACCOUNTS);
    assert_eq!(replica.read().await.degraded().count(), 0);
}

#[tokio::test]
async fn an_event_of_another_source_is_shown_at_once() {
    let mut replica = failed_once().await;
    replica.change(METRICS);
    assert_eq!(replica.read().await.page.content(), &[Some(1), Some(2)]);
}

#[tokio::test]
async fn a_reader_who_wants_full_consistency_ends_every_backoff() {
    let replica = failed_once().await;
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    assert_eq!(
        replica
            .reading(Consistency::FullyConsistent(&[]))
            .await
            .page
            .content(),
        &[Some(2), Some(1)]
    );
}

#[tokio::test]
async fn a_deletion_that_is_applied_is_hidden_at_once() {
    let mut replica = failed_once().await;
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(1));
    replica.writer.deleted(ACCOUNTS, &PAGE);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_fragment_that_is_missing_is_backed_off_from_too() {
    let mut replica = Replica::with(CacheOptions::default());
    replica
        .sources
        .set(METRICS, |source| source.fault = Some(Fault::Down));
    replica.read().await;
    replica.sources.take_requests();
    replica.live(ALMOST_A_SECOND);
    let answer = replica.read().await;
    assert_eq!((answer.outcome, revision(&answer, METRICS)), (Outcome::Hit, None));
    assert!(replica.sources.take_requests().is_empty());
    replica.live(TICK);
    replica.read().await;
    assert_eq!(replica.sources.take_requests(), [asked_in_full(METRICS)]);
}

#[tokio::test]
async fn however_often_the_page_is_composed_meanwhile_the_reason_is_told_once() {
    let mut replica = Replica::with(CacheOptions {
        max_stale: Duration::ZERO,
        ..CacheOptions::default()
    });
    replica.read().await;
    let past = replica.event_fragment(ACCOUNTS);
    replica.cache.remember(ACCOUNTS, PAGE, past);
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    for _ in 0..3 {
        replica.change(METRICS);
        let answer = replica.read().await;
        assert_eq!(
            answer.degraded().collect::<Vec<_>>(),
            [(ACCOUNTS, "is down; what was known is too old")]
        );
    }
}

#[tokio::test]
async fn a_source_in_backoff_is_not_asked_for_another_sources_sake_and_its_backoff_gets_no_longer() {
    let mut replica = failed_once().await;
    for _ in 0..9 {
        replica.live(Duration::from_millis(100));
        replica.change(METRICS);
        replica.read().await;
    }
    let requests = replica.sources.take_requests();
    assert!(
        requests.iter().all(|request| request.source == METRICS),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 9);
    replica.live(Duration::from_millis(100));
    replica.read().await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}
