//! Invalidation by events: a page is shown while nothing was heard that touched it, and the feed is alive.
//!
//! Nothing is removed when an event comes. The event raises a fence, and the proof of a page that was fetched before it
//! fails from then on (rules 6 and 9).

use super::Tactic;
use crate::feed::state::{Ledger, Position, Slot};
use crate::fragment::Evidence;
use crate::freshness::{Proof, Verdict};

pub(crate) struct ShowWhileProven;

impl Tactic for ShowWhileProven {
    fn check(&self, proof: &Proof<'_>, slot: Slot, part: Evidence) -> Verdict {
        proof.check(slot, part)
    }

    /// Whoever arrives after an event never joins a request that went out before it (rule 11).
    fn shares(&self, ledger: &Ledger, slot: Slot, position: Position) -> bool {
        !ledger.passed(slot, position)
    }
}
