//! What one replica heard of its sources: positions, fences, floors and watermarks.
//!
//! Written by one task through [`Hearing`], read by every reader of every page, with nothing but atomics in
//! between. So an event is applied in constant time however many pages depend on it, and no fill, however
//! slow, can delay it. Each release and acquire below is needed: `interleavings.rs` fails without it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
#[cfg(not(all(test, feature = "loom")))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[cfg(all(test, feature = "loom"))]
use loom::sync::atomic::AtomicU64;

use crate::apart::Apart;
use crate::clock::{Clock, Date, Moment, SystemClock, micros};
use crate::counter::Counter;
use crate::feed::writer::Hearing;
use crate::fragment::{Claim, Stamp};

/// A source of parts: its place in the list that [`Ledger::new`] was given the length of.
///
/// Nothing of a source beyond that length is ever trusted or proven: its parts are asked for at every read. See
/// [`Ledger::unknown_sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// A replica's own count of what it heard; it advances once per applied event.
///
/// Positions of different replicas, or of one replica before and after a restart, cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// Before everything: a part at this position proves nothing, since every floor starts above it.
    pub const ZERO: Position = Position(0);
}

/// Where the fence of one dependency stands.
///
/// Fences are striped: dependencies whose keyed hashes collide share one, which costs a needless request, never
/// a wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    pub(crate) source: SourceId,
    pub(crate) index: usize,
}

impl Slot {
    /// The source of the dependency.
    pub const fn source(self) -> SourceId {
        self.source
    }
}

/// How a [`Ledger`] is made.
#[derive(Clone, Copy, Debug)]
pub struct LedgerOptions {
    /// The number of fences: rounded up to a power of two, at most [`Self::MAX_SLOTS`]. Each costs 16 bytes.
    pub slots: usize,
    /// How long a watermark, and a revalidation in its place, vouches for a source (rules 8 and 12).
    pub trust: Duration,
    /// By how much the clocks of the sources' hosts and of this one may differ. It adds to the error of every
    /// date that is told; zero is right for one machine.
    pub clock_skew: Duration,
}

impl LedgerOptions {
    /// The most fences that a ledger makes, which take 256 MiB.
    pub const MAX_SLOTS: usize = 1 << 24;

    /// The number of fences that a ledger makes.
    pub(crate) fn fences(&self) -> usize {
        let rounded = self.slots.checked_next_power_of_two();
        rounded.map_or(Self::MAX_SLOTS, |slots| slots.min(Self::MAX_SLOTS))
    }
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            slots: 65_536,
            trust: Duration::from_secs(1),
            clock_skew: Duration::ZERO,
        }
    }
}

/// What one replica heard, for everyone to read without a lock.
///
/// ```
/// use fresh_cache::{Clock as _, Ledger, LedgerOptions, Position, SourceId, SystemClock};
///
/// let accounts = SourceId(0);
/// let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
/// assert!(ledger.position() > Position::ZERO && ledger.watermark(accounts).is_none());
///
/// let heard = hearing.changed(accounts, 42); // by the one task that hears the feed
/// assert_eq!(ledger.position(), heard); // by whoever fetches something
///
/// hearing.watermark(accounts, SystemClock::new().now());
/// assert!(ledger.trusted(accounts));
/// ```
pub struct Ledger {
    options: LedgerOptions,
    clock: Arc<dyn Clock>,
    /// Keyed per process, so that nobody can choose ids that share a fence.
    hasher: RandomState,
    /// Every event writes it, and no hit reads it.
    position: Apart<AtomicU64>,
    /// The position of the latest event that touched a slot.
    fences: Box<[AtomicU64]>,
    /// The same for deletions alone: what even a marked stale answer must pass.
    deletions: Box<[AtomicU64]>,
    sources: Box<[SourceLine]>,
    unknown_sources: Counter,
}

