//! Invalidation by events: a page is shown while no event was applied that touched it, and the feed is alive.
//!
//! Nothing is removed when an event comes. The event raises a fence, and a page that was fetched before it is stale from
//! then on (rules 6 and 9).

use super::Policy;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck};

pub(crate) struct ShowWhileFresh;

impl Policy for ShowWhileFresh {
    fn freshness(&self, check: &FreshnessCheck<'_>, fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        check.freshness_of(fence, meta)
    }

    /// A reader that arrives after an event never joins a request that went out before it (rule 11).
    fn may_join(&self, feed: &FeedState, fence: FenceIndex, position: Position) -> bool {
        !feed.overtaken(fence, position)
    }
}
