//! A source that cannot be asked, or cannot be believed: marked, dated truthfully, up to a limit, never after a deletion.

use std::time::Duration;

use fresh_cache::{CacheOptions, Claim, Consistency, Forward, FragmentState, Outcome};

use crate::held_sources::{Fault, Step};
use crate::replica::{ACCOUNTS, METRICS, PAGE, Replica, TICK, revision};

const SECOND: Duration = Duration::from_secs(1);
const MAX_STALE: Duration = Duration::from_mins(10);
const ALMOST_MAX_STALE: Duration = Duration::from_millis(599_999);
const REVALIDATED: Outcome = Outcome::Forwarded {
    why: Forward::Stale,
    collapsed: false,
    stored: true,
};

/// A page that was fresh at the end of two hours, and whose accounts are then down.
async fn down_after_two_hours() -> Replica {
    let mut replica = Replica::with(CacheOptions {
        max_stale: MAX_STALE,
        retry_after: Duration::ZERO,
        ..CacheOptions::default()
    });
    replica.read().await;
    replica.live(Duration::from_hours(2));
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica
}

#[tokio::test]
async fn a_fragment_whose_source_is_down_is_shown_marked_with_the_date_it_was_last_found_fresh_for() {
    let mut replica = down_after_two_hours().await;
    let checked = replica.clock_now();
    replica.live(TICK);
    replica.change(ACCOUNTS);
    replica.live(TICK);
    for _ in 0..2 {
        let answer = replica.read().await;
        assert_eq!(
            (answer.outcome, answer.fresh_as_of),
            (REVALIDATED, checked),
            "never a hit"
        );
        assert_eq!(answer.page.content(), &[Some(1), Some(1)]);
        assert_eq!(answer.degraded().collect::<Vec<_>>(), [(ACCOUNTS, "is down")]);
    }
    assert_eq!(replica.cache.stats().stale_fragments.get(), 2);

    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    let answer = replica.read().await;
    assert_eq!(
        (revision(&answer, ACCOUNTS), answer.degraded().count()),
        (Some(2), 0)
    );
    assert_eq!(answer.fresh_as_of, replica.clock_now());
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn past_the_limit_the_fragment_is_missing_and_the_others_are_not() {
    let mut replica = down_after_two_hours().await;
    replica.change(ACCOUNTS);
    replica.live(ALMOST_MAX_STALE);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(1));
    replica.live(TICK);
    let answer = replica.read().await;
    assert_eq!(answer.page.content(), &[None, Some(1)]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down; what was known is too old")]
    );
    replica.sources.take_requests();
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    assert_eq!(replica.read().await.page.content(), &[Some(2), Some(1)]);
    assert_eq!(
        replica.sources.take_requests().len(),
        1,
        "the good fragment was kept"
    );
}

#[tokio::test]
async fn a_source_and_its_feed_that_die_together_leave_what_the_last_watermark_vouched_for() {
    let mut replica = down_after_two_hours().await;
    replica.live(TICK);
    let last_watermark = replica.clock_now();
    replica.clock.advance(ALMOST_MAX_STALE);
    let answer = replica.read().await;
    assert_eq!(answer.fresh_as_of, last_watermark);
    assert_eq!(answer.degraded().count(), 1);
    replica.clock.advance(TICK);
    assert_eq!(revision(&replica.read().await, ACCOUNTS), None);
}

#[tokio::test]
async fn a_feed_that_comes_back_vouches_for_a_fragment_whose_source_is_still_down() {
    let mut replica = down_after_two_hours().await;
    replica.clock.advance(10 * SECOND);
    assert_eq!(replica.read().await.degraded().count(), 1);
    replica.apply_watermarks();
    let answer = replica.read().await;
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, replica.clock_now())
    );
    assert_eq!(replica.read().await.outcome, Outcome::Hit);
}

