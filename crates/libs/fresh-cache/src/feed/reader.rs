//! The reading end of a feed.

use std::ops::Deref;
use std::sync::Arc;

use super::state::FeedState;

/// The reading end of a feed, which caches are made over. Clones share the [`FeedState`] that they dereference to.
#[derive(Clone, Debug)]
pub struct FeedReader(Arc<FeedState>);

impl FeedReader {
    pub(crate) const fn new(state: Arc<FeedState>) -> Self {
        Self(state)
    }
}

impl Deref for FeedReader {
    type Target = FeedState;

    fn deref(&self) -> &FeedState {
        &self.0
    }
}
