//! What the cache counts.

use std::sync::Arc;

use moka::notification::RemovalCause;

use crate::answer::Forward;
use crate::counter::Counter;
use crate::fragment::FragmentState;
use crate::freshness::StaleReason;

/// What happened in a cache since it was made.
///
/// Reads are `hits + stale_hits + misses + stale + bypasses + requests`; of the last four, `collapsed` joined a load that another
/// reader had begun, and `timed_out` did not wait for its end.
#[derive(Debug, Default)]
pub struct Stats {
    /// Reads answered by the resident page, without any request.
    pub hits: Counter,
    /// Reads answered by a resident page that was not fresh, but no older than the reader accepts (rule 27).
    pub stale_hits: Counter,
    /// Reads that found no page.
    pub misses: Counter,
    /// Reads that found a page that was not fresh.
    pub stale: Counter,
    /// Reads of a cache that keeps nothing.
    pub bypasses: Counter,
    /// Reads that asked for more than the resident page.
    pub requests: Counter,
    /// Reads that joined a load begun for another reader.
    pub collapsed: Counter,
    /// Reads whose time to wait was over before the load ended (rule 26). They make no request beyond those of the load.
    pub timed_out: Counter,
    /// Loads that such a read began in the background (rule 27).
    pub renewals: Counter,
    /// Resident pages not fresh because an event or a loss was applied.
    pub rejected_by_fence: Counter,
    /// Resident pages not fresh because the answer of a source was no longer valid by itself.
    pub rejected_as_expired: Counter,
    /// Resident pages not fresh because a source was not trusted.
    pub rejected_as_untrusted: Counter,
    /// Resident pages not fresh because a fragment was stale or missing already.
    pub rejected_as_degraded: Counter,
    /// Loads of pages.
    pub loads: Counter,
    /// Loads that composed a page; the others found that nothing had changed.
    pub compositions: Counter,
    /// Loads that an event or a loss overtook in flight: what they brought is kept, and is stale.
    pub overtaken: Counter,
    /// Requests that were admitted to a source.
    pub fetches: Counter,
    /// Of these, those that brought "not modified".
    pub not_modified: Counter,
    /// Requests that failed, or were not admitted.
    pub failures: Counter,
    /// Answers not believed, because their revision was below one that was known (rule 15).
    pub regressions: Counter,
    /// Fragments shown marked stale, per load.
    pub stale_fragments: Counter,
    /// Fragments missing, per load.
    pub missing_fragments: Counter,
    /// Answers that fell short of the version their reader knew of (rule 13).
    pub behind: Counter,
    /// Pages evicted, or not admitted, for want of room. Shared with the store underneath, which decides it.
    pub evicted: Arc<Counter>,
    /// Pages that were dropped on purpose: too heavy to be kept, found to be wrong, or evicted by hand.
    pub dropped: Arc<Counter>,
    /// Events looked at for pages to be refreshed.
    pub announced: Counter,
    /// The pages that they made due, also those that were due already.
    pub due: Counter,
    /// Refreshes begun because of an event (rule 16).
    pub refreshes: Counter,
    /// Pages not refreshed because nobody had read them since the last time (rule 18).
    pub refreshes_unread: Counter,
    /// Refreshes that had to be left out because too many were waiting.
    pub refreshes_left_out: Counter,
    /// Refreshed pages that nobody had read when they were replaced.
    pub refreshes_wasted: Counter,
    /// Fragments taken from events instead of asking for them (rule 17).
    pub event_fragments: Counter,
    /// Pages compared with their sources.
    pub audits: Counter,
    /// Of these, those whose source had something newer, which may be on its way.
    pub mismatches: Counter,
    /// Of these, those that a second later still claimed to be complete.
    pub confirmed_mismatches: Counter,
    /// Panics of the loader.
    pub panics: Counter,
}

/// Counts the pages that the store removes, by cause. A page that is replaced is not removed.
pub(crate) fn count_removals(evicted: Arc<Counter>, dropped: Arc<Counter>) -> impl Fn(RemovalCause) {
    move |cause| match cause {
        RemovalCause::Size | RemovalCause::Expired => evicted.add(),
        RemovalCause::Explicit => dropped.add(),
        RemovalCause::Replaced => {}
    }
}

impl Stats {
    pub(crate) fn count_forward(&self, why: Forward) {
        match why {
            Forward::Miss => self.misses.add(),
            Forward::Stale => self.stale.add(),
            Forward::Bypass => self.bypasses.add(),
            Forward::Request => self.requests.add(),
        }
    }

    pub(crate) fn count_stale(&self, stale: StaleReason) {
        match stale {
            StaleReason::Overtaken => self.rejected_by_fence.add(),
            StaleReason::Expired => self.rejected_as_expired.add(),
            StaleReason::Untrusted => self.rejected_as_untrusted.add(),
            StaleReason::Degraded => self.rejected_as_degraded.add(),
            StaleReason::Unconfirmed => {}
        }
    }

    pub(crate) fn count_state<B>(&self, state: &FragmentState<B>) {
        match state {
            FragmentState::Current(_) => {}
            FragmentState::Stale { .. } => self.stale_fragments.add(),
            FragmentState::Missing { .. } => self.missing_fragments.add(),
        }
    }
}
