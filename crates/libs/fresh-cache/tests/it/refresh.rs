//! Pre-populating: what an event refreshes, and what it carries (rules 17 and 18).

use std::time::Duration;

use fresh_cache::{Claim, Consistency, Outcome, RefreshScope};

use crate::held_sources::{Fault, Step, UNREADABLE};
use crate::replica::{
    ACCOUNTS, METRICS, PAGE, Replica, TICK, asked_about, asked_in_full, event_fragment, revision,
    shown_version, version,
};

#[tokio::test]
async fn a_page_that_was_read_is_composed_anew_before_anybody_asks() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.live(TICK);
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(answer.fresh_as_of, replica.clock_now());
}

#[tokio::test]
async fn an_event_that_carries_the_answer_saves_the_request_too() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.live(TICK);
    replica.change_with_fragment(ACCOUNTS);
    replica.settle().await;
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(answer.fresh_as_of, replica.clock_now());
    assert!(replica.sources.take_requests().is_empty());
    assert_eq!(replica.cache.stats().event_fragments.get(), 1);
}

#[tokio::test]
async fn what_an_event_carried_is_no_evidence_that_its_source_lives() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.live(TICK);
    replica.clock.advance(TICK);
    replica.change_with_fragment(ACCOUNTS);
    replica.settle().await;
    replica.clock.advance(Duration::from_millis(998));
    replica.writer.watermark(METRICS, replica.clock_now());
    assert_eq!(
        replica.read().await.outcome,
        Outcome::Hit,
        "its watermark vouches"
    );
    replica.clock.advance(TICK);
    replica.read().await;
    assert_eq!(
        replica.sources.take_requests(),
        [asked_about(ACCOUNTS, 2)],
        "and nothing else does"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.sources.mutate(ACCOUNTS, PAGE);
    let position = replica.writer.changed(ACCOUNTS, &PAGE);
    let mut unreadable = replica.event_fragment(ACCOUNTS);
    unreadable.data = UNREADABLE.into();
    replica.announce(ACCOUNTS, position, Some(unreadable));
    replica.settle().await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn a_page_that_nobody_read_since_its_last_refresh_is_left_alone() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    for _ in 0..3 {
        replica.change_announced(ACCOUNTS, PAGE);
        replica.settle().await;
    }
    assert_eq!(
        replica.sources.take_requests().len(),
        1,
        "the first event's refresh"
    );
    assert_eq!(replica.cache.stats().refreshes.get(), 1);
    assert_eq!(replica.cache.stats().refreshes_unread.get(), 2);
    assert_eq!(
        revision(&replica.read().await, ACCOUNTS),
        Some(4),
        "an invalidation"
    );
    assert_eq!(replica.sources.take_requests().len(), 1);
    assert_eq!(replica.cache.stats().refreshes_wasted.get(), 1);
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    assert_eq!(replica.cache.stats().refreshes.get(), 2, "it was read again");
}

#[tokio::test]
async fn what_is_resident_can_be_refreshed_read_or_not() {
    let mut replica = Replica::refreshing_read(RefreshScope::Resident).await;
    for _ in 0..3 {
        replica.change_announced(ACCOUNTS, PAGE);
        replica.settle().await;
    }
    assert_eq!(replica.cache.stats().refreshes.get(), 3);
    assert_eq!(replica.cache.stats().refreshes_wasted.get(), 2, "the price");
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn an_event_creates_no_page_unless_it_is_told_to() {
    for (of, requests) in [
        (RefreshScope::Read, vec![]),
        (RefreshScope::Resident, vec![]),
        (RefreshScope::All, vec![asked_in_full(METRICS)]),
    ] {
        let mut replica = Replica::refreshing(of);
        replica.change_with_fragment(ACCOUNTS);
        replica.settle().await;
        assert_eq!(replica.sources.take_requests(), requests, "{of:?}");
        let created = !requests.is_empty();
        assert_eq!(replica.cache.sample(1).len(), usize::from(created), "{of:?}");
        assert_eq!(replica.read().await.outcome == Outcome::Hit, created, "{of:?}");
    }
}

#[tokio::test]
async fn an_answer_that_a_later_event_overtook_is_not_shown_as_the_latest() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.change_with_fragment(ACCOUNTS);
    replica.change(ACCOUNTS); // and this one's announcement was left out
    replica.settle().await;
    assert_eq!(
        replica.sources.take_requests(),
        [asked_about(ACCOUNTS, 2)],
        "it is something to ask about, no more"
    );
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(3));
}

#[tokio::test]
async fn an_answer_carried_before_a_loss_is_not_shown_as_the_latest() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.change_with_fragment(ACCOUNTS);
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.writer.lost(ACCOUNTS); // its event
    replica.settle().await;
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 2)]);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(3));
}

#[tokio::test]
async fn an_older_answer_never_replaces_a_newer_one() {
    let mut replica = Replica::refreshing(RefreshScope::Read);
    let old = replica.event_fragment(ACCOUNTS);
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.read().await;
    let position = replica.writer.changed(ACCOUNTS, &PAGE);
    replica.announce(ACCOUNTS, position, Some(old));
    replica.settle().await;
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
}