/// What was heard of one source as a whole.
#[derive(Debug)]
struct SourceLine {
    /// Parts below this position were fetched before something was missed.
    floor: AtomicU64,
    /// Who speaks for the source.
    claim: AtomicU64,
    /// T of the last watermark by the wall clock, in microseconds; 0 before the first, and if it cannot be a date.
    complete_until: AtomicU64,
    /// The same on the monotonic clock.
    complete_until_monotonic: AtomicU64,
    /// When that watermark was heard, in microseconds of the monotonic clock.
    heard_at: AtomicU64,
}

impl Ledger {
    /// The most sources that a ledger has; those beyond are unknown to it.
    pub const MAX_SOURCES: usize = 1 << 16;

    /// A ledger of that many sources on the system's clocks, and the one right to write into it.
    pub fn new(sources: usize, options: LedgerOptions) -> (Arc<Ledger>, Hearing) {
        Self::with_clock(sources, options, Arc::new(SystemClock::new()))
    }

    /// [`Ledger::new`] with a clock of the caller's; the cache over this ledger uses it too.
    pub fn with_clock(
        sources: usize,
        options: LedgerOptions,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Ledger>, Hearing) {
        let (sources, fences) = (sources.min(Self::MAX_SOURCES), options.fences());
        let zeros = |length: usize| (0..length).map(|_| AtomicU64::new(0)).collect();
        // Position and floors start at 1, so that a part at position 0 can never be proven (rule 19).
        let line = || SourceLine {
            floor: AtomicU64::new(1),
            claim: AtomicU64::new(Claim::default().0),
            complete_until: AtomicU64::new(0),
            complete_until_monotonic: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
        };
        let ledger = Arc::new(Ledger {
            options,
            clock,
            hasher: RandomState::new(),
            position: Apart(AtomicU64::new(1)),
            fences: zeros(fences),
            deletions: zeros(fences),
            sources: (0..sources).map(|_| line()).collect(),
            unknown_sources: Counter::default(),
        });
        (Arc::clone(&ledger), Hearing::new(ledger, sources))
    }

    /// Whether the source's last watermark still vouches for it (rule 8).
    pub fn trusted(&self, source: SourceId) -> bool {
        let watermarks = self.watermarks();
        watermarks.trusted(source, self.clock.now(), self.clock.monotonic())
    }

    /// The moment before which everything the source committed has been heard, by its last watermark; `None` before the
    /// first of whoever speaks for it, and if the last one is of a clock that is ahead of ours.
    pub fn watermark(&self, source: SourceId) -> Option<Moment> {
        let date = self.watermarks().complete_until(source)?;
        Some(date.told_at(self.clock.now(), self.clock.monotonic()))
    }

    /// The position of the latest event that was applied.
    pub fn position(&self) -> Position {
        // Acquire pairs with the release in `Hearing::advance`: a request that goes out after this load comes after
        // the hearing of every event up to the position it notes (rule 9).
        Position(self.position.load(Ordering::Acquire))
    }

