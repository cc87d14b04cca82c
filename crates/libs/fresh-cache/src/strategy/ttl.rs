//! A time to live: a page is shown until it is old, whatever happened to its sources meanwhile.
//!
//! Common practice, and here for comparison. Its date stays true, because it claims no more than the start of the
//! requests; but nothing marks a page as stale, and it is, for up to the TTL.

use std::time::Duration;

use super::Tactic;
use crate::feed::state::{Ledger, Position, Slot};
use crate::fragment::Evidence;
use crate::freshness::{Doubt, Proof, Verdict};

pub(crate) struct ShowUntilOld {
    pub(crate) ttl: Duration,
}

impl Tactic for ShowUntilOld {
    fn check(&self, proof: &Proof<'_>, _slot: Slot, part: Evidence) -> Verdict {
        let young = part
            .started
            .is_some_and(|started| proof.monotonic().saturating_sub(started.monotonic) < self.ttl);
        Verdict {
            doubt: (!young).then_some(Doubt::Expired),
            complete_until: part.complete_until,
        }
    }

    fn asks_about_known(&self) -> bool {
        false
    }

    /// Whoever comes while a page is composed waits for it, as behind any such cache.
    fn shares(&self, _ledger: &Ledger, _slot: Slot, _position: Position) -> bool {
        true
    }
}
