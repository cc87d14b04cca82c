//! A source that failed rests: for a while it is not asked again for the same page, unless something is heard of it.

use std::time::Duration;

use fresh_cache::{CacheOptions, Demand, Outcome};

use crate::held_sources::Trouble;
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, asked_in_full, revision};

const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

/// A page whose accounts changed and went down, as it was answered after that.
async fn failed_once() -> Rig {
    let mut rig = Rig::with(CacheOptions::default());
    rig.read().await;
    rig.live(TICK);
    rig.change(ACCOUNTS);
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    assert_eq!(rig.read().await.degraded().count(), 1);
    rig.world.take_requests();
    rig
}

#[tokio::test]
async fn for_a_second_a_source_that_failed_is_not_asked_again_for_the_page() {
    let mut rig = failed_once().await;
    let date = rig.read().await.fresh_as_of;
    rig.live(ALMOST_A_SECOND);
    for _ in 0..10 {
        let answer = rig.read().await;
        assert_eq!(answer.outcome, Outcome::Hit);
        assert_eq!(
            answer.degraded().collect::<Vec<_>>(),
            [(ACCOUNTS, "is down")],
            "marked as ever"
        );
        assert_eq!(answer.fresh_as_of, date, "and no younger");
    }
    assert!(rig.world.take_requests().is_empty());
    rig.live(TICK);
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn another_page_asks_all_the_same() {
    let rig = failed_once().await;
    rig.cache.read(&7, Demand::Any).await;
    assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(asked_in_full));
}

#[tokio::test]
async fn an_event_of_the_source_ends_its_rest() {
    let mut rig = failed_once().await;
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    rig.change(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(3), 0)
    );
}

#[tokio::test]
async fn a_loss_of_the_sources_events_ends_its_rest() {
    let mut rig = failed_once().await;
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    rig.hearing.lost(ACCOUNTS);
    assert_eq!(rig.read().await.degraded().count(), 0);
}

#[tokio::test]
async fn an_event_of_another_source_is_shown_at_once() {
    let mut rig = failed_once().await;
    rig.change(METRICS);
    assert_eq!(rig.read().await.entry.page(), &[Some(1), Some(2)]);
}

#[tokio::test]
async fn a_reader_who_wants_it_afresh_wakes_everybody() {
    let rig = failed_once().await;
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    assert_eq!(
        rig.reading(Demand::Afresh(&[])).await.entry.page(),
        &[Some(2), Some(1)]
    );
}

#[tokio::test]
async fn a_deletion_that_is_heard_is_hidden_at_once() {
    let mut rig = failed_once().await;
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(1));
    rig.hearing.deleted(ACCOUNTS, PAGE);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_part_that_is_missing_rests_too() {
    let mut rig = Rig::with(CacheOptions::default());
    rig.world
        .set(METRICS, |source| source.trouble = Some(Trouble::Down));
    rig.read().await;
    rig.world.take_requests();
    rig.live(ALMOST_A_SECOND);
    let answer = rig.read().await;
    assert_eq!((answer.outcome, revision(&answer, METRICS)), (Outcome::Hit, None));
    assert!(rig.world.take_requests().is_empty());
    rig.live(TICK);
    rig.read().await;
    assert_eq!(rig.world.take_requests(), [asked_in_full(METRICS)]);
}

#[tokio::test]
async fn however_often_the_page_is_composed_meanwhile_the_reason_is_told_once() {
    let mut rig = Rig::with(CacheOptions {
        max_stale: Duration::ZERO,
        ..CacheOptions::default()
    });
    rig.read().await;
    let past = rig.carried(ACCOUNTS);
    rig.cache.remember(ACCOUNTS, PAGE, past);
    rig.live(TICK);
    rig.change(ACCOUNTS);
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    for _ in 0..3 {
        rig.change(METRICS);
        let answer = rig.read().await;
        assert_eq!(
            answer.degraded().collect::<Vec<_>>(),
            [(ACCOUNTS, "is down; what was known is too old")]
        );
    }
}

#[tokio::test]
async fn a_source_that_rests_is_not_asked_for_another_sources_sake_and_does_not_rest_longer_for_it() {
    let mut rig = failed_once().await;
    for _ in 0..9 {
        rig.live(Duration::from_millis(100));
        rig.change(METRICS);
        rig.read().await;
    }
    let requests = rig.world.take_requests();
    assert!(
        requests.iter().all(|request| request.source == METRICS),
        "{requests:?}"
    );
    assert_eq!(requests.len(), 9);
    rig.live(Duration::from_millis(100));
    rig.read().await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}
