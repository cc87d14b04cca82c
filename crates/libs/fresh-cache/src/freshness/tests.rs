//! The check, condition by condition, on a clock that stands still.

use super::*;
use std::sync::Arc;

use crate::clock::{Clock as _, ManualClock};
use crate::feed;
use crate::feed::ids::{Claim, SourceId};
use crate::feed::reader::FeedReader;
use crate::feed::state::FeedOptions;
use crate::feed::writer::FeedWriter;
use crate::fragment::Fragment;
use crate::version::Version;

const SOURCE: SourceId = SourceId(0);
const ENTITY: u64 = 42;
const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_micros(1);
const ALMOST_A_SECOND: Duration = Duration::from_micros(999_999);

/// A replica that trusts its one source, on a clock that stands still.
struct Bench {
    clock: ManualClock,
    feed: FeedReader<u64>,
    writer: FeedWriter<u64>,
}

impl Bench {
    fn new(clock_skew: Duration) -> Self {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        let options = FeedOptions {
            clock_skew,
            ..FeedOptions::default()
        };
        let (feed, writer) = feed::channel::<u64>(
            1,
            FeedOptions {
                clock: Arc::new(clock.clone()),
                ..options
            },
        );
        let mut bench = Self { clock, feed, writer };
        bench.apply_watermark();
        bench
    }

    fn apply_watermark(&mut self) {
        self.writer.watermark(SOURCE, self.clock.now());
    }

    fn fetch(&self, valid_for: Option<Duration>) -> Fragment<()> {
        let version = Version {
            incarnation: 1,
            revision: 1,
            nonce: 0,
        };
        Fragment::answered(
            SOURCE,
            self.feed.start_request(),
            version,
            Some(Claim::default()),
            (),
            valid_for,
        )
    }

    fn check(&self, fragment: &Fragment<()>) -> (Option<StaleReason>, Moment) {
        let watermarks = self.feed.watermarks();
        let check = FreshnessCheck::new(&self.feed, &watermarks);
        let freshness = check.freshness_of(self.feed.fence_index(SOURCE, &ENTITY), fragment.meta());
        (freshness.stale, check.tell(freshness.complete_until))
    }

    fn stale(&self, fragment: &Fragment<()>) -> Option<StaleReason> {
        self.check(fragment).0
    }
}

#[test]
fn a_fragment_is_fresh_until_an_event_of_its_entity_is_applied() {
    let mut bench = Bench::new(Duration::ZERO);
    let fragment = bench.fetch(None);
    let fence = bench.feed.fence_index(SOURCE, &ENTITY);
    let other = (0..100).find(|&entity| bench.feed.fence_index(SOURCE, &entity) != fence);
    let other = other.expect("a hundred entities do not share one fence");
    bench.writer.changed(SOURCE, &other);
    assert_eq!(bench.stale(&fragment), None);
    bench.writer.changed(SOURCE, &ENTITY);
    assert_eq!(bench.stale(&fragment), Some(StaleReason::Overtaken));
    assert_eq!(bench.stale(&bench.fetch(None)), None);
}

#[test]
fn a_loss_leaves_nothing_fresh_that_was_fetched_before() {
    let mut bench = Bench::new(Duration::ZERO);
    let fragment = bench.fetch(None);
    bench.writer.lost(SOURCE);
    assert_eq!(bench.stale(&fragment), Some(StaleReason::Overtaken));
    assert_eq!(bench.stale(&bench.fetch(None)), None);
}

#[test]
fn a_fragment_without_evidence_is_never_fresh() {
    let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
    let (feed, _consumer) = feed::channel::<u64>(
        1,
        FeedOptions {
            clock: Arc::new(clock),
            ..FeedOptions::default()
        },
    );
    let fragment = Fragment::without_evidence(
        SOURCE,
        Version {
            incarnation: 1,
            revision: 1,
            nonce: 0,
        },
        (),
    );
    let watermarks = feed.watermarks();
    let freshness = FreshnessCheck::new(&feed, &watermarks)
        .freshness_of(feed.fence_index(SOURCE, &ENTITY), fragment.meta());
    assert_eq!(
        freshness,
        Freshness {
            stale: Some(StaleReason::Overtaken),
            complete_until: Date::default()
        }
    );
}