    /// Where the fence of this entity of this source stands.
    pub fn slot(&self, source: SourceId, entity: u64) -> Slot {
        if source.0 >= self.sources.len() {
            self.note_unknown(source);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "of the hash only the low bits are taken"
        )]
        let hash = self.hasher.hash_one((source, entity)) as usize;
        let index = hash & (self.fences.len() - 1);
        Slot { source, index }
    }

    /// How often a source was named that this ledger does not have: by a composer's dependencies, or to the [`Hearing`].
    ///
    /// More than zero is a mistake in the program: the ledger was made for too few sources. It costs requests and never
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
                "a source was named that the ledger does not have, so its parts are asked for at every read; \
                 make the ledger for more sources"
            );
        }
        self.unknown_sources.add();
    }

    /// The time, as everyone over this ledger reads it.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// A date that a source told, noted by our clocks; none if it cannot be one: from a clock that is ahead of ours by more
    /// than was stated, nothing follows. That is judged once, now: a clock that is right later makes no date right that was
    /// wrong.
    pub(crate) fn believable(&self, told: Moment) -> Date {
        let heard = Date::now(&*self.clock);
        if told > heard.moment.saturating_add(self.options.clock_skew) {
            return Date::default();
        }
        let moment = told.min(heard.moment);
        let ago = heard.moment.saturating_since(moment);
        Date {
            monotonic: heard.monotonic.saturating_sub(ago),
            moment,
        }
    }

    /// How long a revalidation stands in for trust.
    pub(crate) fn trust(&self) -> Duration {
        self.options.trust
    }

    /// What a request notes before it goes out (rule 9).
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            position: self.position(),
            started: Date::now(&*self.clock),
        }
    }

    /// Whether an event or a loss was heard that a part at `position` may not reflect (rule 9).
    pub(crate) fn passed(&self, slot: Slot, position: Position) -> bool {
        // Nobody tells what was lost of a source that is unknown here.
        if slot.source.0 >= self.sources.len() {
            return true;
        }
        // Acquire pairs with the releases in `Hearing`: who sees a fence or a floor also sees the position that
        // was stored before it, so that a flight begun for this reason is not itself below the fence.
        let fence = self.fences[slot.index].load(Ordering::Acquire);
        let floor = self.sources[slot.source.0].floor.load(Ordering::Acquire);
        fence.max(floor) > position.0
    }

    /// Whether a deletion was heard that a part at `position` may not reflect (rule 12).
    pub(crate) fn deleted(&self, slot: Slot, position: Position) -> bool {
        // Acquire: as in `passed`.
        self.deletions[slot.index].load(Ordering::Acquire) > position.0
    }

    /// Everything the sources vouched for, loaded before anything that is proven by it (rule 10).
    pub(crate) fn watermarks(&self) -> Watermarks {
        let mut first = [Watermark::default(); FIRST];
        for (watermark, line) in first.iter_mut().zip(&self.sources) {
            *watermark = line.watermark();
        }
        let others = self.sources.iter().skip(FIRST);
        Watermarks {
            first,
            others: others.map(SourceLine::watermark).collect(),
            trust: micros(self.options.trust),
            clock_skew: micros(self.options.clock_skew),
        }
    }

    /// Stores the position: the first step of applying anything (rule 6).
    pub(crate) fn store_position(&self, position: u64) {
        // Release: stored before the fence or floor of the same event, pairs with `position` and `passed`.
        self.position.store(position, Ordering::Release);
    }

    /// Fences a slot at a position.
    pub(crate) fn store_fence(&self, slot: Slot, position: u64) {
        // Release: stored after the position and the deletion of the same event; pairs with `passed`. The T of a watermark
        // that follows carries it to the readers of that T.
        self.fences[slot.index].store(position, Ordering::Release);
    }

    /// Fences a slot against stale answers too.
    pub(crate) fn store_deletion(&self, slot: Slot, position: u64) {
        // Release: as for a fence. Stored before the fence, so that who sees the fence of a deletion knows that it is one.
        self.deletions[slot.index].store(position, Ordering::Release);
    }

    /// Raises a source's floor.
    pub(crate) fn store_floor(&self, source: SourceId, position: u64) {
        // Release: as for a fence.
        self.sources[source.0].floor.store(position, Ordering::Release);
    }

    /// Takes a source's word for T, heard now.
    pub(crate) fn store_watermark(&self, source: SourceId, complete_until: Moment) {
        self.store_date(source, self.believable(complete_until));
    }

    /// Has another publisher speak for a source: what the former one said vouches for nothing any more.
    pub(crate) fn store_claim(&self, source: SourceId, claim: Claim) {
        self.store_date(source, Date::default());
        // Before any T of the new claim, which is stored with release; `SourceLine::watermark` reads T before the claim. So who
        // loads that T finds this claim with it, or a later one. It needs no order of its own.
        self.sources[source.0].claim.store(claim.0, Ordering::Relaxed);
    }

    fn store_date(&self, source: SourceId, date: Date) {
        let line = &self.sources[source.0];
        // Of two clocks, each bounds what is claimed, so that half of one T and half of the next claim no more than either.
        line.complete_until_monotonic
            .store(micros(date.monotonic), Ordering::Release);
        // Release, and after every fence and floor heard before it: who loads this T sees them all (rule 10). The last
        // one heard, never the maximum: a source's clock may have been set back (rule 8).
        line.complete_until
            .store(date.moment.as_micros(), Ordering::Release);
        // T before its receipt; `SourceLine::watermark` reads the receipt before T. So a receipt never vouches for a T
        // older than the one it came with.
        line.heard_at
            .store(micros(self.clock.monotonic()), Ordering::Release);
    }
}

