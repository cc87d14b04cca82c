//! What a page depends on: its entities, and the indices of their fences.

use crate::feed::ids::{FenceIndex, SourceId};

/// One of the things that a page depends on; the page has a fragment of each, in the same order.
#[derive(Clone, Debug)]
pub(crate) struct Dependency<E> {
    pub(crate) entity: E,
    pub(crate) fence: FenceIndex,
}

/// The place of an entity's fragment: its index among the fragments of a page with these dependencies.
pub(crate) fn place_of<E: PartialEq>(
    dependencies: &[Dependency<E>],
    source: SourceId,
    entity: &E,
) -> Option<usize> {
    dependencies
        .iter()
        .position(|dependency| dependency.fence.source() == source && dependency.entity == *entity)
}
