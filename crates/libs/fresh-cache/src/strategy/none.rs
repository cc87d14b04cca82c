//! No cache: every reader waits for every source. What the others are compared with.

use super::Tactic;
use crate::feed::state::{Ledger, Position, Slot};
use crate::fragment::Evidence;
use crate::freshness::{Doubt, Proof, Verdict};

pub(crate) struct ComposeAlways;

impl Tactic for ComposeAlways {
    /// Dated by the requests it was composed of, like every answer; never shown twice.
    fn check(&self, _proof: &Proof<'_>, _slot: Slot, part: Evidence) -> Verdict {
        Verdict {
            doubt: Some(Doubt::Unasked),
            complete_until: part.complete_until,
        }
    }

    fn keeps_pages(&self) -> bool {
        false
    }

    fn asks_about_known(&self) -> bool {
        false
    }

    fn shares(&self, _ledger: &Ledger, _slot: Slot, _position: Position) -> bool {
        false
    }
}
