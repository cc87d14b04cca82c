//! Pre-populating: invalidation, and then the page is composed anew before anybody asks for it.
//!
//! The event is applied as for invalidation, at once and in constant time; composing is the work of other tasks, with
//! bounds (`refresh.rs`, rules 16 to 18). So whatever happens to a refresh, no page is shown that an event has overtaken.

use super::Policy;
use super::invalidate::ShowWhileFresh;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::state::FeedState;
use crate::fragment::FragmentMeta;
use crate::freshness::{Freshness, FreshnessCheck};

pub(crate) struct RefreshOnEvent;

impl Policy for RefreshOnEvent {
    fn freshness(&self, check: &FreshnessCheck<'_>, fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        ShowWhileFresh.freshness(check, fence, meta)
    }

    fn may_join(&self, feed: &FeedState, fence: FenceIndex, position: Position) -> bool {
        ShowWhileFresh.may_join(feed, fence, position)
    }

    fn refreshes(&self) -> bool {
        true
    }
}
