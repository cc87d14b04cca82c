//! One source's answer, and the evidence for it.

use std::time::Duration;

use crate::clock::Moment;
use crate::ledger::{Position, SourceId};

/// Which state of an entity an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The life of the source's database; versions of two incarnations cannot be compared.
    pub incarnation: u128,
    /// A counter that the source bumps with every change of the entity.
    pub revision: u64,
}

/// When a request began, on both clocks. Ordered by the one that cannot be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Started {
    /// On the monotonic clock, from which expiry is counted.
    pub monotonic: Duration,
    /// On the wall clock, from which dates are told.
    pub moment: Moment,
}

/// What a request notes before it goes out, and after any wait for a permit (rule 9).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) position: Position,
    pub(crate) started: Started,
}

/// What a fetch brought.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<B> {
    /// An answer in full.
    New {
        /// The state that the body shows.
        version: Version,
        /// The answer itself.
        body: B,
        /// How long the answer holds if nothing changes, counted from the start of the request; `None` if it does not
        /// depend on the clock.
        holds_for: Option<Duration>,
    },
    /// The part that was asked about still is the answer, word for word.
    NotModified {
        /// As in [`Fetched::New`]; `None` leaves in force what was known of it.
        holds_for: Option<Duration>,
    },
}

/// One source's answer, with the evidence by which a reader can prove that it still is the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part<B> {
    /// Who answered.
    pub source: SourceId,
    /// The state that the body shows.
    pub version: Version,
    /// The answer itself.
    pub body: B,
    /// The body reflects every event up to this position.
    pub position: Position,
    /// The start of the latest request that confirmed the body; `None` if none did.
    pub started: Option<Started>,
    /// When, on the monotonic clock, the body stops to hold by itself; `None` if never.
    pub holds_until: Option<Duration>,
    /// The body reflects everything its source committed before this moment: the latest one it was proven for.
    pub complete_until: Moment,
}

impl<B> Part<B> {
    /// A part without any evidence: a body to ask about or to show marked stale, never a proof (rule 19).
    pub const fn unproven(source: SourceId, version: Version, body: B) -> Self {
        let (position, complete_until) = (Position::ZERO, Moment::from_micros(0));
        Self {
            source,
            version,
            body,
            position,
            started: None,
            holds_until: None,
            complete_until,
        }
    }

    /// The part that a full answer makes, with the evidence its request noted.
    pub(crate) fn answered(
        source: SourceId,
        stamp: Stamp,
        version: Version,
        body: B,
        holds_for: Option<Duration>,
    ) -> Self {
        Self {
            source,
            version,
            body,
            position: stamp.position,
            started: Some(stamp.started),
            holds_until: holds_for.map(|holds_for| stamp.started.monotonic.saturating_add(holds_for)),
            // The source answers from a snapshot begun after the request arrived (rule 9).
            complete_until: stamp.started.moment,
        }
    }

    /// This part, the one that was asked about, confirmed by a "not modified" (rule 9).
    pub(crate) fn confirmed(self, stamp: Stamp, holds_for: Option<Duration>) -> Self {
        let holds_until = holds_for.map(|holds_for| stamp.started.monotonic.saturating_add(holds_for));
        Self {
            position: stamp.position,
            started: Some(stamp.started),
            holds_until: holds_until.or(self.holds_until),
            complete_until: self.complete_until.max(stamp.started.moment),
            ..self
        }
    }

    /// Merges what two requests brought of one entity, by parts (rule 9).
    ///
    /// Within an incarnation: the content of the higher revision (of equal ones, the body that holds longer), the higher
    /// position, the later start. That is sound because a higher revision reflects all that a lower one does, so the
    /// evidence for the lower one is evidence for the higher one. Between incarnations nothing can be mixed: the one
    /// asked for later wins whole.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.version.incarnation != other.version.incarnation {
            return if self.recency() >= other.recency() {
                self
            } else {
                other
            };
        }
        let position = self.position.max(other.position);
        let started = self.started.max(other.started);
        let complete_until = self.complete_until.max(other.complete_until);
        let content = if self.content() >= other.content() {
            self
        } else {
            other
        };
        Self {
            position,
            started,
            complete_until,
            ..content
        }
    }

    /// What decides between incarnations; the last field only makes a tie come out the same from both sides.
    fn recency(&self) -> (Position, Option<Started>, u128) {
        (self.position, self.started, self.version.incarnation)
    }

    /// What decides between contents of one incarnation.
    fn content(&self) -> (u64, Duration) {
        (self.version.revision, self.holds_until.unwrap_or(Duration::MAX))
    }
}

/// One part of a page, as its render sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState<B> {
    /// The source's answer, proven when the page was composed, or fetched for it.
    Current(Part<B>),
    /// The source could not be asked: this is what it said last.
    Stale {
        /// What was known.
        part: Part<B>,
        /// Why it could not be renewed, for people to read.
        reason: String,
    },
    /// The source could not be asked, and nothing that may be shown is known.
    Missing {
        /// Why, for people to read.
        reason: String,
    },
}

impl<B> PartState<B> {
    /// What there is to show.
    pub const fn part(&self) -> Option<&Part<B>> {
        match self {
            Self::Current(part) | Self::Stale { part, .. } => Some(part),
            Self::Missing { .. } => None,
        }
    }

    /// What is wrong with the part, if anything is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Current(_) => None,
            Self::Stale { reason, .. } | Self::Missing { reason } => Some(reason),
        }
    }
}
