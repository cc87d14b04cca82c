//! What the cache's user brings: how a page is made of fragments.

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;

use tokio::sync::OwnedSemaphorePermit;

use crate::feed::ids::SourceId;
use crate::fragment::{EventFragment, Fetched, Fragment, FragmentState};

/// How a page is loaded: which fragments it has, how each is fetched, and how the page is composed of them.
pub trait Loader: Send + Sync + 'static {
    /// What names a page, its variant included.
    type Key: Hash + Eq + Clone + Send + Sync + Debug + 'static;
    /// What names an entity of a source, in the page's dependencies as in the feed's events: a number, a text, a UUID, or an
    /// enum of these. Two entities whose hashes collide share a fence, which costs a needless request, never a wrong answer.
    type Entity: Hash + Eq + Clone + Send + Sync + Debug + 'static;
    /// What a fragment holds: one source's answer. Cheap to clone (`Arc`, `Bytes`).
    type Body: Clone + Send + Sync + 'static;
    /// What is composed of the fragments.
    type Page: Send + Sync + 'static;
    /// Why a source gave no answer, in words that follow its name ("did not answer in time"); with its causes it becomes
    /// the `reason` of a degraded fragment.
    type Error: std::error::Error + Send + Sync + 'static;

    /// What the page depends on: for each fragment, in the order in which [`compose`](Self::compose) gets them, its source and
    /// the entity that the source's events name. Several may be of one source, such as a buyer and a seller, but no two the same.
    /// Follows from the key alone.
    fn dependencies(&self, key: &Self::Key) -> Vec<(SourceId, Self::Entity)>;

    /// Waits until a request to this source may go out; the permit is held until the request has ended.
    ///
    /// The cache notes position and time after this wait and before [`fetch`](Self::fetch) (rule 9), so a queue in front
    /// of a source does not make its answers older than they are. An error counts as a failed fetch: the place for a
    /// circuit breaker. What is `known` of the fragment is then shown, marked; without it the fragment is missing, which is
    /// worth a longer wait. By default nothing is bounded.
    fn admit(
        &self,
        _source: SourceId,
        _known: Option<&Fragment<Self::Body>>,
    ) -> impl Future<Output = Result<Option<OwnedSemaphorePermit>, Self::Error>> + Send {
        async { Ok(None) }
    }

    /// Asks a source for its fragment about one entity; conditionally, if a fragment is `known`.
    ///
    /// The request must go out after this is called, and the future must end: it brings its own deadline, below one
    /// second if a revalidation shall stand in for trust. A panic counts as a failed fetch.
    fn fetch(
        &self,
        key: &Self::Key,
        source: SourceId,
        entity: &Self::Entity,
        known: Option<&Fragment<Self::Body>>,
    ) -> impl Future<Output = Result<Fetched<Self::Body>, Self::Error>> + Send;

    /// The fragments that contradict the others, such as those of a deleted entity whose id was used again: the index of each, and
    /// a reason in words that follow the source's name.
    ///
    /// If there are any, the fragments that the load kept from the cache are fetched too, once. A fragment that still conflicts is
    /// left out, and the page is marked. By default none.
    fn conflicts(
        &self,
        _key: &Self::Key,
        _fragments: &[Option<&Fragment<Self::Body>>],
    ) -> Vec<(usize, &'static str)> {
        Vec::new()
    }

    /// Composes the page: CPU only, on the load's task. A panic is passed on to the readers who wait for it.
    fn compose(&self, key: &Self::Key, fragments: &[FragmentState<Self::Body>]) -> Self::Page;

    /// The memory that a page keeps, in bytes, its fragments' bodies included.
    fn weight(&self, page: &Self::Page) -> u32;

    /// The pages that may show this entity: those which an event of it can refresh. They follow from the entity alone,
    /// because no index of what depends on what is kept; so there are few, such as one per variant. By default none.
    fn pages_of(&self, _source: SourceId, _entity: &Self::Entity) -> Vec<Self::Key> {
        Vec::new()
    }

    /// Makes the body of a page's fragment from what an event carried; `None` if the event's fragment cannot be used, as always if
    /// the answer depends on the clock. By default `None`.
    fn read_event(
        &self,
        _key: &Self::Key,
        _source: SourceId,
        _entity: &Self::Entity,
        _event: &EventFragment,
    ) -> Option<Self::Body> {
        None
    }

    /// Whether two bodies of one version say the same: what the audit compares beyond versions. By default they do.
    fn agrees(&self, _one: &Self::Body, _other: &Self::Body) -> bool {
        true
    }
}
