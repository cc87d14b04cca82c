//! What the clones of a cache and its loads share. The other methods of `Shared` are in the files that use them: `load/fetch.rs`,
//! `load/task.rs`, `refresh.rs` and `audit.rs`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use moka::sync::Cache;

use crate::dependency::Dependency;
use crate::feed::ids::SourceId;
use crate::feed::reader::FeedReader;
use crate::fragment::EventFragment;
use crate::load::in_flight::InFlight;
use crate::loader::Loader;
use crate::options::CacheOptions;
use crate::page::CachedPage;
use crate::refresh::queue::EventQueue;
use crate::stats::{Stats, count_removals};
use crate::strategy::Policy;

/// The bytes that a remembered fragment takes in the store besides its data.
const REMEMBERED: usize = 256;

/// What clones and loads share.
pub(crate) struct Shared<L: Loader> {
    pub(crate) loader: L,
    pub(crate) feed: FeedReader<L::Entity>,
    pub(crate) options: CacheOptions,
    pub(crate) policy: Box<dyn Policy>,
    /// Only the task that loads a page writes its key, so plain gets and inserts are enough. Never `get_with`: its
    /// load cannot be told of an event that overtakes it (see the crate's documentation).
    pub(crate) pages: Cache<L::Key, Arc<CachedPage<L>>>,
    /// Bodies from the past, for pages that nobody has read yet (rule 19).
    pub(crate) remembered: Cache<(SourceId, L::Entity), EventFragment>,
    pub(crate) in_flight: InFlight<L>,
    pub(crate) events: EventQueue<L::Entity>,
    /// Every read writes them: they share no cache line with what it reads.
    pub(crate) stats: CachePadded<Stats>,
}

impl<L: Loader> Shared<L> {
    pub(crate) fn new(loader: L, feed: FeedReader<L::Entity>, options: CacheOptions) -> Self {
        let stats = CachePadded::<Stats>::default();
        let removed = count_removals(Arc::clone(&stats.evicted), Arc::clone(&stats.dropped));
        let pages = Cache::builder()
            .max_capacity(options.max_bytes)
            .weigher(|_, page: &Arc<CachedPage<L>>| page.weight())
            .eviction_listener(move |_, _, cause| removed(cause))
            .build();
        let remembered = Cache::builder()
            .max_capacity(options.remembered_bytes)
            .weigher(|_, event: &EventFragment| {
                u32::try_from(REMEMBERED + event.data.len()).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            loader,
            feed,
            options,
            policy: options.strategy.policy(),
            pages,
            remembered,
            in_flight: InFlight::new(options.capture),
            events: EventQueue::new(options.refresh),
            stats,
        }
    }

    /// What a page depends on, with the index of each fence.
    pub(crate) fn dependencies(&self, key: &L::Key) -> Arc<[Dependency<L::Entity>]> {
        let dependencies = self.loader.dependencies(key);
        let located = dependencies.into_iter().map(|(source, entity)| Dependency {
            fence: self.feed.fence_index(source, &entity),
            entity,
        });
        located.collect()
    }

    /// Calls the loader where no reader waits to whom a panic could be passed on; counts the panic.
    pub(crate) fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let called = std::panic::catch_unwind(AssertUnwindSafe(call));
        called.inspect_err(|_| self.stats.panics.add()).ok()
    }
}
