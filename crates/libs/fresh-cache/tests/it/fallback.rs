//! A source that cannot be asked, or cannot be believed: marked, dated truthfully, up to a limit, never after a deletion.

use std::time::Duration;

use fresh_cache::{CacheOptions, Claim, Demand, Forward, Outcome, PartState};

use crate::held_sources::{Step, Trouble};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Rig, TICK, revision};

const SECOND: Duration = Duration::from_secs(1);
const MAX_STALE: Duration = Duration::from_mins(10);
const ALMOST_MAX_STALE: Duration = Duration::from_millis(599_999);
const REVALIDATED: Outcome = Outcome::Forwarded {
    why: Forward::Stale,
    collapsed: false,
    stored: true,
};

/// A page that was proven at the end of two hours, and whose accounts are then down.
async fn down_after_two_hours() -> Rig {
    let mut rig = Rig::with(CacheOptions {
        max_stale: MAX_STALE,
        retry_after: Duration::ZERO,
        ..CacheOptions::default()
    });
    rig.read().await;
    rig.live(Duration::from_hours(2));
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig
}

#[tokio::test]
async fn a_part_whose_source_is_down_is_shown_marked_with_the_date_it_was_last_proven_for() {
    let mut rig = down_after_two_hours().await;
    let proven = rig.clock_now();
    rig.live(TICK);
    rig.change(ACCOUNTS);
    rig.live(TICK);
    for _ in 0..2 {
        let answer = rig.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (REVALIDATED, proven),
            "never a hit"
        );
        assert_eq!(answer.entry.page(), &[Some(1), Some(1)]);
        assert_eq!(answer.degraded().collect::<Vec<_>>(), [(ACCOUNTS, "is down")]);
    }
    assert_eq!(rig.cache.stats().stale_parts.get(), 2);

    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    let answer = rig.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(answer.fresh_as_of, rig.clock_now());
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn past_the_limit_the_part_is_missing_and_the_others_are_not() {
    let mut rig = down_after_two_hours().await;
    rig.change(ACCOUNTS);
    rig.live(ALMOST_MAX_STALE);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(1));
    rig.live(TICK);
    let answer = rig.read().await;
    assert_eq!(answer.entry.page(), &[None, Some(1)]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down; what was known is too old")]
    );
    rig.world.take_requests();
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    assert_eq!(rig.read().await.entry.page(), &[Some(2), Some(1)]);
    assert_eq!(rig.world.take_requests().len(), 1, "the good part was kept");
}

#[tokio::test]
async fn a_source_and_its_feed_that_die_together_leave_what_the_last_watermark_vouched_for() {
    let mut rig = down_after_two_hours().await;
    rig.live(TICK);
    let last_watermark = rig.clock_now();
    rig.clock.advance(ALMOST_MAX_STALE);
    let answer = rig.read().await;
    assert_eq!(answer.fresh_as_of, last_watermark);
    assert_eq!(answer.degraded().count(), 1);
    rig.clock.advance(TICK);
    assert_eq!(revision(&rig.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_feed_that_comes_back_vouches_for_a_part_whose_source_is_still_down() {
    let mut rig = down_after_two_hours().await;
    rig.clock.advance(10 * SECOND);
    assert_eq!(rig.read().await.degraded().count(), 1);
    rig.hear_watermarks();
    let answer = rig.read().await;
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, rig.clock_now())
    );
    assert_eq!(rig.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_feed_that_comes_back_during_a_request_that_fails_vouches_for_the_part() {
    let mut rig = down_after_two_hours().await;
    rig.clock.advance(10 * SECOND);
    rig.world.stop(ACCOUNTS, Step::Ask).hold();
    let reading = rig.waiting(Demand::Any).await;
    rig.world.stop(ACCOUNTS, Step::Ask).arrived().await;
    rig.hear_watermarks();
    rig.world.stop(ACCOUNTS, Step::Ask).release();
    let answer = reading.await;
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, rig.clock_now())
    );
    assert_eq!(rig.cache.stats().failures.get(), 1);
}

#[tokio::test]
async fn a_deletion_that_was_heard_is_not_undone_by_a_stale_answer() {
    let mut rig = down_after_two_hours().await;
    rig.change(ACCOUNTS);
    assert_eq!(
        revision(&rig.read().await, ACCOUNTS),
        Some(1),
        "changed, and shown marked"
    );
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.hearing.deleted(ACCOUNTS, PAGE);
    let answer = rig.read().await;
    assert_eq!(answer.entry.page(), &[None, Some(1)]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down; what was known is deleted")]
    );
    rig.world.set(ACCOUNTS, |source| source.trouble = None);
    assert_eq!(
        revision(&rig.read().await, ACCOUNTS),
        Some(3),
        "that it is deleted, says the source itself"
    );
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Down));
    rig.hearing.changed(ACCOUNTS, PAGE);
    assert_eq!(
        revision(&rig.read().await, ACCOUNTS),
        Some(3),
        "and that may be shown stale again"
    );
}

#[tokio::test]
async fn with_nothing_known_the_part_is_missing() {
    let rig = Rig::new();
    rig.world
        .set(METRICS, |source| source.trouble = Some(Trouble::Down));
    let answer = rig.read().await;
    assert_eq!(answer.entry.page(), &[Some(1), None]);
    assert!(matches!(&answer.entry.parts()[1], PartState::Missing { reason } if reason == "is down"));
    assert_eq!(rig.cache.stats().missing_parts.get(), 1);
    assert_eq!(
        rig.read().await.outcome,
        REVALIDATED,
        "an incomplete page is never a hit"
    );
    assert_eq!(rig.cache.stats().rejected_as_degraded.get(), 1);
}

#[tokio::test]
async fn an_answer_older_than_the_known_part_is_not_believed() {
    let mut rig = Rig::new();
    rig.world.mutate(ACCOUNTS, PAGE);
    rig.read().await;
    rig.world
        .set(ACCOUNTS, |source| source.trouble = Some(Trouble::Lags(1)));
    rig.change(ACCOUNTS);
    let answer = rig.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    let reason = "answered with revision 1, after revision 2";
    assert_eq!(answer.degraded().collect::<Vec<_>>(), [(ACCOUNTS, reason)]);
    assert_eq!(
        (
            rig.cache.stats().regressions.get(),
            rig.cache.stats().failures.get()
        ),
        (1, 1)
    );
    let afresh = rig.reading(Demand::Afresh(&[])).await;
    assert_eq!(
        revision(&afresh, ACCOUNTS),
        Some(2),
        "asked unconditionally, it is not believed either"
    );
    assert_eq!(rig.cache.stats().regressions.get(), 2);
}

/// Its database may have been set back: then the older answer is all there is.
#[tokio::test]
async fn an_older_answer_of_another_publisher_is_believed() {
    let stated = Some(Claim::default());
    for (known, answered) in [
        (stated, Some(Claim(8))),
        (stated, None),
        (None, stated),
        (None, None),
    ] {
        let mut rig = Rig::new();
        rig.world.mutate(ACCOUNTS, PAGE);
        rig.world.set(ACCOUNTS, |source| source.claim = known);
        assert_eq!(revision(&rig.read().await, ACCOUNTS), Some(2));
        rig.world.set(ACCOUNTS, |source| {
            source.claim = answered;
            source.revisions.clear();
        });
        rig.hearing.changed(ACCOUNTS, PAGE);
        let answer = rig.read().await;
        assert_eq!(
            (revision(&answer, ACCOUNTS), answer.degraded().count()),
            (Some(1), 0),
            "{answered:?} after {known:?}"
        );
        assert_eq!(rig.cache.stats().regressions.get(), 0);
    }
}