#[tokio::test]
async fn a_feed_that_comes_back_during_a_request_that_fails_vouches_for_the_fragment() {
    let mut replica = down_after_two_hours().await;
    replica.clock.advance(10 * SECOND);
    replica.sources.stop(ACCOUNTS, Step::Ask).hold();
    let reading = replica.waiting(Consistency::MinimizeLatency).await;
    replica.sources.stop(ACCOUNTS, Step::Ask).arrived().await;
    replica.apply_watermarks();
    replica.sources.stop(ACCOUNTS, Step::Ask).release();
    let answer = reading.await;
    assert_eq!(
        (answer.degraded().count(), answer.fresh_as_of),
        (0, replica.clock_now())
    );
    assert_eq!(replica.cache.stats().failures.get(), 1);
}

#[tokio::test]
async fn a_deletion_that_was_applied_is_not_undone_by_a_stale_answer() {
    let mut replica = down_after_two_hours().await;
    replica.change(ACCOUNTS);
    assert_eq!(
        revision(&replica.read().await, ACCOUNTS),
        Some(1),
        "changed, and shown marked"
    );
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.writer.deleted(ACCOUNTS, &PAGE);
    let answer = replica.read().await;
    assert_eq!(answer.page.content(), &[None, Some(1)]);
    assert_eq!(
        answer.degraded().collect::<Vec<_>>(),
        [(ACCOUNTS, "is down; what was known is deleted")]
    );
    replica.sources.set(ACCOUNTS, |source| source.fault = None);
    assert_eq!(
        revision(&replica.read().await, ACCOUNTS),
        Some(3),
        "that it is deleted, says the source itself"
    );
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Down));
    replica.writer.changed(ACCOUNTS, &PAGE);
    assert_eq!(
        revision(&replica.read().await, ACCOUNTS),
        Some(3),
        "and that may be shown stale again"
    );
}

#[tokio::test]
async fn with_nothing_known_the_fragment_is_missing() {
    let replica = Replica::new();
    replica
        .sources
        .set(METRICS, |source| source.fault = Some(Fault::Down));
    let answer = replica.read().await;
    assert_eq!(answer.page.content(), &[Some(1), None]);
    assert!(matches!(&answer.page.fragments()[1], FragmentState::Missing { reason } if reason == "is down"));
    assert_eq!(replica.cache.stats().missing_fragments.get(), 1);
    assert_eq!(
        replica.read().await.outcome,
        REVALIDATED,
        "an incomplete page is never a hit"
    );
    assert_eq!(replica.cache.stats().rejected_as_degraded.get(), 1);
}

#[tokio::test]
async fn an_answer_older_than_the_known_fragment_is_not_believed() {
    let mut replica = Replica::new();
    replica.sources.mutate(ACCOUNTS, PAGE);
    replica.read().await;
    replica
        .sources
        .set(ACCOUNTS, |source| source.fault = Some(Fault::Lags(1)));
    replica.change(ACCOUNTS);
    let answer = replica.read().await;
    assert_eq!(revision(&answer, ACCOUNTS), Some(2));
    let reason = "answered with revision 1, after revision 2";
    assert_eq!(answer.degraded().collect::<Vec<_>>(), [(ACCOUNTS, reason)]);
    assert_eq!(
        (
            replica.cache.stats().regressions.get(),
            replica.cache.stats().failures.get()
        ),
        (1, 1)
    );
    let full = replica.reading(Consistency::FullyConsistent(&[])).await;
    assert_eq!(
        revision(&full, ACCOUNTS),
        Some(2),
        "asked unconditionally, it is not believed either"
    );
    assert_eq!(replica.cache.stats().regressions.get(), 2);
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
        let mut replica = Replica::new();
        replica.sources.mutate(ACCOUNTS, PAGE);
        replica.sources.set(ACCOUNTS, |source| source.claim = known);
        assert_eq!(revision(&replica.read().await, ACCOUNTS), Some(2));
        replica.sources.set(ACCOUNTS, |source| {
            source.claim = answered;
            source.revisions.clear();
        });
        replica.writer.changed(ACCOUNTS, &PAGE);
        let answer = replica.read().await;
        assert_eq!(
            (revision(&answer, ACCOUNTS), answer.degraded().count()),
            (Some(1), 0),
            "{answered:?} after {known:?}"
        );
        assert_eq!(replica.cache.stats().regressions.get(), 0);
    }
}