#[test]
fn an_answer_holds_as_long_as_it_said_from_the_start_of_its_request() {
    let mut bench = Bench::new(Duration::ZERO);
    let fragment = bench.fetch(Some(3 * SECOND));
    bench.clock.advance(2 * SECOND + ALMOST_A_SECOND);
    bench.apply_watermark();
    assert_eq!(bench.stale(&fragment), None);
    bench.clock.advance(MOMENT);
    bench.apply_watermark();
    let freshness = (Some(StaleReason::Expired), fragment.complete_until.moment);
    assert_eq!(
        bench.check(&fragment),
        freshness,
        "what depends on the clock is not vouched for by events"
    );
}

#[test]
fn trust_ends_when_no_watermark_was_received_for_a_second() {
    // The skew keeps T itself from ending it.
    let mut bench = Bench::new(60 * SECOND);
    let fragment = bench.fetch(None);
    bench.clock.advance(10 * SECOND);
    bench.apply_watermark();
    bench.clock.advance(ALMOST_A_SECOND);
    assert!(bench.feed.trusted(SOURCE));
    assert_eq!(bench.stale(&fragment), None);
    bench.clock.advance(MOMENT);
    assert!(!bench.feed.trusted(SOURCE));
    assert_eq!(bench.stale(&fragment), Some(StaleReason::Untrusted));
}

#[test]
fn receiving_an_old_watermark_is_no_evidence_of_life() {
    let mut bench = Bench::new(Duration::ZERO);
    let fragment = bench.fetch(None);
    bench.clock.advance(10 * SECOND);
    let second_ago = Moment::from_micros(bench.clock.now().as_micros() - 1_000_000);
    bench.writer.watermark(SOURCE, second_ago);
    assert!(!bench.feed.trusted(SOURCE));
    assert_eq!(bench.stale(&fragment), Some(StaleReason::Untrusted));
    bench.writer.watermark(SOURCE, second_ago.saturating_add(MOMENT));
    assert!(bench.feed.trusted(SOURCE));
    assert_eq!(bench.stale(&fragment), None);
}

#[test]
fn a_watermark_from_the_future_is_no_evidence_of_anything() {
    let mut bench = Bench::new(SECOND);
    let fragment = bench.fetch(None);
    bench.clock.advance(10 * SECOND);
    let future = bench.clock.now().saturating_add(SECOND + MOMENT);
    bench.writer.watermark(SOURCE, future);
    let untrusted = (Some(StaleReason::Untrusted), fragment.complete_until.moment);
    assert_eq!(bench.check(&fragment), untrusted);
    bench.clock.advance(MOMENT);
    assert_eq!(
        bench.check(&fragment),
        untrusted,
        "that the clock caught up makes it no truer"
    );
    bench
        .writer
        .watermark(SOURCE, bench.clock.now().saturating_add(SECOND));
    assert_eq!(bench.stale(&fragment), None, "the skew allows it");
}

#[test]
fn nothing_is_complete_until_later_than_now() {
    let mut bench = Bench::new(SECOND);
    let fragment = bench.fetch(None);
    bench
        .writer
        .watermark(SOURCE, bench.clock.now().saturating_add(SECOND));
    assert_eq!(bench.check(&fragment).1, bench.clock.now());
}

#[test]
fn a_request_stands_in_for_trust_for_one_second_from_its_start() {
    let mut bench = Bench::new(Duration::ZERO);
    bench.clock.advance(10 * SECOND);
    let fragment = bench.fetch(None);
    bench.clock.advance(ALMOST_A_SECOND);
    assert_eq!(bench.stale(&fragment), None);
    bench.clock.advance(MOMENT);
    assert_eq!(bench.stale(&fragment), Some(StaleReason::Untrusted));
    let fragment = bench.fetch(None);
    bench.writer.changed(SOURCE, &ENTITY);
    assert_eq!(
        bench.stale(&fragment),
        Some(StaleReason::Overtaken),
        "fences hold as ever"
    );
}

