//! The last watermark of every source, copied once at the start of a read. T is the moment that a watermark states.

use std::time::Duration;

use super::ids::{Claim, SourceId};
use crate::clock::{Date, Moment, micros};

/// One source's last watermark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watermark {
    /// In microseconds of the monotonic clock.
    pub(crate) received_at: u64,
    /// [`Date::default`] before the first.
    pub(crate) complete_until: Date,
    /// The claim of its publisher, or of a later one (see `FeedState::store_claim`).
    pub(crate) claim: Claim,
}

/// The last watermark of every source.
#[derive(Debug)]
pub(crate) struct Watermarks {
    /// Those of the first few sources, without an allocation: every read makes this copy, and an allocation costs as much as
    /// all its checks.
    first: [Watermark; FIRST],
    others: Vec<Watermark>,
    /// The feed's options, in microseconds like all that is compared with them.
    trust: u64,
    clock_skew: u64,
}

/// More sources than most pages have fragments.
const FIRST: usize = 4;

impl Watermarks {
    /// Takes the watermarks in the order of their sources.
    pub(crate) fn new(
        mut watermarks: impl Iterator<Item = Watermark>,
        trust: Duration,
        clock_skew: Duration,
    ) -> Self {
        let mut first = [Watermark::default(); FIRST];
        for (place, watermark) in first.iter_mut().zip(watermarks.by_ref()) {
            *place = watermark;
        }
        Self {
            first,
            others: watermarks.collect(),
            trust: micros(trust),
            clock_skew: micros(clock_skew),
        }
    }

    /// The source's watermark. An unknown source has none, like a source that has sent none yet.
    fn of(&self, source: SourceId) -> Watermark {
        match source.0.checked_sub(FIRST) {
            None => self.first[source.0],
            Some(other) => self.others.get(other).copied().unwrap_or_default(),
        }
    }

    /// The source's T; `None` if it sent none, or none that can be a date.
    pub(crate) fn complete_until(&self, source: SourceId) -> Option<Date> {
        let date = self.of(source).complete_until;
        // A new publisher sets both halves to zero, and a reader may load one half before that and one after.
        (date.moment > Moment::default() && date.monotonic > Duration::ZERO).then_some(date)
    }

    /// Whether the watermark is of the publisher whose answer a fragment is.
    pub(crate) fn vouches(&self, source: SourceId, claim: Option<Claim>) -> bool {
        claim == Some(self.of(source).claim)
    }

    /// Whether the watermark was received a moment ago *and* says so itself, by both clocks (rule 8). Receipt alone is no
    /// sign of life: a paused source or a backlog delivers old watermarks.
    pub(crate) fn trusted(&self, source: SourceId, now: Moment, monotonic: Duration) -> bool {
        let monotonic = micros(monotonic);
        let received = monotonic.saturating_sub(self.of(source).received_at) < self.trust;
        let bound = self.trust.saturating_add(self.clock_skew);
        received
            && self.complete_until(source).is_some_and(|date| {
                now.as_micros().saturating_sub(date.moment.as_micros()) < bound
                    && monotonic.saturating_sub(micros(date.monotonic)) < bound
            })
    }
}
