//! What a reader gets: a page, the moment up to which it is complete, and how it came about.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::composer::Composer;
use crate::ledger::{Slot, SourceId};
use crate::part::{Part, PartState};
use crate::proof::{Doubt, Proof, Verdict};

/// A page as it is kept: rendered, with the parts it was rendered from.
pub struct Entry<C: Composer> {
    page: C::Page,
    parts: Box<[PartState<C::Body>]>,
    /// Where the fence of each part stands, in the order of the parts.
    slots: Arc<[Slot]>,
    /// The latest moment that each part was found complete until, in microseconds. Grows with the reads, because a part
    /// that is fenced or expires while its source is down is as old as its last proof, not as its request.
    complete_until: Box<[AtomicU64]>,
    composed: Moment,
    weight: u32,
}

impl<C: Composer> Entry<C> {
    pub(crate) fn new(
        page: C::Page,
        parts: Vec<PartState<C::Body>>,
        slots: Arc<[Slot]>,
        composed: Moment,
        weight: u32,
    ) -> Self {
        let date =
            |state: &PartState<C::Body>| state.part().map_or(0, |part| part.complete_until.as_micros());
        let complete_until = parts.iter().map(|state| AtomicU64::new(date(state))).collect();
        Self {
            page,
            parts: parts.into(),
            slots,
            complete_until,
            composed,
            weight,
        }
    }

    /// What was rendered.
    pub const fn page(&self) -> &C::Page {
        &self.page
    }

    /// What it was rendered from, in the order of [`Composer::dependencies`].
    pub fn parts(&self) -> &[PartState<C::Body>] {
        &self.parts
    }

    /// When it was rendered.
    pub const fn composed(&self) -> Moment {
        self.composed
    }

    /// The parts that are stale or missing: the source, and why.
    pub fn degraded(&self) -> impl Iterator<Item = (SourceId, &str)> {
        let states = self.slots.iter().zip(&self.parts);
        states.filter_map(|(slot, state)| Some((slot.source(), state.reason()?)))
    }

    /// The memory it keeps, in bytes.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    pub(crate) fn slots(&self) -> &Arc<[Slot]> {
        &self.slots
    }

    /// One part as evidence for a flight: with the latest moment it was proven for.
    pub(crate) fn known(&self, index: usize) -> Option<Part<C::Body>> {
        let mut part = self.parts[index].part()?.clone();
        part.complete_until = self.latest(index);
        Some(part)
    }

    /// Proves the page, or says what is in doubt first; and dates it by its oldest part (rule 10).
    pub(crate) fn check(&self, proof: &Proof<'_>) -> Verdict {
        let mut page = Verdict {
            doubt: None,
            complete_until: proof.now(),
        };
        for (index, state) in self.parts.iter().enumerate() {
            let part = self.check_part(index, state, proof);
            page.doubt = page.doubt.or(part.doubt);
            page.complete_until = page.complete_until.min(part.complete_until);
        }
        page
    }

    fn check_part(&self, index: usize, state: &PartState<C::Body>, proof: &Proof<'_>) -> Verdict {
        let Some(part) = state.part() else {
            // Nothing is shown of it, so nothing can be out of date but the statement that it is missing.
            return Verdict {
                doubt: Some(Doubt::Degraded),
                complete_until: self.composed,
            };
        };
        let verdict = proof.check(self.slots[index], part);
        let latest = self.latest(index);
        if verdict.complete_until > latest {
            // Relaxed, here and in `latest`: each date is true of a part that never changes, whoever reads it when.
            self.complete_until[index].fetch_max(verdict.complete_until.as_micros(), Ordering::Relaxed);
        }
        let marked = matches!(state, PartState::Stale { .. });
        Verdict {
            doubt: if marked {
                Some(Doubt::Degraded)
            } else {
                verdict.doubt
            },
            complete_until: verdict.complete_until.max(latest),
        }
    }

    fn latest(&self, index: usize) -> Moment {
        Moment::from_micros(self.complete_until[index].load(Ordering::Relaxed))
    }
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
    pub fetches: Arc<[Fetch]>,
    /// When the page was rendered.
    pub composed: Moment,
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
    /// The reader demanded a fresh composition.
    Bypass,
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
