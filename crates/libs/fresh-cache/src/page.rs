//! What a reader gets: a page, the moment up to which it is complete, and how it came about.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Date, Moment, micros};
use crate::feed::state::{Position, Slot, SourceId};
use crate::fragment::{Part, PartState, Token, Version};
use crate::freshness::{Doubt, Proof, Verdict};
use crate::loader::Composer;
use crate::strategy::Tactic;

/// A page as it is kept: rendered, with the parts it was rendered from.
pub struct Entry<C: Composer> {
    page: Arc<C::Page>,
    parts: Box<[PartState<C::Body>]>,
    /// What is known of each part beside its evidence, in the order of the parts.
    marks: Box<[Mark]>,
    composed: Date,
    /// For how long each source that failed is not asked again; empty if none did.
    rests: Box<[Option<Rest>]>,
    /// [`UNREAD`], [`READ`] or [`REFRESHING`]: whether anybody read it since its last refresh began (rule 18).
    read: AtomicU8,
    weight: u32,
}

/// What is known of a part beside its evidence.
struct Mark {
    /// Where its fence stands.
    slot: Slot,
    /// The latest date that it was found complete until, in microseconds of the wall clock and of the monotonic one. Grows with
    /// the reads, because a part that is fenced or expires while its source is down is as old as its last proof, not as its
    /// request. Two readers may leave the halves of two dates: what is told is bounded by both.
    complete_until: AtomicU64,
    monotonic: AtomicU64,
}

/// How long a source that failed is not asked again for a page.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    /// How it failed, without what became of its part.
    pub(crate) reason: Arc<str>,
    /// When it is over, on the monotonic clock.
    pub(crate) until: Duration,
    /// What had been heard when the source was asked: whatever is heard of it later ends its rest.
    pub(crate) position: Position,
}

/// A refresh made it, and nobody has read it.
const UNREAD: u8 = 0;
/// Somebody read it.
const READ: u8 = 1;
/// Nobody read it since a refresh began that will replace it.
const REFRESHING: u8 = 2;

/// What an entry is made of.
pub(crate) struct Made<'a, C: Composer> {
    pub(crate) page: Arc<C::Page>,
    pub(crate) parts: Vec<PartState<C::Body>>,
    pub(crate) slots: &'a [Slot],
    pub(crate) composed: Date,
    pub(crate) rests: Vec<Option<Rest>>,
    pub(crate) read: bool,
    pub(crate) weight: u32,
}

impl<C: Composer> Entry<C> {
    pub(crate) fn new(made: Made<'_, C>) -> Self {
        let Made {
            page,
            parts,
            slots,
            composed,
            rests,
            read,
            weight,
        } = made;
        let mark = |(state, &slot): (&PartState<C::Body>, _)| {
            let date = state.part().map(|part| part.complete_until).unwrap_or_default();
            Mark {
                slot,
                complete_until: AtomicU64::new(date.moment.as_micros()),
                monotonic: AtomicU64::new(micros(date.monotonic)),
            }
        };
        let marks = parts.iter().zip(slots).map(mark).collect();
        let none_failed = rests.iter().all(Option::is_none);
        Self {
            page,
            parts: parts.into(),
            marks,
            composed,
            rests: if none_failed { Box::default() } else { rests.into() },
            read: AtomicU8::new(if read { READ } else { UNREAD }),
            weight,
        }
    }

    /// What was rendered.
    pub fn page(&self) -> &C::Page {
        &self.page
    }

    /// The same, to be shown again when nothing of it changed.
    pub(crate) fn shared_page(&self) -> Arc<C::Page> {
        Arc::clone(&self.page)
    }

    /// What it was rendered from, in the order of [`Composer::dependencies`].
    pub fn parts(&self) -> &[PartState<C::Body>] {
        &self.parts
    }

    /// When it was rendered, or last found to be the same as before.
    pub const fn composed(&self) -> Date {
        self.composed
    }

    /// The parts that are stale or missing: the source, and why.
    pub fn degraded(&self) -> impl Iterator<Item = (SourceId, &str)> {
        let states = self.marks.iter().zip(&self.parts);
        states.filter_map(|(mark, state)| Some((mark.slot.source(), state.reason()?)))
    }

    /// The memory it keeps, in bytes.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Where the fences of its parts stand.
    pub(crate) fn slots(&self) -> Arc<[Slot]> {
        self.marks.iter().map(|mark| mark.slot).collect()
    }

