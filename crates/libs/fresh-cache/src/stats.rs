//! What the cache counts.

use std::sync::Arc;

use moka::notification::RemovalCause;

use crate::counter::Counter;
use crate::fragment::PartState;
use crate::freshness::Doubt;
use crate::page::Forward;

/// What happened in a cache since it was made.
///
/// Reads are `hits + misses + stale + bypasses + requests`; of those that were not hits, `collapsed` shared a flight that another
/// reader had begun.
#[derive(Debug, Default)]
pub struct Stats {
    /// Reads answered by a resident page that was proven.
    pub hits: Counter,
    /// Reads that found no page.
    pub misses: Counter,
    /// Reads that found a page that could not be proven.
    pub stale: Counter,
    /// Reads of a cache that keeps nothing.
    pub bypasses: Counter,
    /// Reads that demanded more than the resident page.
    pub requests: Counter,
    /// Reads that shared a flight begun for another reader.
    pub collapsed: Counter,
    /// Resident pages not proven because an event or a loss was heard.
    pub rejected_by_fence: Counter,
    /// Resident pages not proven because the answer of a source no longer held by itself.
    pub rejected_by_time: Counter,
    /// Resident pages not proven because a source was not trusted.
    pub rejected_by_distrust: Counter,
    /// Resident pages not proven because a part was stale or missing already.
    pub rejected_as_degraded: Counter,
    /// Compositions.
    pub flights: Counter,
    /// Of these, those that rendered a page; the others found that nothing had changed.
    pub renders: Counter,
    /// Of these, those that an event or a loss overtook in flight: what they brought is kept, and proves nothing.
    pub overtaken: Counter,
    /// Requests that were admitted to a source.
    pub fetches: Counter,
    /// Of these, those that brought "not modified".
    pub not_modified: Counter,
    /// Requests that failed, or were not admitted.
    pub failures: Counter,
    /// Answers not believed, because their revision was below one that was known (rule 15).
    pub regressions: Counter,
    /// Parts shown marked stale, per composition.
    pub stale_parts: Counter,
    /// Parts missing, per composition.
    pub missing_parts: Counter,
    /// Answers that fell short of the version their reader knew of (rule 13).
    pub behind: Counter,
    /// Pages that had to go, or were not let in, because there was no room for all. Shared with the store, which decides it.
    pub evicted: Arc<Counter>,
    /// Pages that were dropped on purpose: too heavy to be kept, found to lie, or forgotten by hand.
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
    pub refreshes_degraded: Counter,
    /// Refreshed pages that nobody had read when they were replaced.
    pub refreshes_wasted: Counter,
    /// Parts taken from events instead of asking for them (rule 17).
    pub carried: Counter,
    /// Pages compared with their sources.
    pub audits: Counter,
    /// Of these, those whose source had something newer, which may be on its way.
    pub suspicions: Counter,
    /// Of these, those that a second later still claimed to be complete.
    pub lies: Counter,
    /// Panics of the composer.
    pub panics: Counter,
}

/// The store's way to tell why a page is gone; one that was replaced is not.
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

    pub(crate) fn count_doubt(&self, doubt: Doubt) {
        match doubt {
            Doubt::Passed => self.rejected_by_fence.add(),
            Doubt::Expired => self.rejected_by_time.add(),
            Doubt::Distrusted => self.rejected_by_distrust.add(),
            Doubt::Degraded => self.rejected_as_degraded.add(),
            Doubt::Unasked => {}
        }
    }

    pub(crate) fn count_state<B>(&self, state: &PartState<B>) {
        match state {
            PartState::Current(_) => {}
            PartState::Stale { .. } => self.stale_parts.add(),
            PartState::Missing { .. } => self.missing_parts.add(),
        }
    }
}
