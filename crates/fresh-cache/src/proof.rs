//! The proof that a part still is its source's answer, checked on every read (rules 8, 9, 10 and 12).

use std::time::Duration;

use crate::clock::Moment;
use crate::ledger::{Ledger, Slot, Watermarks};
use crate::part::Part;

/// Why a part is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// An event or a loss was heard after its request began.
    Passed,
    /// It no longer holds by itself.
    Expired,
    /// Its source is not trusted, and no revalidation stands in.
    Distrusted,
    /// It was stale or missing when the page was composed.
    Degraded,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Nothing: proven.
    pub(crate) doubt: Option<Doubt>,
    /// The part reflects everything its source committed before this moment, proven or not.
    pub(crate) complete_until: Moment,
}

/// One look at the ledger and the clocks, to check parts by.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    ledger: &'a Ledger,
    watermarks: &'a Watermarks,
    now: Moment,
    monotonic: Duration,
}

impl<'a> Proof<'a> {
    /// Reads the clocks. The watermarks were loaded before: a reader that was paused in between must find them old.
    pub(crate) fn new(ledger: &'a Ledger, watermarks: &'a Watermarks) -> Self {
        let (now, monotonic) = (ledger.clock().now(), ledger.clock().monotonic());
        Self {
            ledger,
            watermarks,
            now,
            monotonic,
        }
    }

    /// The time of this check.
    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// Checks one part.
    pub(crate) fn check<B>(&self, slot: Slot, part: &Part<B>) -> Verdict {
        let doubt = self.doubt(slot, part);
        let complete_until = match doubt {
            // max(T, start) is sound only in this order: T was loaded first, the fence and the floor after it. What the
            // source committed before T was published before T, and heard or reported lost before T was stored; so its
            // fence or the floor was visible to the check above, which found the part's request to have begun after it.
            // And what was committed before the request began is in the answer anyway. This does not take trust: an old
            // T is a weak statement, not a false one, and a part that a revalidation stands in for passed the same check.
            None | Some(Doubt::Distrusted) => {
                let watermark = self.watermarks.usable(slot.source(), self.now);
                watermark.map_or(part.complete_until, |watermark| {
                    watermark.max(part.complete_until)
                })
            }
            Some(Doubt::Passed | Doubt::Expired | Doubt::Degraded) => part.complete_until,
        };
        Verdict {
            doubt,
            complete_until,
        }
    }

    fn doubt<B>(&self, slot: Slot, part: &Part<B>) -> Option<Doubt> {
        if self.ledger.passed(slot, part.position) {
            Some(Doubt::Passed)
        } else if part.holds_until.is_some_and(|until| until <= self.monotonic) {
            Some(Doubt::Expired)
        } else if !self.confirmed_just_now(part) && !self.trusted(slot) {
            Some(Doubt::Distrusted)
        } else {
            None
        }
    }

    fn trusted(&self, slot: Slot) -> bool {
        self.watermarks.trusted(slot.source(), self.now, self.monotonic)
    }

    /// A revalidation stands in for trust for a while, counted from the start of its request (rule 12).
    fn confirmed_just_now<B>(&self, part: &Part<B>) -> bool {
        part.started
            .is_some_and(|started| self.monotonic.saturating_sub(started.monotonic) < self.ledger.trust())
    }
}
