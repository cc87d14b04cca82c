//! What a new replica was told of the past: something to ask about and something to show, never a proof (rule 19).

use std::time::Duration;

use fresh_cache::{CacheOptions, Carried, Moment, Outcome};

use crate::held_sources::{Trouble, UNREADABLE};
use crate::replica::{
    ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, asked_in_full, carried, revision, version,
};

const MAX_STALE: Duration = Duration::from_mins(10);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const ALMOST_FIVE_MINUTES: Duration = Duration::from_millis(299_999);

/// A replica with empty memory on a living feed; it is told what accounts had said of the page five minutes ago.
fn told(down: bool) -> (Rig, Moment) {
    let mut rig = Rig::with(CacheOptions {
        max_stale: MAX_STALE,
        retry_after: Duration::ZERO,
        ..CacheOptions::default()
    });
    rig.world.mutate(ACCOUNTS, PAGE);
    let committed = rig.clock_now();
    let past = rig.carried(ACCOUNTS);
    rig.live(FIVE_MINUTES);
    rig.cache.remember(ACCOUNTS, PAGE, past);
    if down {
        for source in [ACCOUNTS, METRICS] {
            rig.world
                .set(source, |source| source.trouble = Some(Trouble::Down));
        }
    }
    (rig, committed)
}

#[tokio::test]
async fn while_its_source_is_down_the_past_is_shown_marked_with_its_own_date() {
    let (rig, committed) = told(true);
    let answer = rig.read().await;
    assert_eq!(answer.entry.page(), &[Some(2), None]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down"), (METRICS, "is down")]
    );
    assert_eq!(answer.fresh_as_of, committed);
}

#[tokio::test]
async fn the_past_is_shown_up_to_the_limit_counted_from_its_commit() {
    let (mut rig, _) = told(true);
    rig.live(ALMOST_FIVE_MINUTES);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
    assert_eq!(
        answer.degraded().next(),
        Some((ACCOUNTS, "is down; what was known is too old"))
    );
}

#[tokio::test]
async fn the_past_is_asked_about_however_well_the_feed_lives() {
    let (mut rig, _) = told(false);
    let answer = rig.read().await;
    assert_eq!(
        rig.world.take_requests(),
        [asked_about(ACCOUNTS, 2), asked_in_full(METRICS)]
    );
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, rig.clock_now())
    );
    rig.live(MAX_STALE);
    assert_eq!(rig.read().await.outcome, Outcome::Hit, "the answer is a proof");
}

#[tokio::test]
async fn what_is_newer_than_the_past_takes_its_place() {
    let (rig, _) = told(false);
    rig.world.mutate(ACCOUNTS, PAGE);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(3), 0)
    );
    rig.cache.forget(&PAGE);
    rig.world.take_requests();
    rig.read().await;
    assert_eq!(
        rig.world.take_requests()[0],
        asked_about(ACCOUNTS, 2),
        "and it is still remembered"
    );
}

#[tokio::test]
async fn a_deletion_that_is_heard_hides_the_past() {
    let (mut rig, _) = told(true);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
    rig.hearing.deleted(ACCOUNTS, PAGE);
    let answer = rig.read().await;
    assert_eq!(
        answer.degraded().next(),
        Some((ACCOUNTS, "is down; what was known is deleted"))
    );
    assert_eq!(revision(&answer, ACCOUNTS), None);
}

#[tokio::test]
async fn a_change_that_is_heard_does_not_hide_it() {
    let (mut rig, committed) = told(true);
    rig.change(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.fresh_as_of),
        (Some(2), committed)
    );
}

#[tokio::test]
async fn what_is_forgotten_is_not_shown() {
    let (rig, _) = told(true);
    rig.cache.forget_remembered(ACCOUNTS, PAGE);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_past_that_cannot_be_read_is_none() {
    let (rig, _) = told(false);
    let unreadable = Carried {
        data: UNREADABLE.into(),
        ..rig.carried(ACCOUNTS)
    };
    rig.cache.remember(ACCOUNTS, PAGE, unreadable);
    rig.read().await;
    assert_eq!(rig.world.take_requests()[0], asked_in_full(ACCOUNTS));
}

#[tokio::test]
async fn a_past_dated_in_the_future_is_of_unknown_age_and_not_shown() {
    let (rig, _) = told(true);
    let future = rig.clock_now().saturating_add(TICK);
    rig.cache.remember(ACCOUNTS, PAGE, carried(version(2), future));
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), None);
}

#[tokio::test]
async fn what_a_flight_brought_is_better_than_the_past() {
    let (mut rig, _) = told(false);
    rig.change(ACCOUNTS);
    rig.read().await;
    let read = rig.clock_now();
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig.clock.advance(FIVE_MINUTES);
    let answer = rig.read().await;
    assert_eq!((revision(&answer, ACCOUNTS), answer.fresh_as_of), (Some(3), read));
}
