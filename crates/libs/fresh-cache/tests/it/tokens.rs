//! Reading one's own writes: a reader who knows of a version gets it, or is told that it fell short (rule 13).

use std::time::Duration;

use fresh_cache::{CacheOptions, Claim, Demand, Forward, Outcome, SourceId, Token, Version};
use futures::future::join_all;

use crate::held_sources::{Step, Trouble};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, asked_in_full, revision, version};

const ASKED_FOR: Outcome = Outcome::Forwarded {
    why: Forward::Request,
    collapsed: false,
    stored: true,
};
const SECOND_REVISION: Demand<'static> = Demand::AtLeast(&[Token::of(ACCOUNTS, version(2))]);
const THIRD_REVISION: Demand<'static> = Demand::AtLeast(&[Token::of(ACCOUNTS, version(3))]);
const ALL_SEEN: Demand<'static> = Demand::AtLeast(&[
    Token::of(ACCOUNTS, version(1)),
    Token::of(ACCOUNTS, version(2)),
    Token::of(METRICS, version(1)),
]);
const ELSEWHERE: Demand<'static> = Demand::AtLeast(&[Token::of(SourceId(7), version(9))]);
const FIRST_REVISION: Demand<'static> = Demand::AtLeast(&[Token::of(ACCOUNTS, version(1))]);
/// What another history of the source's database has for its second revision.
const OTHER_HISTORY: Demand<'static> = Demand::AtLeast(&[Token::of(
    ACCOUNTS,
    Version {
        incarnation: 1,
        revision: 2,
        nonce: 9,
    },
)]);
/// Less than the page shows; and told by a publisher whose database may be another one's past or future.
const TOLD_BY_OTHERS: [Demand<'static>; 2] = [
    Demand::AtLeast(&[Token {
        source: ACCOUNTS,
        version: version(1),
        claim: Some(Claim(8)),
    }]),
    Demand::AtLeast(&[Token {
        source: ACCOUNTS,
        version: version(1),
        claim: None,
    }]),
];
/// More than its source ever had.
const LIE: Demand<'static> = Demand::AtLeast(&[Token::of(ACCOUNTS, version(u64::MAX))]);
const OTHER_INCARNATION: Demand<'static> = Demand::AtLeast(&[Token::of(
    ACCOUNTS,
    Version {
        incarnation: 2,
        revision: 1,
        nonce: 0,
    },
)]);

/// A page whose accounts changed since it was composed, which the replica has not heard of.
async fn unheard_change() -> Rig {
    let rig = Rig::new();
    rig.read().await;
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.world.take_requests();
    rig
}

#[tokio::test]
async fn a_version_newer_than_the_page_costs_one_question_to_its_source_alone() {
    let rig = unheard_change().await;
    let answer = rig.reading(SECOND_REVISION).await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (ASKED_FOR, Some(2))
    );
    assert!(answer.behind.is_empty());
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
    assert_eq!(rig.cache.stats().requests.get(), 1);
    let next = rig.read().await;
    assert_eq!((next.outcome, revision(&next, ACCOUNTS)), (Outcome::Hit, Some(2)));
}

#[tokio::test]
async fn a_version_that_the_page_reflects_costs_nothing() {
    let rig = unheard_change().await;
    rig.reading(SECOND_REVISION).await;
    rig.world.take_requests();
    let answer = rig.reading(ALL_SEEN).await;
    assert_eq!(answer.outcome, Outcome::Hit);
    assert!(answer.behind.is_empty() && rig.world.take_requests().is_empty());
}

#[tokio::test]
async fn a_version_of_a_source_that_the_page_does_not_show_is_no_demand() {
    let rig = unheard_change().await;
    let answer = rig.reading(ELSEWHERE).await;
    assert_eq!(answer.outcome, Outcome::Hit);
    assert!(answer.behind.is_empty());
}

#[tokio::test]
async fn who_knows_of_a_version_never_joins_a_flight_that_began_before() {
    let mut rig = Rig::new();
    rig.read().await;
    rig.change(ACCOUNTS);
    rig.world.stop(ACCOUNTS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Answer).arrived().await;
    rig.world.mutate(ACCOUNTS, PAGE); // the reader's own write, of which nothing was heard
    let second = rig.waiting(THIRD_REVISION).await;
    rig.world.stop(ACCOUNTS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(2));
    let second = second.await;
    assert_eq!(revision(&second, ACCOUNTS), Some(3));
    assert!(second.behind.is_empty());
}

#[tokio::test]
async fn two_readers_who_know_of_a_version_share_the_flight_that_waits() {
    let mut rig = unheard_change().await;
    rig.hearing.changed(METRICS, PAGE);
    rig.world.stop(METRICS, Step::Answer).hold();
    let first = rig.waiting(Demand::Any).await;
    rig.world.stop(METRICS, Step::Answer).arrived().await;
    let others = [
        rig.waiting(SECOND_REVISION).await,
        rig.waiting(SECOND_REVISION).await,
    ];
    rig.world.stop(METRICS, Step::Answer).release();
    assert_eq!(revision(&first.await, ACCOUNTS), Some(1));
    for answer in join_all(others).await {
        assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    }
    assert_eq!(
        rig.world.take_requests(),
        [asked_about(METRICS, 1), asked_about(ACCOUNTS, 1)]
    );
}

