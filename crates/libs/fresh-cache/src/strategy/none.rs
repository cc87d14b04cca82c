//! No cache: every reader waits for every source. What the others are compared with.

use super::Policy;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck, StaleReason};

pub(crate) struct ComposeAlways;

impl Policy for ComposeAlways {
    /// Dated by the requests it was composed of, like every answer; never shown twice.
    fn freshness(&self, _check: &FreshnessCheck<'_>, _fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        Freshness {
            stale: Some(StaleReason::Unconfirmed),
            complete_until: meta.complete_until,
        }
    }

    fn keeps_pages(&self) -> bool {
        false
    }

    fn asks_about_known(&self) -> bool {
        false
    }

    fn may_join(&self, _feed: &FeedState, _fence: FenceIndex, _position: Position) -> bool {
        false
    }
}
