//! What a new replica was told of the past: something to ask about and something to show, never fresh (rule 19).

use std::time::Duration;

use fresh_cache::{CacheOptions, EventFragment, Moment, Outcome};

use crate::held_sources::{Fault, UNREADABLE};
use crate::replica::{
    ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, asked_in_full, event_fragment, revision, version,
};

const MAX_STALE: Duration = Duration::from_mins(10);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const ALMOST_FIVE_MINUTES: Duration = Duration::from_millis(299_999);

/// A replica with empty memory on a living feed; it is told what accounts had said of the page five minutes ago.
fn told(down: bool) -> (Replica, Moment) {
    let mut replica = Replica::with(CacheOptions {
        max_stale: MAX_STALE,
        retry_after: Duration::ZERO,
        ..CacheOptions::default()
    });
    replica.sources.mutate(ACCOUNTS, PAGE);
    let committed = replica.clock_now();
    let past = replica.event_fragment(ACCOUNTS);
    replica.live(FIVE_MINUTES);
    replica.cache.remember(ACCOUNTS, PAGE, past);
    if down {
        for source in [ACCOUNTS, METRICS] {
            replica
                .sources
                .set(source, |source| source.fault = Some(Fault::Down));
        }
    }
    (replica, committed)
}

#[tokio::test]
async fn while_its_source_is_down_the_past_is_shown_marked_with_its_own_date() {
    let (replica, committed) = told(true);
    let answer = replica.read().await;
    assert_eq!(answer.page.content(), &[Some(2), None]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down"), (METRICS, "is down")]
    );
    assert_eq!(answer.fresh_as_of, committed);
}

#[tokio::test]
async fn the_past_is_shown_up_to_the_limit_counted_from_its_commit() {
    let (mut replica, _) = told(true);
    replica.live(ALMOST_FIVE_MINUTES);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
    assert_eq!(
        answer.degraded().next(),
        Some((ACCOUNTS, "is down; what was known is too old"))
    );
}

#[tokio::test]
async fn the_past_is_asked_about_however_well_the_feed_lives() {
    let (mut replica, _) = told(false);
    let answer = replica.read().await;
    assert_eq!(
        replica.sources.take_requests(),
        [asked_about(ACCOUNTS, 2), asked_in_full(METRICS)]
    );
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, replica.clock_now())
    );
    replica.live(MAX_STALE);
    assert_eq!(
        replica.read().await.outcome,
        Outcome::Hit,
        "the answer is a check"
    );
}

#[tokio::test]
async fn what_is_newer_than_the_past_takes_its_place() {
    let (replica, _) = told(false);
    replica.sources.mutate(ACCOUNTS, PAGE);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(3), 0)
    );
    replica.cache.evict(&PAGE);
    replica.sources.take_requests();
    replica.read().await;
    assert_eq!(
        replica.sources.take_requests()[0],
        asked_about(ACCOUNTS, 2),
        "and it is still remembered"
    );
}

#[tokio::test]
async fn a_deletion_that_is_applied_hides_the_past() {
    let (mut replica, _) = told(true);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
    replica.writer.deleted(ACCOUNTS, &PAGE);
    let answer = replica.read().await;
    assert_eq!(
        answer.degraded().next(),
        Some((ACCOUNTS, "is down; what was known is deleted"))
    );
    assert_eq!(revision(&answer, ACCOUNTS), None);
}

#[tokio::test]
async fn a_change_that_is_applied_does_not_hide_it() {
    let (mut replica, committed) = told(true);
    replica.change(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.fresh_as_of),
        (Some(2), committed)
    );
}

#[tokio::test]
async fn what_is_forgotten_is_not_shown() {
    let (replica, _) = told(true);
    replica.cache.forget_remembered(ACCOUNTS, PAGE);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_past_that_cannot_be_read_is_none() {
    let (replica, _) = told(false);
    let unreadable = EventFragment {
        data: UNREADABLE.into(),
        ..replica.event_fragment(ACCOUNTS)
    };
    replica.cache.remember(ACCOUNTS, PAGE, unreadable);
    replica.read().await;
    assert_eq!(replica.sources.take_requests()[0], asked_in_full(ACCOUNTS));
}

#[tokio::test]
async fn a_past_dated_in_the_future_is_of_unknown_age_and_not_shown() {
    let (replica, _) = told(true);
    let future = replica.clock_now().saturating_add(TICK);
    replica
        .cache
        .remember(ACCOUNTS, PAGE, event_fragment(version(2), future));
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
}

#[tokio::test]
async fn what_a_load_brought_is_better_than_the_past() {
    let (mut replica, _) = told(false);
    replica.change(ACCOUNTS);
    replica.read().await;
    let read = replica.clock_now();
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica.clock.advance(FIVE_MINUTES);
    let answer = replica.read().await;
    assert_eq!((revision(&answer, ACCOUNTS), answer.fresh_as_of), (Some(3), read));
}