#[tokio::test]
async fn a_page_that_still_falls_short_is_given_and_says_so() {
    let rig = unheard_change().await;
    let answer = rig.reading(THIRD_REVISION).await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (ASKED_FOR, Some(2))
    );
    assert_eq!(answer.behind, [ACCOUNTS]);
    assert_eq!(
        answer.degraded().count(),
        0,
        "it is what the source says, after all"
    );
    assert_eq!(rig.cache.stats().behind.get(), 1);
}

#[tokio::test]
async fn a_lie_costs_its_teller_a_question_and_changes_nothing_for_others() {
    let mut rig = Rig::new();
    rig.read().await;
    let heard = rig.ledger.position();
    rig.world.take_requests();
    for _ in 0..3 {
        assert_eq!(rig.reading(LIE).await.behind, [ACCOUNTS]);
        assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
        rig.live(TICK);
        let answer = rig.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (Outcome::Hit, rig.clock_now())
        );
        assert!(answer.behind.is_empty());
    }
    assert_eq!(
        rig.ledger.position(),
        heard,
        "a client's word counts as something heard"
    );
    rig.change(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(rig.cache.stats().regressions.get(), 0);
}

#[tokio::test]
async fn a_version_of_another_incarnation_is_asked_for_and_not_compared() {
    let rig = Rig::new();
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.read().await;
    let answer = rig.reading(OTHER_INCARNATION).await;
    assert_eq!(answer.behind, [ACCOUNTS], "a higher revision says nothing");
    rig.world.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    let answer = rig.reading(OTHER_INCARNATION).await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(1));
    assert!(answer.behind.is_empty());
}

#[tokio::test]
async fn one_revision_with_another_nonce_is_another_version() {
    let rig = Rig::new();
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.read().await;
    rig.world.take_requests();
    let answer = rig.reading(OTHER_HISTORY).await;
    assert_eq!(
        answer.behind,
        [ACCOUNTS],
        "the page shows what another history wrote"
    );
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 2)]);
    rig.world.mutate(ACCOUNTS, PAGE);
    let answer = rig.reading(OTHER_HISTORY).await;
    assert!(answer.behind.is_empty(), "a later revision reflects both");
}

#[tokio::test]
async fn a_version_that_another_publisher_told_is_asked_for_once_whatever_its_revision() {
    for told in TOLD_BY_OTHERS {
        let rig = Rig::new();
        rig.world.mutate(ACCOUNTS, PAGE);
        rig.read().await;
        rig.world.take_requests();
        let answer = rig.reading(told).await;
        assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 2)]);
        assert!(answer.behind.is_empty(), "it was answered since");
    }
}

#[tokio::test]
async fn a_source_that_has_just_failed_is_not_asked_for_a_version_either() {
    let mut rig = Rig::with(CacheOptions::default());
    rig.read().await;
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig.change(ACCOUNTS);
    assert_eq!(rig.reading(SECOND_REVISION).await.behind, [ACCOUNTS]);
    rig.world.take_requests();
    for _ in 0..3 {
        let answer = rig.reading(SECOND_REVISION).await;
        assert_eq!((answer.outcome, answer.degraded().count()), (Outcome::Hit, 1));
        assert_eq!(answer.behind, [ACCOUNTS]);
    }
    assert!(rig.world.take_requests().is_empty());
    rig.live(Duration::from_secs(1));
    rig.reading(SECOND_REVISION).await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

#[tokio::test]
async fn a_missing_part_falls_short_of_every_version() {
    let rig = Rig::new();
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    let answer = rig.reading(FIRST_REVISION).await;
    assert_eq!(answer.behind, [ACCOUNTS]);
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    rig.world.take_requests();
    assert!(rig.reading(FIRST_REVISION).await.behind.is_empty());
    assert_eq!(rig.world.take_requests(), [asked_in_full(ACCOUNTS)]);
}

#[tokio::test]
async fn a_page_composed_afresh_is_held_to_what_the_reader_knows_and_counted() {
    const OF_FIRST: Demand<'static> = Demand::Afresh(&[Token::of(ACCOUNTS, version(1))]);
    const OF_SECOND: Demand<'static> = Demand::Afresh(&[Token::of(ACCOUNTS, version(2))]);
    let rig = Rig::new();
    assert!(rig.reading(OF_FIRST).await.behind.is_empty());
    assert_eq!(rig.reading(OF_SECOND).await.behind, [ACCOUNTS]);
    assert_eq!(rig.cache.stats().behind.get(), 1);
}
