//! Pre-populating: what an event refreshes, and what it carries (rules 17 and 18).

use std::time::Duration;

use fresh_cache::{Claim, Demand, Outcome, Refresh};

use crate::held_sources::{Step, Trouble, UNREADABLE};
use crate::replica::{
    ACCOUNTS, METRICS, PAGE, Rig, TICK, asked_about, asked_in_full, carried, revision, version,
};

#[tokio::test]
async fn a_page_that_was_read_is_composed_anew_before_anybody_asks() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.live(TICK);
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(answer.fresh_as_of, rig.clock_now());
}

#[tokio::test]
async fn an_event_that_carries_the_answer_saves_the_request_too() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.live(TICK);
    rig.change_carried(ACCOUNTS);
    rig.settle().await;
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(2))
    );
    assert_eq!(answer.fresh_as_of, rig.clock_now());
    assert!(rig.world.take_requests().is_empty());
    assert_eq!(rig.cache.stats().carried.get(), 1);
}

#[tokio::test]
async fn what_an_event_carried_is_no_evidence_that_its_source_lives() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.live(TICK);
    rig.clock.advance(TICK);
    rig.change_carried(ACCOUNTS);
    rig.settle().await;
    rig.clock.advance(Duration::from_millis(998));
    rig.hearing.watermark(METRICS, rig.clock_now());
    assert_eq!(rig.read().await.outcome, Outcome::Hit, "its watermark vouches");
    rig.clock.advance(TICK);
    rig.read().await;
    assert_eq!(
        rig.world.take_requests(),
        [asked_about(ACCOUNTS, 2)],
        "and nothing else does"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.world.mutate(ACCOUNTS, PAGE);
    let position = rig.hearing.changed(ACCOUNTS, PAGE);
    let mut unreadable = rig.carried(ACCOUNTS);
    unreadable.data = UNREADABLE.into();
    rig.announce(ACCOUNTS, position, Some(unreadable));
    rig.settle().await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
}

#[tokio::test]
async fn a_page_that_nobody_read_since_its_last_refresh_is_left_alone() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    for _ in 0..3 {
        rig.change_announced(ACCOUNTS, PAGE);
        rig.settle().await;
    }
    assert_eq!(rig.world.take_requests().len(), 1, "the first event's refresh");
    assert_eq!(rig.cache.stats().refreshes.get(), 1);
    assert_eq!(rig.cache.stats().refreshes_unread.get(), 2);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(4), "an invalidation");
    assert_eq!(rig.world.take_requests().len(), 1);
    assert_eq!(rig.cache.stats().refreshes_wasted.get(), 1);
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    assert_eq!(rig.cache.stats().refreshes.get(), 2, "it was read again");
}

#[tokio::test]
async fn what_is_resident_can_be_refreshed_read_or_not() {
    let mut rig = Rig::refreshing_read(Refresh::Resident).await;
    for _ in 0..3 {
        rig.change_announced(ACCOUNTS, PAGE);
        rig.settle().await;
    }
    assert_eq!(rig.cache.stats().refreshes.get(), 3);
    assert_eq!(rig.cache.stats().refreshes_wasted.get(), 2, "the price");
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn an_event_creates_no_page_unless_it_is_told_to() {
    for (of, requests) in [
        (Refresh::Read, vec![]),
        (Refresh::Resident, vec![]),
        (Refresh::All, vec![asked_in_full(METRICS)]),
    ] {
        let mut rig = Rig::refreshing(of);
        rig.change_carried(ACCOUNTS);
        rig.settle().await;
        assert_eq!(rig.world.take_requests(), requests, "{of:?}");
        let created = !requests.is_empty();
        assert_eq!(rig.cache.sample(1).len(), usize::from(created), "{of:?}");
        assert_eq!(rig.read().await.outcome == Outcome::Hit, created, "{of:?}");
    }
}

#[tokio::test]
async fn an_answer_that_a_later_event_overtook_is_not_shown_as_the_latest() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.change_carried(ACCOUNTS);
    rig.change(ACCOUNTS); // and this one's announcement was left out
    rig.settle().await;
    assert_eq!(
        rig.world.take_requests(),
        [asked_about(ACCOUNTS, 2)],
        "it is something to ask about, no more"
    );
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(3));
}

#[tokio::test]
async fn an_answer_carried_before_a_loss_is_not_shown_as_the_latest() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.change_carried(ACCOUNTS);
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.hearing.lost(ACCOUNTS); // its event
    rig.settle().await;
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 2)]);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(3));
}

#[tokio::test]
async fn an_older_answer_never_replaces_a_newer_one() {
    let mut rig = Rig::refreshing(Refresh::Read);
    let old = rig.carried(ACCOUNTS);
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.read().await;
    let position = rig.hearing.changed(ACCOUNTS, PAGE);
    rig.announce(ACCOUNTS, position, Some(old));
    rig.settle().await;
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
}

/// Why a repeat must carry nothing: its position says that it is the latest word, and what it carries is not.
#[tokio::test]
async fn what_a_repeat_carries_would_be_a_lie() {
    for carrying in [true, false] {
        let mut rig = Rig::refreshing_read(Refresh::Read).await;
        rig.world.mutate(ACCOUNTS, PAGE);
        let second_revision = rig.carried(ACCOUNTS);
        rig.hearing.changed(ACCOUNTS, PAGE);
        rig.change(ACCOUNTS);
        let repeat = rig.hearing.changed(ACCOUNTS, PAGE);
        rig.announce(ACCOUNTS, repeat, carrying.then_some(second_revision));
        rig.settle().await;
        rig.live(TICK);
        let answer = rig.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (Outcome::Hit, rig.clock_now())
        );
        let truth = rig.world.version(ACCOUNTS, PAGE).revision;
        assert_eq!(revision(&answer, ACCOUNTS) == Some(truth), !carrying);
    }
}

