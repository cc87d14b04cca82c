//! The reading end of a feed.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::ids::{FenceIndex, SourceId};
use super::state::FeedState;

/// The reading end of a feed whose events name their entities by an `E`: what caches are made over.
///
/// Clones share the [`FeedState`] that they dereference to. The type of the entities ties both ends to the same one, so that
/// an entity has one hash, and with it one fence, wherever it is named.
pub struct FeedReader<E> {
    state: Arc<FeedState>,
    entities: PhantomData<fn(E)>,
}

impl<E> FeedReader<E> {
    pub(crate) const fn new(state: Arc<FeedState>) -> Self {
        Self {
            state,
            entities: PhantomData,
        }
    }

    /// Where the fence of this entity of this source stands.
    pub(crate) fn fence_index<Q>(&self, source: SourceId, entity: &Q) -> FenceIndex
    where
        E: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.state.fence_index(source, entity)
    }
}

impl<E> Deref for FeedReader<E> {
    type Target = FeedState;

    fn deref(&self) -> &FeedState {
        &self.state
    }
}

impl<E> Clone for FeedReader<E> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.state))
    }
}

impl<E> fmt::Debug for FeedReader<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FeedReader").field(&self.state).finish()
    }
}