    /// How a source has just failed, if it is not to be asked again yet.
    pub(crate) fn failed(&self, index: usize, proof: &Proof<'_>) -> Option<Rest> {
        self.parts.get(index)?.reason()?;
        self.rest(index, proof).cloned()
    }

    /// One part as evidence for a flight: with the latest moment it was proven for.
    pub(crate) fn known(&self, index: usize) -> Option<Part<C::Body>> {
        let mut part = self.parts.get(index)?.part()?.clone();
        part.complete_until = self.latest(index);
        Some(part)
    }

    /// The version of a source's part, if one is shown.
    pub fn version(&self, source: SourceId) -> Option<Version> {
        Some(self.parts[self.place(source)?].part()?.version)
    }

    /// Whether the part, fetched before the token was shown to us, reflects it.
    pub(crate) fn has(&self, place: usize, token: &Token) -> bool {
        let part = self.parts.get(place).and_then(PartState::part);
        part.is_some_and(|part| token.is_reflected_by_kept(part))
    }

    /// The sources whose part does not reflect these versions, each once, though it was asked for since, or was found to.
    pub(crate) fn short_of(&self, tokens: &[Token]) -> Vec<SourceId> {
        let mut short = Vec::new();
        for &Token { source, version, .. } in tokens {
            let shown = self.version(source);
            let reflected = shown.is_some_and(|shown| shown.reflects(version));
            if !reflected && self.place(source).is_some() && !short.contains(&source) {
                short.push(source);
            }
        }
        short
    }

    /// The place of a source's part.
    pub(crate) fn place(&self, source: SourceId) -> Option<usize> {
        self.marks.iter().position(|mark| mark.slot.source() == source)
    }

    /// The rest of a source that has just failed to give its part, if it is not over.
    pub(crate) fn rest(&self, index: usize, proof: &Proof<'_>) -> Option<&Rest> {
        let rest = self.rests.get(index)?.as_ref()?;
        let slot = self.marks[index].slot;
        let over = rest.until <= proof.monotonic() || proof.ledger().passed(slot, rest.position);
        (!over).then_some(rest)
    }

    /// Whether a page made of these would be this one: every part is there, in the same version, and of the same publisher,
    /// whom the tokens that a page hands out name.
    ///
    /// Of answers that depend on the clock there may be several in one version: the caller knows that no new one came.
    pub(crate) fn shows(&self, states: &[PartState<C::Body>]) -> bool {
        self.parts.iter().zip(states).all(|states| match states {
            (PartState::Current(one), PartState::Current(other)) => {
                one.version == other.version && one.claim == other.claim
            }
            _ => false,
        })
    }

    /// Notes that somebody reads it.
    pub(crate) fn touch(&self) {
        // Relaxed, here and below: a refresh too many or too few, nothing else, hangs on it. Loaded first, because many
        // readers share the line and few find it unread.
        if !self.was_read() {
            self.read.store(READ, Ordering::Relaxed);
        }
    }

    /// Whether somebody read it since the last refresh began.
    pub(crate) fn was_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) == READ
    }

    /// Notes that a refresh begins; whether the one before was of use to nobody.
    pub(crate) fn begin_refresh(&self) -> bool {
        self.read.swap(REFRESHING, Ordering::Relaxed) == UNREAD
    }

    /// Notes that a reader finds it of no use; whether a refresh made it, and nobody else had read it.
    pub(crate) fn reject(&self) -> bool {
        self.read.swap(READ, Ordering::Relaxed) == UNREAD
    }

    /// Proves the page, or says what is in doubt first; and dates it by its oldest part (rule 10).
    pub(crate) fn check(&self, proof: &Proof<'_>, tactic: &dyn Tactic) -> PageVerdict {
        let mut page = PageVerdict {
            doubt: None,
            complete_until: proof.now(),
        };
        for (index, state) in self.parts.iter().enumerate() {
            let part = self.check_part(index, state, proof, tactic);
            page.doubt = page.doubt.or(part.doubt);
            page.complete_until = page.complete_until.min(proof.tell(part.complete_until));
        }
        page
    }

    fn check_part(
        &self,
        index: usize,
        state: &PartState<C::Body>,
        proof: &Proof<'_>,
        tactic: &dyn Tactic,
    ) -> Verdict {
        // For a while a source that failed is not asked again, or its readers would do nothing else.
        let retry = self.rest(index, proof).is_none().then_some(Doubt::Degraded);
        let Some(part) = state.part() else {
            // Nothing is shown of it, so nothing can be out of date but the statement that it is missing.
            return Verdict {
                doubt: retry,
                complete_until: self.composed,
            };
        };
        let mark = &self.marks[index];
        let slot = &mark.slot;
        let verdict = tactic.check(proof, *slot, part.evidence());
        let latest = self.latest(index).max(verdict.complete_until);
        mark.note(latest);
        let doubt = match state {
            // What was heard to be deleted is not shown, marked or not (rule 12).
            PartState::Stale { .. } if proof.ledger().deleted(*slot, part.position) => Some(Doubt::Degraded),
            PartState::Stale { .. } => retry,
            PartState::Current(_) | PartState::Missing { .. } => verdict.doubt,
        };
        Verdict {
            doubt,
            complete_until: latest,
        }
    }

    fn latest(&self, index: usize) -> Date {
        self.marks[index].latest()
    }
}