/// Without the fences, which are many and say little.
impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Ledger")
            .field("options", &self.options)
            .field("position", &self.position)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl SourceLine {
    fn watermark(&self) -> Watermark {
        // Acquire, receipt before T: pairs with `Ledger::store_date`.
        let heard_at = self.heard_at.load(Ordering::Acquire);
        // Acquire: the loads of entries, fences and floors that follow stay behind this one (rule 10).
        let moment = Moment::from_micros(self.complete_until.load(Ordering::Acquire));
        let monotonic = Duration::from_micros(self.complete_until_monotonic.load(Ordering::Acquire));
        // After T, whose acquire orders it: see `Ledger::store_claim`.
        let claim = Claim(self.claim.load(Ordering::Relaxed));
        Watermark {
            heard_at,
            complete_until: Date { monotonic, moment },
            claim,
        }
    }
}

/// One source's last watermark.
#[derive(Clone, Copy, Debug, Default)]
struct Watermark {
    /// In microseconds of the monotonic clock.
    heard_at: u64,
    /// [`Date::default`] before the first.
    complete_until: Date,
    /// Whose it is, or a later publisher's.
    claim: Claim,
}

/// The last watermark of every source, loaded at one point of a reader's way.
#[derive(Debug)]
pub(crate) struct Watermarks {
    /// Of the first few sources in place, because every read makes this, and an allocation costs as much as all its proofs.
    first: [Watermark; FIRST],
    others: Vec<Watermark>,
    /// The ledger's options, in microseconds like all that is compared with them.
    trust: u64,
    clock_skew: u64,
}

/// More sources than most pages have parts.
const FIRST: usize = 4;

impl Watermarks {
    /// Of a source that is unknown, as of one that never said anything.
    fn of(&self, source: SourceId) -> Watermark {
        match source.0.checked_sub(FIRST) {
            None => self.first[source.0],
            Some(other) => self.others.get(other).copied().unwrap_or_default(),
        }
    }

    /// The source's T, if it said one that can be a date.
    pub(crate) fn complete_until(&self, source: SourceId) -> Option<Date> {
        let date = self.of(source).complete_until;
        // Either half may be of the T before.
        (date.moment > Moment::default() && date.monotonic > Duration::ZERO).then_some(date)
    }

    /// Whether the watermark is of the publisher whose answer a part is.
    pub(crate) fn vouches(&self, source: SourceId, claim: Option<Claim>) -> bool {
        claim == Some(self.of(source).claim)
    }

    /// Whether the watermark was heard a moment ago *and* says so itself, by both clocks (rule 8): hearing is not life, a
    /// paused source or a backlog delivers old watermarks.
    pub(crate) fn trusted(&self, source: SourceId, now: Moment, monotonic: Duration) -> bool {
        let monotonic = micros(monotonic);
        let heard = monotonic.saturating_sub(self.of(source).heard_at) < self.trust;
        let bound = self.trust.saturating_add(self.clock_skew);
        heard
            && self.complete_until(source).is_some_and(|date| {
                now.as_micros().saturating_sub(date.moment.as_micros()) < bound
                    && monotonic.saturating_sub(micros(date.monotonic)) < bound
            })
    }
}
