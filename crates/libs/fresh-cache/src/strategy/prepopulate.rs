//! Pre-populating: invalidation, and then the page is composed anew before anybody asks for it.
//!
//! The event is heard as for invalidation, at once and in constant time; composing is the work of other tasks, with
//! bounds (`refresh.rs`, rules 16 to 18). So whatever happens to a refresh, no page is shown that an event has passed.

use super::Tactic;
use super::invalidate::ShowWhileProven;
use crate::feed::state::{Ledger, Position, Slot};
use crate::fragment::Evidence;
use crate::freshness::{Proof, Verdict};

pub(crate) struct RefreshOnEvent;

impl Tactic for RefreshOnEvent {
    fn check(&self, proof: &Proof<'_>, slot: Slot, part: Evidence) -> Verdict {
        ShowWhileProven.check(proof, slot, part)
    }

    fn shares(&self, ledger: &Ledger, slot: Slot, position: Position) -> bool {
        ShowWhileProven.shares(ledger, slot, position)
    }

    fn refreshes(&self) -> bool {
        true
    }
}