impl Mark {
    // Relaxed, here and below: each date is true of a part that never changes, whoever reads it when.
    fn latest(&self) -> Date {
        Date {
            monotonic: Duration::from_micros(self.monotonic.load(Ordering::Relaxed)),
            moment: Moment::from_micros(self.complete_until.load(Ordering::Relaxed)),
        }
    }

    fn note(&self, latest: Date) {
        let monotonic = micros(latest.monotonic);
        if monotonic > self.monotonic.load(Ordering::Relaxed) {
            self.monotonic.fetch_max(monotonic, Ordering::Relaxed);
            // Stored, not the maximum: by a clock that was set back the later date is the smaller number.
            self.complete_until
                .store(latest.moment.as_micros(), Ordering::Relaxed);
        }
    }
}

/// What a check of a whole page found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageVerdict {
    /// Nothing: proven.
    pub(crate) doubt: Option<Doubt>,
    /// What is told: the page reflects everything its sources committed before this moment, proven or not.
    pub(crate) complete_until: Moment,
}

/// What a reader gets.
pub struct Answer<C: Composer> {
    /// The page and its parts.
    pub entry: Arc<Entry<C>>,
    /// The page reflects everything its sources committed before this moment; to be rounded down where it is printed.
    pub fresh_as_of: Moment,
    /// How the answer came about.
    pub outcome: Outcome,
    /// The requests of the flight that the reader waited for; empty for a hit.
    pub fetches: Box<[Fetch]>,
    /// When the page was rendered, or last found to be the same as before.
    pub composed: Moment,
    /// How long before this answer that was.
    pub age: Duration,
    /// The sources of which the reader knows a later state than the page shows, though they were asked (rule 13). An answer
    /// with any is to be marked.
    pub behind: Vec<SourceId>,
}

impl<C: Composer> Answer<C> {
    /// The parts that are stale or missing: the source, and why. An answer with any is to be marked.
    pub fn degraded(&self) -> impl Iterator<Item = (SourceId, &str)> {
        self.entry.degraded()
    }
}

/// How an answer came about, in the terms of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The resident page was proven.
    Hit,
    /// A flight was waited for.
    Forwarded {
        /// Why.
        why: Forward,
        /// Whether another reader had asked for that flight before.
        collapsed: bool,
        /// Whether its page was kept; it is not if it weighs more than the whole cache.
        stored: bool,
    },
}

/// Why a reader was not answered by the resident page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// There was none.
    Miss,
    /// It could not be proven.
    Stale,
    /// The cache keeps nothing: [`Strategy::None`](crate::Strategy::None).
    Bypass,
    /// The reader demanded more than the resident page: a fresh composition, or a version that it does not reflect.
    Request,
}

/// One request of a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Who was asked.
    pub source: SourceId,
    /// From the wait for a permit to the answer.
    pub took: Duration,
    /// What came of it.
    pub brought: Brought,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A full answer.
    New,
    /// The known part, confirmed.
    NotModified,
    /// No answer, or none that could be believed.
    Failure,
}

impl<C: Composer> fmt::Debug for Entry<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self
            .parts
            .iter()
            .map(|state| state.part().map(|part| part.version))
            .collect();
        formatter
            .debug_struct("Entry")
            .field("versions", &versions)
            .field("composed", &self.composed)
            .finish_non_exhaustive()
    }
}

impl<C: Composer> fmt::Debug for Answer<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("entry", &self.entry)
            .field("fresh_as_of", &self.fresh_as_of)
            .field("outcome", &self.outcome)
            .field("fetches", &self.fetches)
            .finish_non_exhaustive()
    }
}
