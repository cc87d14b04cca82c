//! The version in the key: every read asks every source which version is the latest, and shows the page made of those.
//!
//! What `updated_at` in a cache key does, with an `If-None-Match` in its place. Correct without any event, and every page
//! costs one request per source: the cache saves them the work of the full answer, not the question.

use super::Tactic;
use crate::feed::state::{Ledger, Position, Slot};
use crate::fragment::Evidence;
use crate::freshness::{Doubt, Proof, Verdict};

pub(crate) struct AskAlways;

impl Tactic for AskAlways {
    fn check(&self, _proof: &Proof<'_>, _slot: Slot, part: Evidence) -> Verdict {
        Verdict {
            doubt: Some(Doubt::Unasked),
            complete_until: part.complete_until,
        }
    }

    /// An answer to a question that was asked before this reader came may lack what this reader knows.
    fn shares(&self, _ledger: &Ledger, _slot: Slot, _position: Position) -> bool {
        false
    }
}
