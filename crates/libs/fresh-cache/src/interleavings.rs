//! The task that applies the feed against a reader: every interleaving, and every stale load that the memory model
//! allows, tried by [loom].
//!
//! A source's data is one relaxed atomic here, so that whatever order a reader finds comes from the feed alone. For
//! each store and load of the feed that is a release or an acquire, and for each step of `FeedWriter` whose place
//! matters, one of these models fails if it is weakened or moved.

mod wrong;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::clock::{Date, ManualClock, Moment};
use crate::dependency::Dependency;
use crate::feed;
use crate::feed::ids::{Claim, FenceIndex, Position, SourceId};
use crate::feed::reader::FeedReader;
use crate::feed::state::{FeedOptions, FeedState};
use crate::feed::writer::FeedWriter;
use crate::fragment::{Fetched, Fragment, FragmentState};
use crate::freshness::{FreshnessCheck, StaleReason};
use crate::loader::Loader;
use crate::page::{Backoff, CachedPage, NewPage};
use crate::strategy::Strategy;
use crate::version::Version;

const SOURCE: SourceId = SourceId(0);
const ENTITY: u64 = 42;
/// When the reader's request begins, when the source commits, and the source's next watermark.
const START: Moment = Moment::from_micros(1_700_000_000_000_000);
const COMMIT: Moment = Moment::from_micros(1_700_000_000_100_000);
const WATERMARK: Moment = Moment::from_micros(1_700_000_000_200_000);
const LATER: Duration = Duration::from_millis(300);

/// A source with one entity, and a replica that applies its feed.
#[derive(Clone)]
struct Scene {
    clock: ManualClock,
    feed: FeedReader<u64>,
    /// The entity's revision at the source.
    revision: Arc<AtomicU64>,
}

impl Scene {
    /// A replica that has applied nothing yet.
    fn silent() -> (Self, FeedWriter<u64>) {
        Self::with_skew(Duration::ZERO)
    }

    fn with_skew(clock_skew: Duration) -> (Self, FeedWriter<u64>) {
        let clock = ManualClock::at(START);
        let options = FeedOptions {
            // One fence, so that the process' random key decides nothing.
            fences: 1,
            clock_skew,
            clock: Arc::new(clock.clone()),
            ..FeedOptions::default()
        };
        let (feed, writer) = feed::channel(1, options);
        let revision = Arc::new(AtomicU64::new(0));
        let scene = Self {
            clock,
            feed,
            revision,
        };
        (scene, writer)
    }

    fn new() -> (Self, FeedWriter<u64>) {
        let (scene, mut writer) = Self::silent();
        writer.lost(SOURCE);
        (scene, writer)
    }

    fn fence_index(&self) -> FenceIndex {
        self.feed.fence_index(SOURCE, &ENTITY)
    }

    /// The source commits a change of its entity; relaxed, so that only being told orders anything.
    fn commit(&self) {
        self.revision.store(1, Ordering::Relaxed);
    }

    /// A request, as a load makes it: notes, then asks (rule 9).
    fn ask(&self) -> Fragment<()> {
        let start = self.feed.start_request();
        let version = Version {
            incarnation: 1,
            revision: self.revision.load(Ordering::Relaxed),
            nonce: 0,
        };
        Fragment::answered(SOURCE, start, version, Some(Claim::default()), (), None)
    }

    /// What a reader is told of the fragment after a check: watermarks, then fences (rule 10).
    fn check(&self, fragment: &Fragment<()>) -> Moment {
        let watermarks = self.feed.watermarks();
        let check = FreshnessCheck::new(&self.feed, &watermarks);
        check.tell(
            check
                .freshness_of(self.fence_index(), fragment.meta())
                .complete_until,
        )
    }

    /// Whether what a reader is told of the fragment is true (I3): past the commit, only of a fragment that shows it.
    fn is_true(fragment: &Fragment<()>, complete_until: Moment) -> bool {
        fragment.version.revision == 1 || complete_until <= COMMIT
    }
}

