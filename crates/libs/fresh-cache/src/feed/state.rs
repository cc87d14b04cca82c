//! What one replica applied of its feed: positions, fences, floors and watermarks.
//!
//! Written by one task through [`FeedWriter`](super::writer::FeedWriter), read by every reader of every page, with nothing
//! but atomics in between. So an event is applied in constant time however many pages depend on it, and no load, however
//! slow, can delay it. Each release and acquire below is needed: `interleavings.rs` fails without it.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
#[cfg(not(all(test, feature = "loom")))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_utils::CachePadded;
#[cfg(all(test, feature = "loom"))]
use loom::sync::atomic::AtomicU64;

use super::ids::{Claim, FenceIndex, Position, SourceId};
use super::watermarks::{Watermark, Watermarks};
use crate::clock::{Clock, Date, Moment, SystemClock, micros};
use crate::counter::Counter;

/// How a feed is made.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// The number of fences: rounded up to a power of two, at most [`Self::MAX_FENCES`]. Each costs 16 bytes.
    pub fences: usize,
    /// How long a watermark counts, and how long an answer of the source counts in place of one, from the start of its
    /// request (rules 8 and 12).
    pub trust: Duration,
    /// By how much the clocks of the sources' hosts and of this one may differ. It adds to the error of every
    /// date that is told; zero is right for one machine.
    pub clock_skew: Duration,
    /// Where the feed, and every cache over it, reads the time.
    pub clock: Arc<dyn Clock>,
}

impl FeedOptions {
    /// The most fences that a feed has, which take 256 MiB.
    pub const MAX_FENCES: usize = 1 << 24;

    /// The number of fences that a feed has.
    pub(crate) fn fence_count(&self) -> usize {
        let rounded = self.fences.checked_next_power_of_two();
        rounded.map_or(Self::MAX_FENCES, |fences| fences.min(Self::MAX_FENCES))
    }
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            fences: 65_536,
            trust: Duration::from_secs(1),
            clock_skew: Duration::ZERO,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// What a request notes before it goes out, and after any wait for a permit (rule 9).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestStart {
    pub(crate) position: Position,
    pub(crate) started: Date,
}

/// What one replica applied of its feed, for everyone to read without a lock.
pub struct FeedState {
    options: FeedOptions,
    /// Keyed per process, so that nobody can choose ids that share a fence.
    hasher: RandomState,
    /// Every event and loss writes it, and no hit reads it: it shares no cache line with what hits read.
    position: CachePadded<AtomicU64>,
    /// The position of the latest event that touched a fence.
    fences: Box<[AtomicU64]>,
    /// The same for deletions alone: a fragment from before one is not shown at all, marked or not.
    deletions: Box<[AtomicU64]>,
    sources: Box<[SourceState]>,
    unknown_sources: Counter,
}

/// What is known of one source as a whole.
#[derive(Debug)]
struct SourceState {
    /// Fragments below this position were fetched before something was missed.
    floor: AtomicU64,
    /// The claim of the current publisher.
    claim: AtomicU64,
    /// T of the last watermark by the wall clock, in microseconds; 0 before the first, and if it cannot be a date.
    complete_until: AtomicU64,
    /// The same on the monotonic clock.
    complete_until_monotonic: AtomicU64,
    /// When that watermark was received, in microseconds of the monotonic clock.
    received_at: AtomicU64,
}

impl FeedState {
    /// The most sources that a feed has; those beyond are unknown to it.
    pub const MAX_SOURCES: usize = 1 << 16;

    /// A feed of that many sources, of which nothing was applied yet.
    pub(crate) fn new(sources: usize, options: FeedOptions) -> Self {
        let fences = options.fence_count();
        let zeros = |length: usize| (0..length).map(|_| AtomicU64::new(0)).collect();
        // Position and floors start at 1, so that a fragment at position 0 is never fresh (rule 19).
        let source = || SourceState {
            floor: AtomicU64::new(1),
            claim: AtomicU64::new(Claim::default().0),
            complete_until: AtomicU64::new(0),
            complete_until_monotonic: AtomicU64::new(0),
            received_at: AtomicU64::new(0),
        };
        Self {
            options,
            hasher: RandomState::new(),
            position: CachePadded::new(AtomicU64::new(1)),
            fences: zeros(fences),
            deletions: zeros(fences),
            sources: (0..sources).map(|_| source()).collect(),
            unknown_sources: Counter::default(),
        }
    }

