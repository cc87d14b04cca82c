//! The small values by which a feed names things: sources, positions, publishers, fences.

/// A source of fragments, by its number: from 0 up to the number of sources that [`feed::channel`](crate::feed::channel) got.
///
/// A source beyond that number is never trusted, and its fragments are never fresh: they are fetched at every read. See
/// [`FeedState::unknown_sources`](crate::FeedState::unknown_sources).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// A replica's own count of what it applied: it advances with every event and every loss.
///
/// Positions of different replicas, or of one replica before and after a restart, cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// Before everything: a fragment at this position is never fresh, since every floor starts above it.
    pub const ZERO: Position = Position(0);
}

/// Who publishes for a source, as its messages and its answers state it.
///
/// A publisher's watermarks count only for that publisher's answers: of two processes with two databases, the one may not
/// know what the other has acknowledged. [`Claim::default`] is for a source that can have only
/// one publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim(pub u64);

/// Which fence belongs to a dependency, and the dependency's source.
///
/// Fences are striped: dependencies whose keyed hashes collide share one, which costs a needless request, never
/// a wrong answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FenceIndex {
    pub(crate) source: SourceId,
    pub(crate) index: usize,
}

impl FenceIndex {
    /// The source of the dependency.
    pub(crate) const fn source(self) -> SourceId {
        self.source
    }
}
