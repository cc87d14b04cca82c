//! The audit finds pages that are older than they claim, and no others.

use std::time::Duration;

use fresh_cache::{Audit, Mismatch, Outcome, Strategy};

use crate::held_sources::{Fault, Pages};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_in_full, revision, version};

const SECOND: Duration = Duration::from_secs(1);

/// A page on a living feed.
async fn read_once(strategy: Strategy) -> Replica {
    let replica = Replica::of(strategy);
    replica.read().await;
    replica.sources.take_requests();
    replica
}

/// The mismatch that an audit is to find.
async fn mismatch(replica: &Replica) -> Mismatch<u64> {
    match replica.cache.audit(&PAGE).await {
        Audit::Mismatch(mismatch) => mismatch,
        other => panic!("it is a mismatch: {other:?}"),
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
    let replica = read_once(Strategy::Invalidate).await;
    assert!(agrees(&replica.cache.audit(&PAGE).await));
    assert_eq!(
        replica.sources.take_requests(),
        [ACCOUNTS, METRICS].map(asked_in_full)
    );
    assert_eq!(replica.cache.stats().audits.get(), 1);
}

#[tokio::test]
async fn a_source_that_changes_without_an_event_is_found_and_the_page_repaired() {
    let mut replica = read_once(Strategy::Invalidate).await;
    replica.sources.mutate(METRICS, PAGE); // no event of it will ever come
    let mismatch = mismatch(&replica).await;
    let seen = replica.clock_now();
    assert_eq!(
        (
            mismatch.key,
            mismatch.source,
            mismatch.found,
            mismatch.seen.moment
        ),
        (PAGE, METRICS, version(2), seen)
    );
    replica.live(SECOND); // and yet the source says that nothing is under way
    let Audit::Confirmed(confirmed) = replica.cache.audit_again(mismatch).await else {
        panic!("it is confirmed");
    };
    assert_eq!(
        (confirmed.shown, confirmed.claimed),
        (version(1), replica.clock_now())
    );
    assert_eq!(confirmed.page.content(), &[Some(1), Some(1)]);
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, METRICS)),
        (Outcome::Hit, Some(2))
    );
    let stats = replica.cache.stats();
    assert_eq!((stats.mismatches.get(), stats.confirmed_mismatches.get()), (1, 1));
}

#[tokio::test]
async fn an_event_under_way_is_suspicious_once() {
    let mut replica = read_once(Strategy::Invalidate).await;
    replica.sources.mutate(ACCOUNTS, PAGE);
    let mismatch = mismatch(&replica).await;
    replica.clock.advance(Duration::from_millis(900));
    replica.writer.changed(ACCOUNTS, &PAGE);
    replica.apply_watermarks();
    assert!(
        agrees(&replica.cache.audit_again(mismatch.clone()).await),
        "it claims nothing now"
    );
    replica.read().await;
    assert!(
        agrees(&replica.cache.audit_again(mismatch).await),
        "it shows what was found"
    );
    assert_eq!(replica.cache.stats().confirmed_mismatches.get(), 0);
}

#[tokio::test]
async fn an_event_that_is_late_is_no_mismatch_while_the_watermarks_are_late_too() {
    let replica = read_once(Strategy::Invalidate).await;
    replica.sources.mutate(ACCOUNTS, PAGE);
    let mismatch = mismatch(&replica).await;
    replica.clock.advance(Duration::from_millis(900));
    assert!(
        agrees(&replica.cache.audit_again(mismatch).await),
        "it claims no more than before"
    );
}

#[tokio::test]
async fn a_page_that_is_not_fresh_is_not_looked_at() {
    let mut replica = Replica::new();
    assert!(skipped(&replica.cache.audit(&PAGE).await), "not resident");
    replica.read().await;
    replica.change(ACCOUNTS);
    replica.sources.take_requests();
    assert!(skipped(&replica.cache.audit(&PAGE).await), "overtaken");
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica.read().await;
    replica.sources.take_requests();
    assert!(skipped(&replica.cache.audit(&PAGE).await), "marked");
    assert!(
        replica.sources.take_requests().is_empty(),
        "nobody was asked for it"
    );
    assert_eq!(replica.cache.stats().audits.get(), 0);
}

#[tokio::test]
async fn a_marked_page_is_not_looked_at_even_during_the_backoff_of_its_source() {
    let mut replica = Replica::with(fresh_cache::CacheOptions::default());
    replica.read().await;
    replica.change(ACCOUNTS);
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica.read().await;
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    assert!(skipped(&replica.cache.audit(&PAGE).await));
}

#[tokio::test]
async fn sources_that_cannot_be_asked_prove_nothing() {
    let replica = read_once(Strategy::Invalidate).await;
    for source in [ACCOUNTS, METRICS] {
        replica
            .sources
            .set(source, |source| source.fault = Some(Fault::Down));
    }
    assert!(skipped(&replica.cache.audit(&PAGE).await));
    replica.sources.set(METRICS, |source| source.fault = None);
    assert!(
        agrees(&replica.cache.audit(&PAGE).await),
        "one of them may_be_joined to say something"
    );
}

#[tokio::test]
async fn a_source_that_says_something_else_under_the_same_version_is_found() {
    let mut replica = read_once(Strategy::Invalidate).await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.text = "something else");
    let mismatch = mismatch(&replica).await;
    assert_eq!(mismatch.found, version(1));
    replica.live(SECOND);
    assert!(matches!(
        replica.cache.audit_again(mismatch.clone()).await,
        Audit::Confirmed(_)
    ));
    replica.read().await;
    assert!(agrees(&replica.cache.audit_again(mismatch).await));
}

#[tokio::test]
async fn another_incarnation_of_which_nothing_is_received_is_found() {
    let mut replica = read_once(Strategy::Invalidate).await;
    replica.sources.set(ACCOUNTS, |source| source.incarnation = 2);
    let mismatch = mismatch(&replica).await;
    replica.live(SECOND);
    assert!(matches!(
        replica.cache.audit_again(mismatch).await,
        Audit::Confirmed(_)
    ));
}

#[tokio::test]
async fn a_source_that_lags_is_no_suspicion() {
    let mut replica = Replica::new();
    replica.change(ACCOUNTS);
    replica.read().await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Lags(1)));
    assert!(agrees(&replica.cache.audit(&PAGE).await));
}

#[tokio::test]
async fn a_ttl_shows_the_past_with_a_true_date() {
    let mut replica = read_once(Strategy::Ttl(Duration::from_mins(1))).await;
    replica.live(TICK);
    replica.change(ACCOUNTS);
    for _ in 0..3 {
        let mismatch = mismatch(&replica).await;
        replica.live(SECOND);
        assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(1));
        assert!(agrees(&replica.cache.audit_again(mismatch).await));
    }
}

#[tokio::test]
async fn a_sample_is_of_resident_pages_each_once() {
    let replica = Replica::new();
    for page in 0..20 {
        replica
            .cache
            .read(&page, fresh_cache::Consistency::MinimizeLatency)
            .await;
    }
    assert!(replica.cache.sample(0).is_empty());
    let mut all = replica.cache.sample(100);
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let sample = replica.cache.sample(5);
        assert_eq!(sample.iter().collect::<std::collections::HashSet<_>>().len(), 5);
        seen.extend(sample);
    }
    assert_eq!(seen.len(), 20, "a page is never drawn");
}
