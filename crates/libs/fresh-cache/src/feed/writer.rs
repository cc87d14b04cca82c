//! The writing end of the feed: one task, in the order of the feed.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use super::ids::{Claim, Position, SourceId};
use super::state::FeedState;
use crate::clock::Moment;

/// The writing end of a feed: what the task that consumes the feed calls, in order, once per message. There is only one.
///
/// Every method takes constant time, no lock and no memory, so that the feed never waits for a reader, a fetch or
/// a composition (rule 5).
///
/// A call that names an unknown source may be about any source. So it counts as a loss of all sources (rule 7); only a
/// watermark is ignored. [`FeedState::unknown_sources`] counts both.
///
/// ```
/// use fresh_cache::{FeedOptions, Moment, SourceId, feed};
///
/// let accounts = SourceId(0);
/// let (feed, mut writer) = feed::channel::<u64>(1, FeedOptions::default());
/// writer.lost(accounts); // the feed begins here: what came before was not received
/// writer.changed(accounts, &42); // event: account 42 changed
/// writer.watermark(accounts, Moment::from_micros(1_750_000_000_000_000));
/// assert!(!feed.trusted(accounts), "that watermark is old: somebody was paused");
/// ```
pub struct FeedWriter<E> {
    state: Arc<FeedState>,
    /// The latest position; the state has the same, for readers.
    position: u64,
    /// For each source, whether a message of it was applied.
    begun: Box<[bool]>,
    entities: PhantomData<fn(E)>,
}

impl<E> FeedWriter<E> {
    pub(crate) fn new(state: Arc<FeedState>, sources: usize) -> Self {
        let position = state.position().0;
        Self {
            state,
            position,
            begun: vec![false; sources].into(),
            entities: PhantomData,
        }
    }

    /// An event: this entity of this source changed (rule 6). A repeat fences again and does no more.
    pub fn changed<Q>(&mut self, source: SourceId, entity: &Q) -> Position
    where
        E: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.begin(source);
        let position = self.advance();
        self.state
            .store_fence(self.state.fence_index(source, entity), position);
        Position(position)
    }

    /// An event: this entity of this source is gone. From now on not even a marked stale answer shows it (rule 12).
    pub fn deleted<Q>(&mut self, source: SourceId, entity: &Q) -> Position
    where
        E: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.begin(source);
        let position = self.advance();
        let fence = self.state.fence_index(source, entity);
        self.state.store_deletion(fence, position);
        self.state.store_fence(fence, position);
        Position(position)
    }

    /// Something of this source was missed, or may have been (rule 7): nothing fetched before now is fresh any more.
    pub fn lost(&mut self, source: SourceId) {
        for source in self.named(source) {
            self.lose(source);
        }
    }

    /// The source's database was replaced by another one (rule 4). Nothing that was applied of the former database counts any
    /// more, its watermark included. The source is not trusted until the next watermark.
    pub fn replaced(&mut self, source: SourceId) {
        for source in self.named(source) {
            self.lose(source);
            self.state.store_watermark(source, Moment::default());
        }
    }

    /// From here on another process publishes for the source. The former publisher's watermark counts no more, and the
    /// watermarks that follow count only for answers that state this claim.
    ///
    /// Not needed by a source of which there can be only one publisher: its answers state [`Claim::default`], which is
    /// every source's claim until another one is named here.
    pub fn claimed(&mut self, source: SourceId, claim: Claim) {
        for source in self.named(source) {
            self.begin(source);
            self.state.store_claim(source, claim);
        }
    }

    /// Something was missed, and it is unknown of which source (rule 7).
    pub fn lost_all(&mut self) {
        for source in 0..self.begun.len() {
            self.lose(SourceId(source));
        }
    }

    /// A watermark of the source: everything it committed before this moment has been published, and was applied before this
    /// call or reported [`lost`](Self::lost) (rules 3 and 7).
    pub fn watermark(&mut self, source: SourceId, complete_until: Moment) {
        if source.0 >= self.begun.len() {
            self.state.note_unknown(source);
            return;
        }
        self.begin(source);
        self.state.store_watermark(source, complete_until);
    }

    /// The first message of a source says nothing about those before it, which is a loss like any other (rule 7).
    fn begin(&mut self, source: SourceId) {
        match self.begun.get(source.0) {
            Some(true) => {}
            Some(false) => self.lose(source),
            None => self.lost_all(),
        }
    }

    /// The sources that a loss is about: the one that was named, or all, if the feed does not have it.
    fn named(&self, source: SourceId) -> impl Iterator<Item = SourceId> + use<E> {
        let sources = if source.0 < self.begun.len() {
            source.0..source.0 + 1
        } else {
            self.state.note_unknown(source);
            0..self.begun.len()
        };
        sources.map(SourceId)
    }

    fn lose(&mut self, source: SourceId) {
        self.begun[source.0] = true;
        let position = self.advance();
        self.state.store_floor(source, position);
    }

    fn advance(&mut self) -> u64 {
        self.position += 1;
        self.state.store_position(self.position);
        self.position
    }
}

