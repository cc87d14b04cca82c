//! Reading one's own writes: a reader who knows of a version gets it, or is told that it fell short (rule 13).

use std::time::Duration;

use fresh_cache::{CacheOptions, Claim, Consistency, Forward, Outcome, SourceId, Token, Version};
use futures::future::join_all;

use crate::held_sources::{Fault, Step};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, asked_in_full, revision, version};

const ASKED_FOR: Outcome = Outcome::Forwarded {
    why: Forward::Request,
    collapsed: false,
    stored: true,
};
const SECOND_REVISION: Consistency<'static, u64> =
    Consistency::AtLeastAsFresh(&[Token::of(ACCOUNTS, PAGE, version(2))]);
const THIRD_REVISION: Consistency<'static, u64> =
    Consistency::AtLeastAsFresh(&[Token::of(ACCOUNTS, PAGE, version(3))]);
const ALL_SEEN: Consistency<'static, u64> = Consistency::AtLeastAsFresh(&[
    Token::of(ACCOUNTS, PAGE, version(1)),
    Token::of(ACCOUNTS, PAGE, version(2)),
    Token::of(METRICS, PAGE, version(1)),
]);
const ELSEWHERE: Consistency<'static, u64> =
    Consistency::AtLeastAsFresh(&[Token::of(SourceId(7), PAGE, version(9))]);
const FIRST_REVISION: Consistency<'static, u64> =
    Consistency::AtLeastAsFresh(&[Token::of(ACCOUNTS, PAGE, version(1))]);
/// What another history of the source's database has for its second revision.
const OTHER_HISTORY: Consistency<'static, u64> = Consistency::AtLeastAsFresh(&[Token::of(
    ACCOUNTS,
    PAGE,
    Version {
        incarnation: 1,
        revision: 2,
        nonce: 9,
    },
)]);
/// Less than the page shows; and told by a publisher whose database may be another one's past or future.
const TOLD_BY_OTHERS: [Consistency<'static, u64>; 2] = [
    Consistency::AtLeastAsFresh(&[Token {
        source: ACCOUNTS,
        entity: PAGE,
        version: version(1),
        claim: Some(Claim(8)),
    }]),
    Consistency::AtLeastAsFresh(&[Token {
        source: ACCOUNTS,
        entity: PAGE,
        version: version(1),
        claim: None,
    }]),
];
/// More than its source ever had.
const MADE_UP: Consistency<'static, u64> =
    Consistency::AtLeastAsFresh(&[Token::of(ACCOUNTS, PAGE, version(u64::MAX))]);
const OTHER_INCARNATION: Consistency<'static, u64> = Consistency::AtLeastAsFresh(&[Token::of(
    ACCOUNTS,
    PAGE,
    Version {
        incarnation: 2,
        revision: 1,
        nonce: 0,
    },
)]);

/// A page whose accounts changed since it was composed, whose event the replica has not received.
async fn change_not_received() -> Replica {
    let replica = Replica::new();
    replica.read().await;
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.sources.take_requests();
    replica
}

#[tokio::test]
async fn a_version_newer_than_the_page_costs_one_question_to_its_source_alone() {
    let replica = change_not_received().await;
    let answer = replica.reading(SECOND_REVISION).await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (ASKED_FOR, Some(2))
    );
    assert!(answer.behind.is_empty());
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
    assert_eq!(replica.cache.stats().requests.get(), 1);
    let next = replica.read().await;
    assert_eq!((next.outcome, revision(&next, ACCOUNTS)), (Outcome::Hit, Some(2)));
}

#[tokio::test]
async fn a_version_that_the_page_reflects_costs_nothing() {
    let replica = change_not_received().await;
    replica.reading(SECOND_REVISION).await;
    replica.sources.take_requests();
    let answer = replica.reading(ALL_SEEN).await;
    assert_eq!(answer.outcome, Outcome::Hit);
    assert!(answer.behind.is_empty() && replica.sources.take_requests().is_empty());
}

#[tokio::test]
async fn a_version_of_a_source_that_the_page_does_not_show_is_no_demand() {
    let replica = change_not_received().await;
    let answer = replica.reading(ELSEWHERE).await;
    assert_eq!(answer.outcome, Outcome::Hit);
    assert!(answer.behind.is_empty());
}

#[tokio::test]
async fn who_knows_of_a_version_never_joins_a_load_that_began_before() {
    let mut replica = Replica::new();
    replica.read().await;
    replica.change(ACCOUNTS);
    replica.sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).arrived().await;
    replica.sources.mutate(ACCOUNTS, PAGE); // the reader's own write, of which no event came
    let second = replica.waiting(THIRD_REVISION).await;
    replica.sources.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(2));
    let second = second.await;
    assert_eq!(revision(&second, ACCOUNTS), Some(3));
    assert!(second.behind.is_empty());
}

