//! A time to live: a page is shown until it is old, whatever happened to its sources in between.
//!
//! Common practice, and here for comparison. Its date stays true, because it claims no more than the start of the
//! requests; but nothing marks a page as stale, and it is, for up to the TTL.

use std::time::Duration;

use super::Policy;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck, StaleReason};

pub(crate) struct ShowUntilOld {
    pub(crate) ttl: Duration,
}

impl Policy for ShowUntilOld {
    fn freshness(&self, check: &FreshnessCheck<'_>, _fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        let young = meta
            .started
            .is_some_and(|started| check.monotonic().saturating_sub(started.monotonic) < self.ttl);
        Freshness {
            stale: (!young).then_some(StaleReason::Expired),
            complete_until: meta.complete_until,
        }
    }

    fn asks_about_known(&self) -> bool {
        false
    }

    /// A reader that arrives while a page is composed waits for it, as behind any such cache.
    fn may_join(&self, _feed: &FeedState, _fence: FenceIndex, _position: Position) -> bool {
        true
    }
}
