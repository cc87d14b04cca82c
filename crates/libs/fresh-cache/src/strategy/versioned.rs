//! The version in the key: every read asks every source which version is the latest, and shows the page made of those.
//!
//! What `updated_at` in a cache key does, with an `If-None-Match` in its place. Correct without any event, and every page
//! costs one request per source: the cache saves them the work of the full answer, not the question.

use super::Policy;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck, StaleReason};

pub(crate) struct AskAlways;

impl Policy for AskAlways {
    fn freshness(&self, _check: &FreshnessCheck<'_>, _fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        Freshness {
            stale: Some(StaleReason::Unconfirmed),
            complete_until: meta.complete_until,
        }
    }

    /// An answer to a question that was asked before this reader came may lack what this reader knows.
    fn may_join(&self, _feed: &FeedState, _fence: FenceIndex, _position: Position) -> bool {
        false
    }
}