#[tokio::test]
async fn two_readers_who_know_of_a_version_share_the_load_that_waits() {
    let mut replica = change_not_received().await;
    replica.writer.changed(METRICS, &PAGE);
    replica.sources.stop(METRICS, Step::Answer).hold();
    let first = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(METRICS, Step::Answer).arrived().await;
    let others = [
        replica.waiting(SECOND_REVISION).await,
        replica.waiting(SECOND_REVISION).await,
    ];
    replica.sources.stop(METRICS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    for answer in join_all(others).await {
        assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    }
    assert_eq!(
        replica.sources.take_requests(),
        [asked_about(METRICS, 1), asked_about(ACCOUNTS, 1)]
    );
}

#[tokio::test]
async fn a_page_that_still_falls_short_is_given_and_says_so() {
    let replica = change_not_received().await;
    let answer = replica.reading(THIRD_REVISION).await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (ASKED_FOR, Some(2))
    );
    assert_eq!(answer.behind, [(ACCOUNTS, PAGE)]);
    assert_eq!(
        answer.degraded().count(),
        0,
        "it is what the source says, after all"
    );
    assert_eq!(replica.cache.stats().behind.get(), 1);
}

#[tokio::test]
async fn a_made_up_token_costs_a_question_and_changes_nothing_for_others() {
    let mut replica = Replica::new();
    replica.read().await;
    let applied = replica.feed.position();
    replica.sources.take_requests();
    for _ in 0..3 {
        assert_eq!(replica.reading(MADE_UP).await.behind, [(ACCOUNTS, PAGE)]);
        assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
        replica.live(TICK);
        let answer = replica.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (Outcome::Hit, replica.clock_now())
        );
        assert!(answer.behind.is_empty());
    }
    assert_eq!(
        replica.feed.position(),
        applied,
        "a client's token counts as an event"
    );
    replica.change(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(replica.cache.stats().regressions.get(), 0);
}

#[tokio::test]
async fn a_version_of_another_incarnation_is_asked_for_and_not_compared() {
    let replica = Replica::new();
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.read().await;
    let answer = replica.reading(OTHER_INCARNATION).await;
    assert_eq!(
        answer.behind,
        [(ACCOUNTS, PAGE)],
        "a higher revision says nothing"
    );
    replica.sources.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    let answer = replica.reading(OTHER_INCARNATION).await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(1));
    assert!(answer.behind.is_empty());
}

#[tokio::test]
async fn one_revision_with_another_nonce_is_another_version() {
    let replica = Replica::new();
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.read().await;
    replica.sources.take_requests();
    let answer = replica.reading(OTHER_HISTORY).await;
    assert_eq!(
        answer.behind,
        [(ACCOUNTS, PAGE)],
        "the page shows what another history wrote"
    );
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 2)]);
    replica.sources.mutate(ACCOUNTS, PAGE);
    let answer = replica.reading(OTHER_HISTORY).await;
    assert!(answer.behind.is_empty(), "a later revision reflects both");
}

#[tokio::test]
async fn a_version_that_another_publisher_told_is_asked_for_once_whatever_its_revision() {
    for told in TOLD_BY_OTHERS {
        let replica = Replica::new();
        replica.sources.mutate(ACCOUNTS, PAGE);
        replica.read().await;
        replica.sources.take_requests();
        let answer = replica.reading(told).await;
        assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 2)]);
        assert!(answer.behind.is_empty(), "it was answered since");
    }
}

#[tokio::test]
async fn a_source_that_has_just_failed_is_not_asked_for_a_version_either() {
    let mut replica = Replica::with(CacheOptions::default());
    replica.read().await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica.change(ACCOUNTS);
    assert_eq!(replica.reading(SECOND_REVISION).await.behind, [(ACCOUNTS, PAGE)]);
    replica.sources.take_requests();
    for _ in 0..3 {
        let answer = replica.reading(SECOND_REVISION).await;
        assert_eq!((answer.outcome, answer.degraded().count()), (Outcome::Hit, 1));
        assert_eq!(answer.behind, [(ACCOUNTS, PAGE)]);
    }
    assert!(replica.sources.take_requests().is_empty());
    replica.live(Duration::from_secs(1));
    replica.reading(SECOND_REVISION).await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_missing_fragment_falls_short_of_every_version() {
    let replica = Replica::new();
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    let answer = replica.reading(FIRST_REVISION).await;
    assert_eq!(answer.behind, [(ACCOUNTS, PAGE)]);
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    replica.sources.take_requests();
    assert!(replica.reading(FIRST_REVISION).await.behind.is_empty());
    assert_eq!(replica.sources.take_requests(), [asked_in_full(ACCOUNTS)]);
}

#[tokio::test]
async fn a_page_composed_anew_is_held_to_what_the_reader_knows_and_counted() {
    const OF_FIRST: Consistency<'static, u64> =
        Consistency::FullyConsistent(&[Token::of(ACCOUNTS, PAGE, version(1))]);
    const OF_SECOND: Consistency<'static, u64> =
        Consistency::FullyConsistent(&[Token::of(ACCOUNTS, PAGE, version(2))]);
    let replica = Replica::new();
    assert!(replica.reading(OF_FIRST).await.behind.is_empty());
    assert_eq!(replica.reading(OF_SECOND).await.behind, [(ACCOUNTS, PAGE)]);
    assert_eq!(replica.cache.stats().behind.get(), 1);
}