/// A fragment that was fetched before the commit, against a feed that tells of it in this way.
fn check_a_resident_fragment(scene: fn() -> (Scene, FeedWriter<u64>), tell: fn(&mut FeedWriter<u64>)) {
    loom::model(move || {
        let (scene, mut writer) = scene();
        let fragment = scene.ask();
        scene.clock.advance(LATER);
        let feed = thread::spawn(move || {
            tell(&mut writer);
            writer.watermark(SOURCE, WATERMARK);
        });
        let complete_until = scene.check(&fragment);
        assert!(Scene::is_true(&fragment, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

/// A fragment that is fetched while the source commits and a feed tells of it in this way.
fn check_a_fragment_in_flight(tell: fn(&mut FeedWriter<u64>)) {
    loom::model(move || {
        let (scene, mut writer) = Scene::new();
        let source = scene.clone();
        let feed = thread::spawn(move || {
            source.commit();
            tell(&mut writer);
            writer.watermark(SOURCE, WATERMARK);
        });
        let fragment = scene.ask();
        scene.clock.advance(LATER);
        let complete_until = scene.check(&fragment);
        assert!(Scene::is_true(&fragment, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

fn change(writer: &mut FeedWriter<u64>) {
    writer.changed(SOURCE, &ENTITY);
}

fn delete(writer: &mut FeedWriter<u64>) {
    writer.deleted(SOURCE, &ENTITY);
}

fn lose(writer: &mut FeedWriter<u64>) {
    writer.lost(SOURCE);
}

fn replace(writer: &mut FeedWriter<u64>) {
    writer.replaced(SOURCE);
}

#[test]
fn no_watermark_vouches_for_a_fragment_that_an_event_before_it_overtook() {
    check_a_resident_fragment(Scene::new, change);
    check_a_resident_fragment(Scene::new, delete);
}

#[test]
fn no_watermark_vouches_for_a_fragment_that_a_loss_before_it_overtook() {
    check_a_resident_fragment(Scene::new, lose);
    check_a_resident_fragment(Scene::new, replace);
}

#[test]
fn no_watermark_vouches_for_a_fragment_of_the_publisher_before_its_own() {
    // What the new one committed is missing in the former one's answer, and no event of it is applied.
    check_a_resident_fragment(Scene::new, |writer| writer.claimed(SOURCE, Claim(8)));
}

#[test]
fn the_first_watermark_vouches_for_nothing_that_was_fetched_before() {
    check_a_resident_fragment(Scene::silent, |_nothing_was_applied| {});
}

#[test]
fn no_watermark_vouches_for_an_answer_that_its_event_overtook() {
    check_a_fragment_in_flight(change);
    check_a_fragment_in_flight(delete);
}

#[test]
fn no_watermark_vouches_for_an_answer_that_its_loss_overtook() {
    check_a_fragment_in_flight(lose);
    check_a_fragment_in_flight(replace);
}

/// A fragment that was fetched before the commit, and two watermarks between which the clocks disagree.
fn check_halves(first: fn(&Scene, &mut FeedWriter<u64>), pass_time: fn(&Scene)) {
    loom::model(move || {
        let (scene, mut writer) = Scene::new();
        first(&scene, &mut writer);
        let fragment = scene.ask();
        pass_time(&scene);
        let feed = thread::spawn(move || {
            change(&mut writer);
            writer.watermark(SOURCE, WATERMARK);
        });
        let complete_until = scene.check(&fragment);
        assert!(Scene::is_true(&fragment, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn half_a_watermark_vouches_for_nothing_after_the_wall_clock_was_set_back() {
    // By the wall clock the first one is the later, so that the monotonic half of the second one decides alone.
    check_halves(
        |scene, writer| {
            let ahead = START.saturating_add(Duration::from_hours(1));
            scene.clock.step_to(ahead);
            writer.watermark(SOURCE, ahead);
            scene.clock.step_to(START);
        },
        |scene| scene.clock.advance(LATER),
    );
}

#[test]
fn half_a_watermark_vouches_for_nothing_after_the_machine_slept() {
    // By the monotonic clock the first one is the later, so that the wall clock's half of the second one decides alone.
    check_halves(
        |_, writer| writer.watermark(SOURCE, START),
        |scene| scene.clock.suspend(LATER),
    );
}

/// Who finds a fragment overtaken and asks for it again is not below the same fence again.
fn ask_again_after(tell: fn(&mut FeedWriter<u64>), found: fn(&FeedState, FenceIndex, Position) -> bool) {
    loom::model(move || {
        let (scene, mut writer) = Scene::new();
        let before = scene.feed.position();
        let feed = thread::spawn(move || tell(&mut writer));
        if found(&scene.feed, scene.fence_index(), before) {
            let again = scene.feed.position();
            assert!(!found(&scene.feed, scene.fence_index(), again), "asked in vain");
        }
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn who_sees_a_fence_or_a_floor_notes_a_position_that_is_not_below_it() {
    ask_again_after(change, FeedState::overtaken);
    ask_again_after(delete, FeedState::overtaken);
    ask_again_after(lose, FeedState::overtaken);
}

#[test]
fn who_sees_a_deletion_notes_a_position_that_is_not_below_it() {
    ask_again_after(delete, FeedState::deleted);
}

#[test]
fn who_sees_the_fence_of_a_deletion_sees_that_it_is_one() {
    loom::model(|| {
        let (scene, mut writer) = Scene::new();
        let before = scene.feed.position();
        let feed = thread::spawn(move || delete(&mut writer));
        if scene.feed.overtaken(scene.fence_index(), before) {
            assert!(
                scene.feed.deleted(scene.fence_index(), before),
                "shown after its deletion"
            );
        }
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn no_receipt_vouches_for_a_watermark_before_its_own() {
    loom::model(|| {
        // Two watermarks that are no evidence of life, on clocks that may differ by a minute: the first was received too long
        // ago, the second says a moment too long ago. The first one's T with the second one's receipt would be.
        let (scene, mut writer) = Scene::with_skew(Duration::from_mins(1));
        writer.watermark(SOURCE, START);
        scene.clock.advance(Duration::from_secs(1));
        let old = START.saturating_sub(Duration::from_mins(2));
        let feed = thread::spawn(move || writer.watermark(SOURCE, old));
        assert!(!scene.feed.trusted(SOURCE));
        feed.join().expect("the feed does not panic");
    });
}

/// A loader in name only: what a load would have made is made by hand.
struct Pages;

impl Loader for Pages {
    type Key = u64;
    type Entity = u64;
    type Body = ();
    type Page = ();
    type Error = Infallible;

    fn dependencies(&self, _: &u64) -> Vec<(SourceId, u64)> {
        vec![(SOURCE, ENTITY)]
    }

    async fn fetch(
        &self,
        _: &u64,
        _: SourceId,
        _: &u64,
        _: Option<&Fragment<()>>,
    ) -> Result<Fetched<()>, Infallible> {
        unreachable!("nothing is fetched in a model")
    }

    fn compose(&self, _: &u64, _: &[FragmentState<()>]) {}

    fn weight(&self, (): &()) -> u32 {
        0
    }
}

/// The page that a load makes whose source failed, and which had noted this position before it asked.
fn stale_page(scene: &Scene, fragment: Fragment<()>, position: Position) -> CachedPage<Pages> {
    let reason = "is down";
    let backoff = Backoff {
        reason: reason.into(),
        until: Duration::MAX,
        position,
    };
    CachedPage::new(NewPage {
        content: Arc::new(()),
        fragments: vec![FragmentState::Stale {
            fragment,
            reason: reason.into(),
        }],
        dependencies: &[Dependency {
            entity: ENTITY,
            fence: scene.fence_index(),
        }],
        composed: Date::now(&scene.clock),
        backoffs: vec![Some(backoff)],
        read: true,
        weight: 0,
    })
}

#[test]
fn no_stale_fragment_is_shown_after_its_deletion_during_a_backoff() {
    loom::model(|| {
        let (scene, mut writer) = Scene::new();
        let fragment = scene.ask();
        let fence = scene.fence_index();
        let feed = thread::spawn(move || delete(&mut writer));
        // The load may note the deletion's position and yet end before the deletion itself can be seen: that the source
        // backoffs since then is no reason to show the fragment.
        let position = scene.feed.position();
        let stale = !scene.feed.deleted(fence, fragment.position);
        feed.join().expect("the feed does not panic");
        if stale {
            let page = stale_page(&scene, fragment, position);
            let watermarks = scene.feed.watermarks();
            let check = FreshnessCheck::new(&scene.feed, &watermarks);
            let freshness = page.freshness(&check, &*Strategy::Invalidate.policy());
            assert_eq!(
                freshness.stale,
                Some(StaleReason::Degraded),
                "shown after its deletion"
            );
        }
    });
}
