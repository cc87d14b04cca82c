//! What a reader gets: a page, the moment up to which it is complete, and how it came about.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::feed::ids::SourceId;
use crate::loader::Loader;
use crate::page::CachedPage;

/// What a reader gets.
pub struct Answer<L: Loader> {
    /// The page and its fragments.
    pub page: Arc<CachedPage<L>>,
    /// The page reflects everything its sources committed before this moment. Round it down when you print it.
    pub fresh_as_of: Moment,
    /// How the answer came about.
    pub outcome: Outcome,
    /// Whether the reader's time to wait was over before the load ended (rule 26). What had not arrived by then is marked.
    pub timed_out: bool,
    /// The requests of the load that the reader waited for; empty for a hit.
    pub fetches: Box<[Fetch]>,
    /// When the page was composed, or last found to be the same as before.
    pub composed: Moment,
    /// How long before this answer that was.
    pub age: Duration,
    /// The entities of which the reader knows a later state than the page shows, though their sources were asked (rule 13). Mark
    /// an answer that has any.
    pub behind: Vec<(SourceId, L::Entity)>,
}

impl<L: Loader> Answer<L> {
    /// The fragments that are stale or missing: the source, and why. Mark an answer that has any.
    pub fn degraded(&self) -> impl Iterator<Item = (SourceId, &str)> {
        self.page.degraded()
    }
}

/// How an answer came about, in the terms of RFC 9211.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The resident page was shown without any request: it was fresh, or marked while a failed source is in backoff.
    Hit,
    /// The resident page was shown although it was not fresh: it is not older than the reader accepts (rule 27).
    /// [`FreshCache::read`](crate::FreshCache::read) renews it in the background.
    StaleHit,
    /// The reader waited for a load.
    Forwarded {
        /// Why.
        why: Forward,
        /// Whether another reader had begun that load.
        collapsed: bool,
        /// Whether its page was kept; it is not if it weighs more than the whole cache.
        stored: bool,
    },
}

/// Why a reader was not answered by the resident page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// There was none.
    Miss,
    /// It was not fresh.
    Stale,
    /// The cache keeps nothing: [`Strategy::None`](crate::Strategy::None).
    Bypass,
    /// The reader asked for more than the resident page: one composed just now, or a version that it does not reflect.
    Request,
}

/// One request of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Who was asked.
    pub source: SourceId,
    /// From the wait for a permit to the answer.
    pub took: Duration,
    /// What came of it.
    pub brought: Brought,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A full answer.
    New,
    /// The known fragment, confirmed.
    NotModified,
    /// No answer, or none that could be believed.
    Failure,
}

impl<L: Loader> fmt::Debug for Answer<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("page", &self.page)
            .field("fresh_as_of", &self.fresh_as_of)
            .field("outcome", &self.outcome)
            .field("fetches", &self.fetches)
            .finish_non_exhaustive()
    }
}