/// A message of a database that another one replaced: the word of the one says nothing about the other.
#[tokio::test]
async fn what_a_stray_event_of_a_former_database_carries_is_not_shown_as_the_latest() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    let former = rig.carried(ACCOUNTS);
    rig.world.set(ACCOUNTS, |source| source.incarnation = 2);
    rig.hearing.replaced(ACCOUNTS);
    rig.live(Duration::from_secs(1));
    rig.hearing.replaced(ACCOUNTS);
    let position = rig.hearing.changed(ACCOUNTS, PAGE);
    rig.announce(ACCOUNTS, position, Some(former));
    rig.settle().await;
    rig.read().await;
    assert_eq!(rig.world.take_requests()[0], asked_about(ACCOUNTS, 1));
    assert_eq!(
        rig.read().await.entry.version(ACCOUNTS),
        Some(rig.world.version(ACCOUNTS, PAGE))
    );
}

/// The feed lags behind the answers: what it still has to say of the former database is older than what is shown.
#[tokio::test]
async fn a_database_that_was_replaced_unheard_is_not_undone_by_the_events_of_the_former() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.world.mutate(ACCOUNTS, PAGE);
    let former = rig.carried(ACCOUNTS); // its event is under way
    rig.world.set(ACCOUNTS, |source| {
        source.incarnation = 2;
        source.revisions.clear();
    });
    rig.reading(Demand::Afresh(&[])).await;
    let shown = rig.world.version(ACCOUNTS, PAGE);
    rig.world.take_requests();
    let position = rig.hearing.changed(ACCOUNTS, PAGE);
    rig.announce(ACCOUNTS, position, Some(former));
    rig.settle().await;
    assert_eq!(rig.read().await.entry.version(ACCOUNTS), Some(shown));
    assert_eq!(rig.world.take_requests(), [asked_about(ACCOUNTS, 1)]);
}

/// What is known was said by one publisher, and this event by another: nothing says which of the two is the later.
#[tokio::test]
async fn what_an_event_of_another_publisher_carries_does_not_replace_what_is_known() {
    for claim in [Some(Claim(8)), None] {
        let mut rig = Rig::refreshing_read(Refresh::Read).await;
        rig.world
            .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
        rig.world.mutate(ACCOUNTS, PAGE);
        let position = rig.hearing.changed(ACCOUNTS, PAGE);
        let mut of_another = rig.carried(ACCOUNTS);
        of_another.claim = claim;
        rig.announce(ACCOUNTS, position, Some(of_another));
        rig.settle().await;
        let answer = rig.read().await;
        assert_eq!(
            (revision(&answer, ACCOUNTS), answer.degraded().count()),
            (Some(1), 1),
            "{claim:?}"
        );
        assert_eq!(rig.cache.stats().carried.get(), 0);
    }
}

#[tokio::test]
async fn an_event_dates_nothing_because_nobody_knows_how_long_ago_its_clock_said_so() {
    for ahead in [Duration::ZERO, TICK] {
        let mut rig = Rig::refreshing_read(Refresh::Read).await;
        let watermark = rig.clock_now();
        rig.clock.advance(Duration::from_millis(500));
        rig.hearing.watermark(METRICS, rig.clock_now());
        let revision = rig.world.mutate(ACCOUNTS, PAGE);
        let position = rig.hearing.changed(ACCOUNTS, PAGE);
        let committed = rig.clock_now().saturating_add(ahead);
        rig.announce(ACCOUNTS, position, Some(carried(version(revision), committed)));
        rig.settle().await;
        let answer = rig.read().await;
        assert_eq!(answer.outcome, Outcome::Hit);
        assert_eq!(answer.fresh_as_of, watermark, "{ahead:?} ahead");
        rig.hearing.watermark(ACCOUNTS, rig.clock_now());
        assert_eq!(rig.read().await.fresh_as_of, rig.clock_now());
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_rendered_is_refreshed_again_by_its_next_event() {
    let mut rig = Rig::refreshing_read(Refresh::Resident).await;
    rig.world.on_next_render(|| panic!("the template"));
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    assert_eq!(rig.cache.stats().panics.get(), 1);
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    let answer = rig.read().await;
    assert_eq!(
        (answer.outcome, revision(&answer, ACCOUNTS)),
        (Outcome::Hit, Some(3))
    );
}

#[tokio::test]
async fn a_reader_who_comes_during_a_refresh_shares_its_flight() {
    let mut rig = Rig::refreshing_read(Refresh::Read).await;
    rig.world.stop(ACCOUNTS, Step::Ask).hold();
    rig.change_announced(ACCOUNTS, PAGE);
    rig.world.stop(ACCOUNTS, Step::Ask).arrived().await;
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Ask).release();
    assert_eq!(revision(&reading.await, ACCOUNTS), Some(2));
    assert_eq!(rig.world.take_requests().len(), 1);
    rig.change_announced(ACCOUNTS, PAGE);
    rig.settle().await;
    assert_eq!(
        rig.cache.stats().refreshes.get(),
        2,
        "and counts as having read it"
    );
    assert_eq!(rig.cache.stats().refreshes_wasted.get(), 0);
}