/// Why a repeat must carry nothing: its position says that it is the latest event, and what it carries is not the latest.
#[tokio::test]
async fn what_a_repeat_carries_would_be_wrong() {
    for carrying in [true, false] {
        let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
        replica.sources.mutate(ACCOUNTS, PAGE);
        let second_revision = replica.event_fragment(ACCOUNTS);
        replica.writer.changed(ACCOUNTS, &PAGE);
        replica.change(ACCOUNTS);
        let repeat = replica.writer.changed(ACCOUNTS, &PAGE);
        replica.announce(ACCOUNTS, repeat, carrying.then_some(second_revision));
        replica.settle().await;
        replica.live(TICK);
        let answer = replica.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (Outcome::Hit, replica.clock_now())
        );
        let truth = replica.sources.version(ACCOUNTS, PAGE).revision;
        assert_eq!(revision(&answer, ACCOUNTS) == Some(truth), !carrying);
    }
}

/// A message of a database that another one replaced: the word of the one says nothing about the other.
#[tokio::test]
async fn what_a_stray_event_of_a_former_database_carries_is_not_shown_as_the_latest() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    let former = replica.event_fragment(ACCOUNTS);
    replica.sources.set(ACCOUNTS, |source| source.incarnation = 2);
    replica.writer.replaced(ACCOUNTS);
    replica.live(Duration::from_secs(1));
    replica.writer.replaced(ACCOUNTS);
    let position = replica.writer.changed(ACCOUNTS, &PAGE);
    replica.announce(ACCOUNTS, position, Some(former));
    replica.settle().await;
    replica.read().await;
    assert_eq!(replica.sources.take_requests()[0], asked_about(ACCOUNTS, 1));
    assert_eq!(
        shown_version(&replica.read().await, ACCOUNTS),
        Some(replica.sources.version(ACCOUNTS, PAGE))
    );
}

/// The feed lags behind the answers: what it still has to say of the former database is older than what is shown.
#[tokio::test]
async fn a_database_that_was_replaced_before_the_feed_says_so_is_not_undone_by_the_events_of_the_former() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.sources.mutate(ACCOUNTS, PAGE);
    let former = replica.event_fragment(ACCOUNTS); // its event is under way
    replica.sources.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    replica.reading(Consistency::FullyConsistent(&[])).await;
    let shown = replica.sources.version(ACCOUNTS, PAGE);
    replica.sources.take_requests();
    let position = replica.writer.changed(ACCOUNTS, &PAGE);
    replica.announce(ACCOUNTS, position, Some(former));
    replica.settle().await;
    assert_eq!(shown_version(&replica.read().await, ACCOUNTS), Some(shown));
    assert_eq!(replica.sources.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

/// What is known was said by one publisher, and this event by another: nothing says which of the two is the later.
#[tokio::test]
async fn what_an_event_of_another_publisher_carries_does_not_replace_what_is_known() {
    for claim in [Some(Claim(8)), None] {
        let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
        replica
            .sources
            .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
        replica.sources.mutate(ACCOUNTS, PAGE);
        let position = replica.writer.changed(ACCOUNTS, &PAGE);
        let mut of_another = replica.event_fragment(ACCOUNTS);
        of_another.claim = claim;
        replica.announce(ACCOUNTS, position, Some(of_another));
        replica.settle().await;
        let answer = replica.read().await;
        assert_eq!(
            (revision(&answer, ACCOUNTS), answer.degraded().count()),
            (Some(1), 1),
            "{claim:?}"
        );
        assert_eq!(replica.cache.stats().event_fragments.get(), 0);
    }
}

#[tokio::test]
async fn an_event_dates_nothing_because_nobody_knows_how_long_ago_its_clock_said_so() {
    for ahead in [Duration::ZERO, TICK] {
        let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
        let watermark = replica.clock_now();
        replica.clock.advance(Duration::from_millis(500));
        replica.writer.watermark(METRICS, replica.clock_now());
        let revision = replica.sources.mutate(ACCOUNTS, PAGE);
        let position = replica.writer.changed(ACCOUNTS, &PAGE);
        let committed = replica.clock_now().saturating_add(ahead);
        replica.announce(
            ACCOUNTS,
            position,
            Some(event_fragment(version(revision), committed)),
        );
        replica.settle().await;
        let answer = replica.read().await;
        assert_eq!(answer.outcome, Outcome::Hit);
        assert_eq!(answer.fresh_as_of, watermark, "{ahead:?} ahead");
        replica.writer.watermark(ACCOUNTS, replica.clock_now());
        assert_eq!(replica.read().await.fresh_as_of, replica.clock_now());
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_composed_is_refreshed_again_by_its_next_event() {
    let mut replica = Replica::refreshing_read(RefreshScope::Resident).await;
    replica.sources.on_next_compose(|| panic!("the template"));
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    assert_eq!(replica.cache.stats().panics.get(), 1);
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    let answer = replica.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(3))
    );
}

#[tokio::test]
async fn a_reader_who_comes_during_a_refresh_shares_its_load() {
    let mut replica = Replica::refreshing_read(RefreshScope::Read).await;
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    replica.change_announced(ACCOUNTS, PAGE);
    replica.sources.stop(ACCOUNTS, Step::Ask).arrived().await;
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    assert_eq!(revision(&reading.await, ACCOUNTS), Some(2));
    assert_eq!(replica.sources.take_requests().len(), 1);
    replica.change_announced(ACCOUNTS, PAGE);
    replica.settle().await;
    assert_eq!(
        replica.cache.stats().refreshes.get(),
        2,
        "and counts as having read it"
    );
    assert_eq!(replica.cache.stats().refreshes_wasted.get(), 0);
}