impl<E> fmt::Debug for FeedWriter<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FeedWriter")
            .field("state", &self.state)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{self, state::FeedOptions};

    const ACCOUNTS: SourceId = SourceId(0);
    const METRICS: SourceId = SourceId(1);

    #[test]
    fn every_event_advances_the_position_and_overtakes_what_was_noted_before() {
        let (feed, mut writer) = feed::channel::<u64>(2, FeedOptions::default());
        writer.lost_all();
        let (fence, before) = (feed.fence_index(ACCOUNTS, &42), feed.position());
        assert!(!feed.overtaken(fence, before));
        let position = writer.changed(ACCOUNTS, &42);
        assert!(position > before);
        assert_eq!(feed.position(), position);
        assert!(feed.overtaken(fence, before));
        assert!(!feed.overtaken(fence, position));
        assert!(writer.changed(ACCOUNTS, &42) > position, "a repeat fences again");
        assert!(feed.overtaken(fence, position));
    }

    #[test]
    fn only_a_deletion_raises_the_deletion_fence() {
        let (feed, mut writer) = feed::channel::<u64>(1, FeedOptions::default());
        writer.lost_all();
        let (fence, before) = (feed.fence_index(ACCOUNTS, &42), feed.position());
        writer.changed(ACCOUNTS, &42);
        writer.lost(ACCOUNTS);
        assert!(!feed.deleted(fence, before));
        let before = feed.position();
        let position = writer.deleted(ACCOUNTS, &42);
        assert!(feed.deleted(fence, before) && feed.overtaken(fence, before));
        assert!(!feed.deleted(fence, position) && !feed.overtaken(fence, position));
    }

    #[test]
    fn a_loss_overtakes_every_entity_of_its_source_and_none_of_another() {
        let (feed, mut writer) = feed::channel::<u64>(2, FeedOptions::default());
        writer.lost_all();
        let before = feed.position();
        writer.lost(METRICS);
        assert!((0..1_000).all(|entity| feed.overtaken(feed.fence_index(METRICS, &entity), before)));
        assert!((0..1_000).all(|entity| !feed.overtaken(feed.fence_index(ACCOUNTS, &entity), before)));
        writer.lost_all();
        assert!(feed.overtaken(feed.fence_index(ACCOUNTS, &0), before));
    }

    #[test]
    fn the_first_message_of_a_source_is_a_loss_and_the_second_is_not() {
        let (feed, mut writer) = feed::channel::<u64>(2, FeedOptions::default());
        let before = feed.position();
        writer.watermark(METRICS, Moment::from_micros(1));
        assert!(feed.overtaken(feed.fence_index(METRICS, &7), before));
        assert!(!feed.overtaken(feed.fence_index(ACCOUNTS, &7), before));
        let applied = feed.position();
        writer.watermark(METRICS, Moment::from_micros(2));
        assert_eq!(feed.position(), applied);
        writer.changed(ACCOUNTS, &7);
        assert!(
            feed.overtaken(feed.fence_index(ACCOUNTS, &8), before),
            "its other entities too"
        );
    }

    #[test]
    fn nothing_that_was_applied_of_a_database_vouches_for_the_one_that_replaced_it() {
        let (feed, mut writer) = feed::channel::<u64>(1, FeedOptions::default());
        writer.watermark(ACCOUNTS, feed.clock().now());
        let before = feed.position();
        assert!(feed.trusted(ACCOUNTS));
        writer.replaced(ACCOUNTS);
        assert!(!feed.trusted(ACCOUNTS) && feed.watermark(ACCOUNTS).is_none());
        assert!(feed.overtaken(feed.fence_index(ACCOUNTS, &42), before));
        writer.watermark(ACCOUNTS, feed.clock().now());
        assert!(feed.trusted(ACCOUNTS));
    }

    #[test]
    fn what_is_said_of_an_unknown_source_may_be_about_any() {
        const UNKNOWN: SourceId = SourceId(2);
        let (feed, mut writer) = feed::channel::<u64>(2, FeedOptions::default());
        writer.lost_all();
        let says: [fn(&mut FeedWriter<u64>); 4] = [
            |writer| _ = writer.changed(UNKNOWN, &7),
            |writer| _ = writer.deleted(UNKNOWN, &7),
            |writer| writer.lost(UNKNOWN),
            |writer| writer.replaced(UNKNOWN),
        ];
        for (counted, say) in (1..).zip(says) {
            writer.watermark(ACCOUNTS, feed.clock().now());
            let before = feed.position();
            say(&mut writer);
            for source in [ACCOUNTS, METRICS] {
                assert!(feed.overtaken(feed.fence_index(source, &42), before));
            }
            assert_eq!(feed.unknown_sources(), counted);
        }
        assert!(
            !feed.trusted(ACCOUNTS),
            "its database may be the one that was replaced"
        );
        let before = feed.position();
        writer.watermark(UNKNOWN, feed.clock().now());
        assert_eq!(feed.position(), before);
        assert!(!feed.trusted(UNKNOWN) && feed.watermark(UNKNOWN).is_none());
    }

    #[test]
    fn the_last_watermark_counts_and_not_the_latest() {
        let (feed, mut writer) = feed::channel::<u64>(1, FeedOptions::default());
        assert_eq!(feed.watermark(ACCOUNTS), None);
        writer.watermark(ACCOUNTS, Moment::from_micros(20));
        writer.watermark(ACCOUNTS, Moment::from_micros(10));
        assert_eq!(feed.watermark(ACCOUNTS), Some(Moment::from_micros(10)));
    }

    #[test]
    fn of_many_sources_each_has_its_own_watermark() {
        let (feed, mut writer) = feed::channel::<u64>(9, FeedOptions::default());
        for source in (0..9).map(SourceId).filter(|source| *source != METRICS) {
            writer.watermark(source, feed.clock().now());
        }
        for source in (0..9).map(SourceId) {
            assert_eq!(feed.trusted(source), source != METRICS, "{source:?}");
            assert_eq!(feed.watermark(source).is_some(), source != METRICS, "{source:?}");
        }
    }

    #[test]
    fn the_number_of_fences_is_a_power_of_two_within_bounds() {
        let fences = |fences| {
            let options = FeedOptions {
                fences,
                ..FeedOptions::default()
            };
            options.fence_count()
        };
        assert_eq!([0, 1, 2, 3, 1_000].map(fences), [1, 1, 2, 4, 1_024]);
        for many in [FeedOptions::MAX_FENCES + 1, usize::MAX / 2 + 2, usize::MAX] {
            assert_eq!(fences(many), FeedOptions::MAX_FENCES);
        }
    }
}
