//! The task that hears the feed against a reader: every interleaving, and every stale load that the memory model
//! allows, tried by [loom].
//!
//! A source's data is one relaxed atomic here, so that whatever order a reader finds comes from the ledger alone. For
//! each store and load of the ledger that is a release or an acquire, and for each step of `Hearing` whose place
//! matters, one of these models fails if it is weakened or moved.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::clock::{Date, ManualClock, Moment};
use crate::feed::state::{Ledger, LedgerOptions, Position, Slot, SourceId};
use crate::feed::writer::Hearing;
use crate::fragment::{Claim, Fetched, Part, PartState, Version};
use crate::freshness::{Doubt, Proof};
use crate::loader::Composer;
use crate::page::{Entry, Made, Rest};
use crate::strategy::Strategy;

const SOURCE: SourceId = SourceId(0);
const ENTITY: u64 = 42;
/// When the reader's request begins, when the source commits, and the source's next watermark.
const START: Moment = Moment::from_micros(1_700_000_000_000_000);
const COMMIT: Moment = Moment::from_micros(1_700_000_000_100_000);
const WATERMARK: Moment = Moment::from_micros(1_700_000_000_200_000);
const LATER: Duration = Duration::from_millis(300);

/// A source with one entity, and a replica that hears of it.
#[derive(Clone)]
struct Scene {
    clock: ManualClock,
    ledger: Arc<Ledger>,
    /// The entity's revision at the source.
    revision: Arc<AtomicU64>,
}

impl Scene {
    /// A replica that has heard nothing yet.
    fn deaf() -> (Self, Hearing) {
        Self::with_skew(Duration::ZERO)
    }

    fn with_skew(clock_skew: Duration) -> (Self, Hearing) {
        let clock = ManualClock::at(START);
        let options = LedgerOptions {
            // One fence, so that the process' random key decides nothing.
            slots: 1,
            clock_skew,
            ..LedgerOptions::default()
        };
        let (ledger, hearing) = Ledger::with_clock(1, options, Arc::new(clock.clone()));
        let revision = Arc::new(AtomicU64::new(0));
        let scene = Self {
            clock,
            ledger,
            revision,
        };
        (scene, hearing)
    }

    fn new() -> (Self, Hearing) {
        let (scene, mut hearing) = Self::deaf();
        hearing.lost(SOURCE);
        (scene, hearing)
    }

    fn slot(&self) -> Slot {
        self.ledger.slot(SOURCE, ENTITY)
    }

    /// The source commits a change of its entity; relaxed, so that only being told orders anything.
    fn commit(&self) {
        self.revision.store(1, Ordering::Relaxed);
    }

    /// A request, as a flight makes it: notes, then asks (rule 9).
    fn ask(&self) -> Part<()> {
        let stamp = self.ledger.stamp();
        let version = Version {
            incarnation: 1,
            revision: self.revision.load(Ordering::Relaxed),
            nonce: 0,
        };
        Part::answered(SOURCE, stamp, version, Some(Claim::default()), (), None)
    }

    /// What a reader is told of the part after a proof: watermarks, then fences (rule 10).
    fn check(&self, part: &Part<()>) -> Moment {
        let watermarks = self.ledger.watermarks();
        let proof = Proof::new(&self.ledger, &watermarks);
        proof.tell(proof.check(self.slot(), part.evidence()).complete_until)
    }

    /// Whether what a reader is told of the part is true (I3): past the commit, only of a part that shows it.
    fn is_true(part: &Part<()>, complete_until: Moment) -> bool {
        part.version.revision == 1 || complete_until <= COMMIT
    }
}