    /// Whether the source's last watermark is recent enough (rule 8).
    pub fn trusted(&self, source: SourceId) -> bool {
        let watermarks = self.watermarks();
        watermarks.trusted(source, self.clock().now(), self.clock().monotonic())
    }

    /// The moment of the source's last watermark: everything that the source committed before it has been applied.
    /// `None` before the first watermark of the current publisher, and if the last one lies too far in our future.
    pub fn watermark(&self, source: SourceId) -> Option<Moment> {
        let date = self.watermarks().complete_until(source)?;
        Some(date.told_at(self.clock().now(), self.clock().monotonic()))
    }

    /// The position of the latest event or loss that was applied.
    pub fn position(&self) -> Position {
        // Acquire pairs with the release in `store_position`: a request that goes out after this load comes after
        // every event up to the position it notes was applied (rule 9).
        Position(self.position.load(Ordering::Acquire))
    }

    /// The index of this entity's fence. Only the two ends of the feed call it: they make sure that both name an entity by one
    /// type, since a number has another hash as a `u32` than as a `u64`.
    pub(super) fn fence_index<Q: Hash + ?Sized>(&self, source: SourceId, entity: &Q) -> FenceIndex {
        if source.0 >= self.sources.len() {
            self.note_unknown(source);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "of the hash only the low bits are taken"
        )]
        let hash = self.hasher.hash_one((source, entity)) as usize;
        let index = hash & (self.fences.len() - 1);
        FenceIndex { source, index }
    }

    /// How often an unknown source was named: by a loader's dependencies, or to the
    /// [`FeedWriter`](crate::FeedWriter).
    ///
    /// More than zero is a mistake in the program: the feed was made for too few sources. It costs requests and never
    /// freshness. The first one is logged.
    pub fn unknown_sources(&self) -> u64 {
        self.unknown_sources.get()
    }

    #[cold]
    pub(crate) fn note_unknown(&self, source: SourceId) {
        if self.unknown_sources.get() == 0 {
            tracing::error!(
                source = source.0,
                sources = self.sources.len(),
                "a source was named that the feed does not have, so its fragments are fetched at every read; \
                 make the feed for more sources"
            );
        }
        self.unknown_sources.add();
    }

    /// The time, as everyone over this feed reads it.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.options.clock
    }

    /// A source's moment, as a date on the two clocks of this host; [`Date::default`] if it is in the future by more than
    /// `clock_skew`. This is decided once, on arrival: a date that was wrong stays wrong, even if the clocks agree later (rule 23).
    pub(crate) fn believable(&self, told: Moment) -> Date {
        let received = Date::now(self.clock());
        if told > received.moment.saturating_add(self.options.clock_skew) {
            return Date::default();
        }
        let moment = told.min(received.moment);
        let ago = received.moment.saturating_since(moment);
        Date {
            monotonic: received.monotonic.saturating_sub(ago),
            moment,
        }
    }

    /// How long an answer of the source counts instead of trust.
    pub(crate) fn trust(&self) -> Duration {
        self.options.trust
    }

    /// What a request notes before it goes out (rule 9).
    pub(crate) fn start_request(&self) -> RequestStart {
        RequestStart {
            position: self.position(),
            started: Date::now(self.clock()),
        }
    }

    /// Whether an event or a loss was applied that a fragment at `position` may not reflect (rule 9).
    pub(crate) fn overtaken(&self, fence: FenceIndex, position: Position) -> bool {
        // The feed reports no losses of an unknown source, so nothing of it can be fresh.
        if fence.source.0 >= self.sources.len() {
            return true;
        }
        // Acquire pairs with the releases in `store_fence` and `store_floor`: a reader that sees a fence or a floor also sees the
        // position that was stored before it, so that a load begun for this reason is not itself below the fence.
        let of_entity = self.fences[fence.index].load(Ordering::Acquire);
        let floor = self.sources[fence.source.0].floor.load(Ordering::Acquire);
        of_entity.max(floor) > position.0
    }

    /// Whether a deletion was applied that a fragment at `position` may not reflect (rule 12).
    pub(crate) fn deleted(&self, fence: FenceIndex, position: Position) -> bool {
        // Acquire: as in `overtaken`.
        self.deletions[fence.index].load(Ordering::Acquire) > position.0
    }

    /// A copy of every source's last watermark. A reader makes it before it loads anything that it checks by it (rule 10).
    pub(crate) fn watermarks(&self) -> Watermarks {
        let watermarks = self.sources.iter().map(SourceState::watermark);
        Watermarks::new(watermarks, self.options.trust, self.options.clock_skew)
    }

    /// Stores the position: the first step of applying anything (rule 6).
    pub(crate) fn store_position(&self, position: u64) {
        // Release: stored before the fence or floor of the same event, pairs with `position` and `overtaken`.
        self.position.store(position, Ordering::Release);
    }

    /// Raises a fence to a position.
    pub(crate) fn store_fence(&self, fence: FenceIndex, position: u64) {
        // Release: stored after the position and the deletion of the same event; pairs with `overtaken`. The T of a watermark
        // that follows carries it to the readers of that T.
        self.fences[fence.index].store(position, Ordering::Release);
    }

    /// Raises a fence against stale answers too.
    pub(crate) fn store_deletion(&self, fence: FenceIndex, position: u64) {
        // Release: as for a fence. Stored before the fence, so that a reader that sees a deletion's fence also
        // sees the deletion.
        self.deletions[fence.index].store(position, Ordering::Release);
    }

    /// Raises a source's floor.
    pub(crate) fn store_floor(&self, source: SourceId, position: u64) {
        // Release: as for a fence.
        self.sources[source.0].floor.store(position, Ordering::Release);
    }

    /// Stores the T of a watermark that arrived now.
    pub(crate) fn store_watermark(&self, source: SourceId, complete_until: Moment) {
        self.store_date(source, self.believable(complete_until));
    }

    /// Names another publisher; the former one's T no longer counts.
    pub(crate) fn store_claim(&self, source: SourceId, claim: Claim) {
        self.store_date(source, Date::default());
        // Before any T of the new claim, which is stored with release; `SourceState::watermark` reads T before the claim. So a
        // reader that loads that T finds this claim with it, or a later one. It needs no order of its own.
        // A reader may load the former publisher's T and then this claim. That does no harm: the T then dates answers that state
        // this claim, and their publisher acknowledges no write before the broker accepts the claim, which is after that T. So
        // all that it acknowledged before T, as an earlier publisher, is in each of its answers.
        self.sources[source.0].claim.store(claim.0, Ordering::Relaxed);
    }

    fn store_date(&self, source: SourceId, date: Date) {
        let state = &self.sources[source.0];
        // Two stores, so a reader may get one half of the old T and one of the new. A date is told as the earlier by the two
        // clocks, so such a mixture claims no more than the earlier T does.
        state
            .complete_until_monotonic
            .store(micros(date.monotonic), Ordering::Release);
        // Release, and after every fence and floor applied before it: a reader that loads this T sees them all (rule 10). The last
        // one received, never the maximum: a source's clock may have been set back (rule 8).
        state
            .complete_until
            .store(date.moment.as_micros(), Ordering::Release);
        // T before its receipt; `SourceState::watermark` reads the receipt before T. So a receipt never vouches for a T
        // older than the one it came with.
        state
            .received_at
            .store(micros(self.clock().monotonic()), Ordering::Release);
    }
}

/// Without the fences, which are many and say little.
impl fmt::Debug for FeedState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FeedState")
            .field("options", &self.options)
            .field("position", &self.position)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl SourceState {
    fn watermark(&self) -> Watermark {
        // Acquire, receipt before T: pairs with `FeedState::store_date`.
        let received_at = self.received_at.load(Ordering::Acquire);
        // Acquire: the loads of pages, fences and floors that follow stay behind this one (rule 10).
        let moment = Moment::from_micros(self.complete_until.load(Ordering::Acquire));
        let monotonic = Duration::from_micros(self.complete_until_monotonic.load(Ordering::Acquire));
        // After T, whose acquire orders it: see `FeedState::store_claim`.
        let claim = Claim(self.claim.load(Ordering::Relaxed));
        Watermark {
            received_at,
            complete_until: Date { monotonic, moment },
            claim,
        }
    }
}
