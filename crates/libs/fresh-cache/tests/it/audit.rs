//! The audit finds pages that are older than they claim, and no others.

use std::time::Duration;

use fresh_cache::{Audit, Outcome, Strategy, Suspicion};

use crate::held_sources::{Pages, Trouble};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_in_full, revision, version};

const SECOND: Duration = Duration::from_secs(1);

/// A page on a living feed.
async fn read_once(strategy: Strategy) -> Rig {
    let rig = Rig::of(strategy);
    rig.read().await;
    rig.world.take_requests();
    rig
}

/// The suspicion that an audit is to find.
async fn suspicion(rig: &Rig) -> Suspicion<u64> {
    match rig.cache.audit(&PAGE).await {
        Audit::Suspicious(suspicion) => suspicion,
        other => panic!("it is suspicious: {other:?}"),
    }
}

fn agrees(audit: &Audit<Pages>) -> bool {
    matches!(audit, Audit::Agrees)
}

fn skipped(audit: &Audit<Pages>) -> bool {
    matches!(audit, Audit::Skipped)
}

#[tokio::test]
async fn a_page_that_is_what_its_sources_say_agrees_after_asking_them_in_full() {
    let rig = read_once(Strategy::Invalidate).await;
    assert!(agrees(&rig.cache.audit(&PAGE).await));
    assert_eq!(rig.world.take_requests(), [ACCOUNTS, METRICS].map(asked_in_full));
    assert_eq!(rig.cache.stats().audits.get(), 1);
}

#[tokio::test]
async fn a_source_that_changes_without_an_event_is_found_and_the_page_repaired() {
    let mut rig = read_once(Strategy::Invalidate).await;
    rig.world.mutate(METRICS, PAGE); // no event of it will ever come
    let suspicion = suspicion(&rig).await;
    let seen = rig.clock_now();
    assert_eq!(
        (
            suspicion.key,
            suspicion.source,
            suspicion.found,
            suspicion.seen.moment
        ),
        (PAGE, METRICS, version(2), seen)
    );
    rig.live(SECOND); // and yet the source says that nothing is under way
    let Audit::Lies(lie) = rig.cache.audit_again(suspicion).await else {
        panic!("it is a lie");
    };
    assert_eq!((lie.shown, lie.claimed), (version(1), rig.clock_now()));
    assert_eq!(lie.entry.page(), &[Some(1), Some(1)]);
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, METRICS)),
        (Outcome::Hit, Some(2))
    );
    let stats = rig.cache.stats();
    assert_eq!((stats.suspicions.get(), stats.lies.get()), (1, 1));
}

#[tokio::test]
async fn an_event_under_way_is_suspicious_once() {
    let mut rig = read_once(Strategy::Invalidate).await;
    rig.world.mutate(ACCOUNTS, PAGE);
    let suspicion = suspicion(&rig).await;
    rig.clock.advance(Duration::from_millis(900));
    rig.hearing.changed(ACCOUNTS, PAGE);
    rig.hear_watermarks();
    assert!(
        agrees(&rig.cache.audit_again(suspicion.clone()).await),
        "it claims nothing now"
    );
    rig.read().await;
    assert!(
        agrees(&rig.cache.audit_again(suspicion).await),
        "it shows what was found"
    );
    assert_eq!(rig.cache.stats().lies.get(), 0);
}

#[tokio::test]
async fn an_event_that_is_late_is_no_lie_while_the_watermarks_are() {
    let rig = read_once(Strategy::Invalidate).await;
    rig.world.mutate(ACCOUNTS, PAGE);
    let suspicion = suspicion(&rig).await;
    rig.clock.advance(Duration::from_millis(900));
    assert!(
        agrees(&rig.cache.audit_again(suspicion).await),
        "it claims no more than before"
    );
}

#[tokio::test]
async fn a_page_that_is_not_proven_is_not_looked_at() {
    let mut rig = Rig::new();
    assert!(skipped(&rig.cache.audit(&PAGE).await), "not resident");
    rig.read().await;
    rig.change(ACCOUNTS);
    rig.world.take_requests();
    assert!(skipped(&rig.cache.audit(&PAGE).await), "overtaken");
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig.read().await;
    rig.world.take_requests();
    assert!(skipped(&rig.cache.audit(&PAGE).await), "marked");
    assert!(rig.world.take_requests().is_empty(), "nobody was asked for it");
    assert_eq!(rig.cache.stats().audits.get(), 0);
}

#[tokio::test]
async fn a_marked_page_is_not_looked_at_even_while_its_source_rests() {
    let mut rig = Rig::with(fresh_cache::CacheOptions::default());
    rig.read().await;
    rig.change(ACCOUNTS);
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig.read().await;
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    assert!(skipped(&rig.cache.audit(&PAGE).await));
}

#[tokio::test]
async fn sources_that_cannot_be_asked_prove_nothing() {
    let rig = read_once(Strategy::Invalidate).await;
    for source in [ACCOUNTS, METRICS] {
        rig.world
            .set(source, |source| source.trouble = Some(Trouble::Down));
    }
    assert!(skipped(&rig.cache.audit(&PAGE).await));
    rig.world.set(METRICS, |source| source.trouble = None);
    assert!(
        agrees(&rig.cache.audit(&PAGE).await),
        "one of them suffices to say something"
    );
}

#[tokio::test]
async fn a_source_that_says_something_else_under_the_same_version_is_found() {
    let mut rig = read_once(Strategy::Invalidate).await;
    rig.world.set(ACCOUNTS, |source| source.text = "something else");
    let suspicion = suspicion(&rig).await;
    assert_eq!(suspicion.found, version(1));
    rig.live(SECOND);
    assert!(matches!(
        rig.cache.audit_again(suspicion.clone()).await,
        Audit::Lies(_)
    ));
    rig.read().await;
    assert!(agrees(&rig.cache.audit_again(suspicion).await));
}

#[tokio::test]
async fn another_incarnation_of_which_nothing_is_heard_is_found() {
    let mut rig = read_once(Strategy::Invalidate).await;
    rig.world.set(ACCOUNTS, |source| source.incarnation = 2);
    let suspicion = suspicion(&rig).await;
    rig.live(SECOND);
    assert!(matches!(rig.cache.audit_again(suspicion).await, Audit::Lies(_)));
}

#[tokio::test]
async fn a_source_that_lags_is_no_suspicion() {
    let mut rig = Rig::new();
    rig.change(ACCOUNTS);
    rig.read().await;
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Lags(1)));
    assert!(agrees(&rig.cache.audit(&PAGE).await));
}

#[tokio::test]
async fn a_ttl_shows_the_past_and_does_not_lie_about_it() {
    let mut rig = read_once(Strategy::Ttl(Duration::from_mins(1))).await;
    rig.live(TICK);
    rig.change(ACCOUNTS);
    for _ in 0..3 {
        let suspicion = suspicion(&rig).await;
        rig.live(SECOND);
        assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(1));
        assert!(agrees(&rig.cache.audit_again(suspicion).await));
    }
}

#[tokio::test]
async fn a_sample_is_of_resident_pages_each_once() {
    let rig = Rig::new();
    for page in 0..20 {
        rig.cache.read(&page, fresh_cache::Demand::Any).await;
    }
    assert!(rig.cache.sample(0).is_empty());
    let mut all = rig.cache.sample(100);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let sample = rig.cache.sample(5);
        assert_eq!(sample.iter().collect::<std::collections::HashSet<_>>().len(), 5);
        seen.extend(sample);
    }
    assert_eq!(seen.len(), 20, "a page is never drawn");
}