/// A part that was fetched before the commit, against a feed that tells of it in this way.
fn check_a_resident_part(scene: fn() -> (Scene, Hearing), tell: fn(&mut Hearing)) {
    loom::model(move || {
        let (scene, mut hearing) = scene();
        let part = scene.ask();
        scene.clock.advance(LATER);
        let feed = thread::spawn(move || {
            tell(&mut hearing);
            hearing.watermark(SOURCE, WATERMARK);
        });
        let complete_until = scene.check(&part);
        assert!(Scene::is_true(&part, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

/// A part that is fetched while the source commits and a feed tells of it in this way.
fn check_a_part_in_flight(tell: fn(&mut Hearing)) {
    loom::model(move || {
        let (scene, mut hearing) = Scene::new();
        let source = scene.clone();
        let feed = thread::spawn(move || {
            source.commit();
            tell(&mut hearing);
            hearing.watermark(SOURCE, WATERMARK);
        });
        let part = scene.ask();
        scene.clock.advance(LATER);
        let complete_until = scene.check(&part);
        assert!(Scene::is_true(&part, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

fn change(hearing: &mut Hearing) {
    hearing.changed(SOURCE, ENTITY);
}

fn delete(hearing: &mut Hearing) {
    hearing.deleted(SOURCE, ENTITY);
}

fn lose(hearing: &mut Hearing) {
    hearing.lost(SOURCE);
}

fn replace(hearing: &mut Hearing) {
    hearing.replaced(SOURCE);
}

#[test]
fn no_watermark_vouches_for_a_part_that_an_event_before_it_passed() {
    check_a_resident_part(Scene::new, change);
    check_a_resident_part(Scene::new, delete);
}

#[test]
fn no_watermark_vouches_for_a_part_that_a_loss_before_it_passed() {
    check_a_resident_part(Scene::new, lose);
    check_a_resident_part(Scene::new, replace);
}

#[test]
fn no_watermark_vouches_for_a_part_of_the_publisher_before_its_own() {
    // What the new one committed is missing in the former one's answer, and no event of it is heard.
    check_a_resident_part(Scene::new, |hearing| hearing.claimed(SOURCE, Claim(8)));
}

#[test]
fn the_first_watermark_vouches_for_nothing_that_was_fetched_before() {
    check_a_resident_part(Scene::deaf, |_nothing_was_heard| {});
}

#[test]
fn no_watermark_vouches_for_an_answer_that_its_event_overtook() {
    check_a_part_in_flight(change);
    check_a_part_in_flight(delete);
}

#[test]
fn no_watermark_vouches_for_an_answer_that_its_loss_overtook() {
    check_a_part_in_flight(lose);
    check_a_part_in_flight(replace);
}

/// A part that was fetched before the commit, and two watermarks between which the clocks disagree.
fn check_halves(first: fn(&Scene, &mut Hearing), pass_time: fn(&Scene)) {
    loom::model(move || {
        let (scene, mut hearing) = Scene::new();
        first(&scene, &mut hearing);
        let part = scene.ask();
        pass_time(&scene);
        let feed = thread::spawn(move || {
            change(&mut hearing);
            hearing.watermark(SOURCE, WATERMARK);
        });
        let complete_until = scene.check(&part);
        assert!(Scene::is_true(&part, complete_until), "{complete_until:?}");
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn half_a_watermark_vouches_for_nothing_after_the_wall_clock_was_set_back() {
    // By the wall clock the first one is the later, so that the monotonic half of the second one decides alone.
    check_halves(
        |scene, hearing| {
            let ahead = START.saturating_add(Duration::from_hours(1));
            scene.clock.step_to(ahead);
            hearing.watermark(SOURCE, ahead);
            scene.clock.step_to(START);
        },
        |scene| scene.clock.advance(LATER),
    );
}

#[test]
fn half_a_watermark_vouches_for_nothing_after_the_machine_slept() {
    // By the monotonic clock the first one is the later, so that the wall clock's half of the second one decides alone.
    check_halves(
        |_, hearing| hearing.watermark(SOURCE, START),
        |scene| scene.clock.suspend(LATER),
    );
}

/// Who finds a part passed and asks for it again is not below the same fence again.
fn ask_again_after(tell: fn(&mut Hearing), found: fn(&Ledger, Slot, Position) -> bool) {
    loom::model(move || {
        let (scene, mut hearing) = Scene::new();
        let before = scene.ledger.position();
        let feed = thread::spawn(move || tell(&mut hearing));
        if found(&scene.ledger, scene.slot(), before) {
            let again = scene.ledger.position();
            assert!(!found(&scene.ledger, scene.slot(), again), "asked in vain");
        }
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn who_sees_a_fence_or_a_floor_notes_a_position_that_is_not_below_it() {
    ask_again_after(change, Ledger::passed);
    ask_again_after(delete, Ledger::passed);
    ask_again_after(lose, Ledger::passed);
}

#[test]
fn who_sees_a_deletion_notes_a_position_that_is_not_below_it() {
    ask_again_after(delete, Ledger::deleted);
}

#[test]
fn who_sees_the_fence_of_a_deletion_sees_that_it_is_one() {
    loom::model(|| {
        let (scene, mut hearing) = Scene::new();
        let before = scene.ledger.position();
        let feed = thread::spawn(move || delete(&mut hearing));
        if scene.ledger.passed(scene.slot(), before) {
            assert!(
                scene.ledger.deleted(scene.slot(), before),
                "shown after its deletion"
            );
        }
        feed.join().expect("the feed does not panic");
    });
}

#[test]
fn no_receipt_vouches_for_a_watermark_before_its_own() {
    loom::model(|| {
        // Two watermarks that are no evidence of life, on clocks that may differ by a minute: the first was heard too long
        // ago, the second says a moment too long ago. The first one's T with the second one's receipt would be.
        let (scene, mut hearing) = Scene::with_skew(Duration::from_mins(1));
        hearing.watermark(SOURCE, START);
        scene.clock.advance(Duration::from_secs(1));
        let old = START.saturating_sub(Duration::from_mins(2));
        let feed = thread::spawn(move || hearing.watermark(SOURCE, old));
        assert!(!scene.ledger.trusted(SOURCE));
        feed.join().expect("the feed does not panic");
    });
}

/// A composer in name only: what a flight would have made is made by hand.
struct Pages;

impl Composer for Pages {
    type Key = u64;
    type Body = ();
    type Page = ();
    type Error = Infallible;

    fn dependencies(&self, _: &u64) -> Vec<(SourceId, u64)> {
        vec![(SOURCE, ENTITY)]
    }

    async fn fetch(&self, _: &u64, _: SourceId, _: Option<&Part<()>>) -> Result<Fetched<()>, Infallible> {
        unreachable!("nothing is fetched in a model")
    }

    fn render(&self, _: &u64, _: &[PartState<()>]) {}

    fn weight(&self, (): &()) -> u32 {
        0
    }
}

/// The page that a flight makes whose source failed, and which had noted this position before it asked.
fn stale_page(scene: &Scene, part: Part<()>, position: Position) -> Entry<Pages> {
    let reason = "is down";
    let rest = Rest {
        reason: reason.into(),
        until: Duration::MAX,
        position,
    };
    Entry::new(Made {
        page: Arc::new(()),
        parts: vec![PartState::Stale {
            part,
            reason: reason.into(),
        }],
        slots: &[scene.slot()],
        composed: Date::now(&scene.clock),
        rests: vec![Some(rest)],
        read: true,
        weight: 0,
    })
}

#[test]
fn no_stale_part_is_shown_after_its_deletion_while_its_source_rests() {
    loom::model(|| {
        let (scene, mut hearing) = Scene::new();
        let part = scene.ask();
        let slot = scene.slot();
        let feed = thread::spawn(move || delete(&mut hearing));
        // The flight may note the deletion's position and yet land before the deletion itself can be seen: that the source
        // rests since then is no reason to show the part.
        let position = scene.ledger.position();
        let stale = !scene.ledger.deleted(slot, part.position);
        feed.join().expect("the feed does not panic");
        if stale {
            let page = stale_page(&scene, part, position);
            let watermarks = scene.ledger.watermarks();
            let proof = Proof::new(&scene.ledger, &watermarks);
            let verdict = page.check(&proof, &*Strategy::Invalidate.tactic());
            assert_eq!(verdict.doubt, Some(Doubt::Degraded), "shown after its deletion");
        }
    });
}

/// That the models find what they look for: the same scenes with the reader's two steps in the wrong order.
mod wrong {
    use super::*;

    #[test]
    #[should_panic(expected = "proof before watermarks")]
    fn a_proof_before_the_watermarks_is_found() {
        loom::model(|| {
            let (scene, mut hearing) = Scene::new();
            let part = scene.ask();
            scene.clock.advance(LATER);
            let feed = thread::spawn(move || {
                change(&mut hearing);
                hearing.watermark(SOURCE, WATERMARK);
            });
            let passed = scene.ledger.passed(scene.slot(), part.position);
            let watermark = scene.ledger.watermark(SOURCE).unwrap_or_default();
            assert!(
                passed || Scene::is_true(&part, watermark),
                "proof before watermarks"
            );
            feed.join().expect("the feed does not panic");
        });
    }

    #[test]
    #[should_panic(expected = "asked before noting")]
    fn a_question_before_the_note_is_found() {
        loom::model(|| {
            let (scene, mut hearing) = Scene::new();
            let source = scene.clone();
            let feed = thread::spawn(move || {
                source.commit();
                change(&mut hearing);
                hearing.watermark(SOURCE, WATERMARK);
            });
            let revision = scene.revision.load(Ordering::Relaxed);
            let mut part = scene.ask();
            part.version.revision = revision;
            scene.clock.advance(LATER);
            let complete_until = scene.check(&part);
            assert!(Scene::is_true(&part, complete_until), "asked before noting");
            feed.join().expect("the feed does not panic");
        });
    }
}
