//! Whether a fragment still is its source's answer, and up to when: checked on every read (rules 8, 9, 10 and 12).

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::clock::{Date, Moment};
use crate::feed::ids::FenceIndex;
use crate::feed::state::FeedState;
use crate::feed::watermarks::Watermarks;
use crate::fragment::FragmentMeta;

/// Why a fragment is not known to be the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StaleReason {
    /// An event or a loss was applied after its request began.
    Overtaken,
    /// It was valid for a limited time ([`Fetched::New`](crate::Fetched::New)), which is over.
    Expired,
    /// Its source is not trusted, or the last watermark is another publisher's; and the source was not asked just now.
    Untrusted,
    /// It was stale or missing when the page was composed.
    Degraded,
    /// The strategy asks the source at every read.
    Unconfirmed,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Freshness {
    /// Why the fragment is stale; `None`: it is fresh.
    pub(crate) stale: Option<StaleReason>,
    /// The fragment reflects everything its source committed before this date, fresh or not.
    pub(crate) complete_until: Date,
}

/// One look at the feed and the clocks, to check fragments by.
#[derive(Debug)]
pub(crate) struct FreshnessCheck<'a> {
    feed: &'a FeedState,
    watermarks: &'a Watermarks,
    now: Moment,
    monotonic: Duration,
}

impl<'a> FreshnessCheck<'a> {
    /// Reads the clocks. The watermarks were loaded before: a reader that was paused in between must find them old.
    pub(crate) fn new(feed: &'a FeedState, watermarks: &'a Watermarks) -> Self {
        let (now, monotonic) = (feed.clock().now(), feed.clock().monotonic());
        Self {
            feed,
            watermarks,
            now,
            monotonic,
        }
    }

    /// The time of this check.
    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// The time of this check, on both clocks.
    pub(crate) const fn date(&self) -> Date {
        Date {
            monotonic: self.monotonic,
            moment: self.now,
        }
    }

    /// The time of this check, on the monotonic clock.
    pub(crate) const fn monotonic(&self) -> Duration {
        self.monotonic
    }

    /// The feed's state, for questions that are not about one fragment's freshness.
    pub(crate) const fn feed(&self) -> &FeedState {
        self.feed
    }

    /// Checks one fragment.
    pub(crate) fn freshness_of(&self, fence: FenceIndex, meta: FragmentMeta) -> Freshness {
        let stale = self.stale_reason(fence, meta);
        let complete_until = match stale {
            // Fresh, or stale only because its source is not trusted: then the fence, the floor and its own time were checked
            // and are good. Why max(T, start) is true: T was loaded first, fence and floor after it. All that the source
            // committed before T was applied here, or reported lost, before T was stored. If any of it were missing in this
            // fragment, the check above would have seen the raised fence or floor, and said `Overtaken`. What was committed
            // before the request began is in the answer. Trust is not needed: an old T claims less, and nothing false. The
            // same publisher is needed: T says nothing about what another one committed.
            None | Some(StaleReason::Untrusted) if self.vouched(fence, meta) => {
                let watermark = self.watermarks.complete_until(fence.source());
                watermark.unwrap_or_default().max(meta.complete_until)
            }
            _ => meta.complete_until,
        };
        Freshness {
            stale,
            complete_until,
        }
    }

    /// The moment that an answer states for a date.
    pub(crate) fn tell(&self, date: Date) -> Moment {
        date.told_at(self.now, self.monotonic)
    }

    /// Whether a reader who accepts its age may see a fragment that is not fresh, unmarked (rule 27). Not if another publisher's
    /// database may never have held it, and not if it was deleted.
    pub(crate) fn may_age(&self, fence: FenceIndex, meta: FragmentMeta) -> bool {
        self.vouched(fence, meta) && !self.feed.deleted(fence, meta.position)
    }

    fn stale_reason(&self, fence: FenceIndex, meta: FragmentMeta) -> Option<StaleReason> {
        if self.feed.overtaken(fence, meta.position) {
            Some(StaleReason::Overtaken)
        } else if meta.valid_until.is_some_and(|until| until <= self.monotonic) {
            Some(StaleReason::Expired)
        } else if !(self.confirmed_just_now(meta) || self.vouched(fence, meta) && self.trusted(fence)) {
            Some(StaleReason::Untrusted)
        } else {
            None
        }
    }

    /// Whether the source's watermark is of the publisher that answered.
    fn vouched(&self, fence: FenceIndex, meta: FragmentMeta) -> bool {
        self.watermarks.vouches(fence.source(), meta.claim)
    }

    fn trusted(&self, fence: FenceIndex) -> bool {
        self.watermarks.trusted(fence.source(), self.now, self.monotonic)
    }

    /// Whether the source itself answered a moment ago: that counts instead of trust, from the start of the request (rule 12).
    fn confirmed_just_now(&self, meta: FragmentMeta) -> bool {
        meta.started
            .is_some_and(|started| self.monotonic.saturating_sub(started.monotonic) < self.feed.trust())
    }
}
