//! What the cache's user brings: how a page is made of parts.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

use tokio::sync::OwnedSemaphorePermit;

use crate::feed::state::SourceId;
use crate::fragment::{Carried, Fetched, Part, PartState};

/// How a page is composed of the answers of its sources.
pub trait Composer: Send + Sync + 'static {
    /// What names a page, its variant included.
    type Key: Hash + Eq + Clone + Send + Sync + Debug + 'static;
    /// One source's answer; cheap to clone (`Arc`, `Bytes`).
    type Body: Clone + Send + Sync + 'static;
    /// What is rendered from the parts.
    type Page: Send + Sync + 'static;
    /// Why a source could not be asked, in words that follow its name ("did not answer in time"); with its causes it becomes
    /// the `reason` of a degraded part.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The parts of this page, in the order in which [`render`](Self::render) gets them, at most one per source: the
    /// source, and the entity that its events name. Depends on the key alone.
    fn dependencies(&self, key: &Self::Key) -> Vec<(SourceId, u64)>;

    /// Waits until a request to this source may go out; the permit is held until the request has ended.
    ///
    /// The cache notes position and time after this wait and before [`fetch`](Self::fetch) (rule 9), so a queue in front
    /// of a source does not make its answers older than they are. An error counts as a failed fetch: the place for a
    /// circuit breaker. What is `known` of the part is shown then, marked; without it the part is missing, which is worth
    /// a longer wait. By default nothing is bounded.
    fn admit(
        &self,
        _source: SourceId,
        _known: Option<&Part<Self::Body>>,
    ) -> impl Future<Output = Result<Option<OwnedSemaphorePermit>, Self::Error>> + Send {
        async { Ok(None) }
    }

    /// Asks a source for its part of the page; conditionally, if a part is `known`.
    ///
    /// The request must go out after this is called, and the future must end: it brings its own deadline, below one
    /// second if a revalidation shall stand in for trust. A panic counts as a failed fetch.
    fn fetch(
        &self,
        key: &Self::Key,
        source: SourceId,
        known: Option<&Part<Self::Body>>,
    ) -> impl Future<Output = Result<Fetched<Self::Body>, Self::Error>> + Send;

    /// The parts that must not stand beside the others, by their place, each with a reason in words that follow the source's
    /// name: they tell of another thing than the others do, such as of one that had the same id before. All parts are asked for
    /// again then, once; what is still named after that is left out of the page, which is marked. By default none.
    fn conflicts(
        &self,
        _key: &Self::Key,
        _parts: &[Option<&Part<Self::Body>>],
    ) -> Vec<(usize, &'static str)> {
        Vec::new()
    }

    /// Renders the page: CPU only, on the flight's task. A panic is passed on to the readers who wait for it.
    fn render(&self, key: &Self::Key, parts: &[PartState<Self::Body>]) -> Self::Page;

    /// The memory that a page keeps, in bytes, its parts' bodies included.
    fn weight(&self, page: &Self::Page) -> u32;

    /// The pages that may show this entity: those which an event of it can refresh. They follow from the entity alone,
    /// because no index of what depends on what is kept; so there are few, such as one per variant. By default none.
    fn pages_of(&self, _source: SourceId, _entity: u64) -> Vec<Self::Key> {
        Vec::new()
    }

    /// Makes the body of a page's part of what an event carried; `None` if it is of no use, as it always is if the answer
    /// depends on the clock. By default it is not.
    fn read_carried(&self, _key: &Self::Key, _source: SourceId, _carried: &Carried) -> Option<Self::Body> {
        None
    }

    /// Whether two bodies of one version say the same: what the audit compares beyond versions. By default they do.
    fn agrees(&self, _one: &Self::Body, _other: &Self::Body) -> bool {
        true
    }
}