#[test]
fn a_fragment_is_complete_until_the_watermark_or_its_start_whichever_is_later() {
    let mut bench = Bench::new(Duration::ZERO);
    bench.clock.advance(SECOND / 2);
    let fragment = bench.fetch(None);
    let start = bench.clock.now();
    assert_eq!(bench.check(&fragment).1, start);
    bench.clock.advance(SECOND / 4);
    bench.apply_watermark();
    let watermark = bench.clock.now();
    bench.clock.advance(SECOND / 2);
    assert_eq!(bench.check(&fragment), (None, watermark));
    bench.clock.advance(2 * SECOND);
    let freshness = (Some(StaleReason::Untrusted), watermark);
    assert_eq!(
        bench.check(&fragment),
        freshness,
        "an old watermark is still true of it"
    );
    bench.writer.changed(SOURCE, &ENTITY);
    bench.apply_watermark();
    assert_eq!(bench.check(&fragment), (Some(StaleReason::Overtaken), start));
}

#[test]
fn a_watermark_vouches_only_for_answers_of_its_own_publisher() {
    let mut bench = Bench::new(Duration::ZERO);
    let (old, new) = (Some(Claim::default()), Some(Claim(8)));
    let fragment = |bench: &Bench, claim| Fragment {
        claim,
        ..bench.fetch(None)
    };
    let fragments = [
        fragment(&bench, old),
        fragment(&bench, new),
        fragment(&bench, None),
    ];
    let start = bench.clock.now();
    bench.clock.advance(2 * SECOND);
    bench.apply_watermark();
    let check = |bench: &Bench| fragments.each_ref().map(|fragment| bench.check(fragment));
    let untrusted = (Some(StaleReason::Untrusted), start);
    assert_eq!(check(&bench), [(None, bench.clock.now()), untrusted, untrusted]);
    bench.writer.claimed(SOURCE, Claim(8));
    assert_eq!(
        check(&bench),
        [untrusted, untrusted, untrusted],
        "the new one has not said anything yet"
    );
    bench.apply_watermark();
    assert_eq!(check(&bench), [untrusted, (None, bench.clock.now()), untrusted]);
}

#[test]
fn a_clock_that_is_set_back_and_catches_up_brings_no_date_back() {
    let mut bench = Bench::new(Duration::ZERO);
    let right = bench.clock.now();
    bench.clock.step_to(right.saturating_add(8 * SECOND));
    bench.apply_watermark();
    let fragment = bench.fetch(None);
    bench.clock.step_to(right);
    assert_eq!(bench.check(&fragment).1, right);
    bench.clock.advance(10 * SECOND);
    assert_eq!(bench.check(&fragment).1, right, "and not eight seconds later");
}

#[test]
fn an_old_watermark_is_no_younger_by_a_clock_that_is_set_back() {
    let mut bench = Bench::new(Duration::ZERO);
    bench.clock.advance(10 * SECOND);
    let told = bench.clock.now();
    bench.clock.advance(ALMOST_A_SECOND);
    bench.writer.watermark(SOURCE, told);
    assert!(bench.feed.trusted(SOURCE));
    bench.clock.advance(MOMENT);
    bench.clock.step_to(told);
    assert!(!bench.feed.trusted(SOURCE));
}

#[test]
fn a_machine_that_slept_claims_nothing_for_the_time_it_slept() {
    let mut bench = Bench::new(Duration::ZERO);
    bench.apply_watermark();
    let (fragment, asleep) = (bench.fetch(None), bench.clock.now());
    bench.clock.suspend(3600 * SECOND);
    assert!(!bench.feed.trusted(SOURCE));
    assert_eq!(bench.check(&fragment).1, asleep);
}
