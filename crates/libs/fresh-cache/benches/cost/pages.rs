//! Pages that weigh nothing, so that only what the cache adds is seen.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fresh_cache::{
    CacheOptions, Claim, Consistency, FeedReader, Fetched, Fragment, FragmentState, FreshCache, Loader,
    RefreshOptions, SourceId, Strategy, Version,
};
use moka::sync::Cache;
use tokio::runtime::Builder;

/// The most fragments that a page has here, of one source each.
pub(crate) const SOURCES: usize = 3;

/// Which page: of an account, in one of its variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) account: u64,
    pub(crate) variant: u8,
}

/// Composes them: empty, of empty fragments.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// How many fragments a page has.
    pub(crate) fragments: usize,
    /// How many pages an account has.
    pub(crate) variants: u8,
    /// How many events were looked at to refresh their pages.
    pub(crate) looked_at: Arc<AtomicU64>,
}

impl Pages {
    pub(crate) fn new(fragments: usize, variants: u8) -> Self {
        Self {
            fragments,
            variants,
            looked_at: Arc::default(),
        }
    }

    /// A cache of these that evicts nothing.
    pub(crate) fn cache(&self, strategy: Strategy, feed: FeedReader<u64>) -> FreshCache<Self> {
        let options = CacheOptions {
            strategy,
            max_bytes: u64::MAX,
            refresh: RefreshOptions {
                waiting: 8 * 1024,
                ..RefreshOptions::default()
            },
            ..CacheOptions::default()
        };
        FreshCache::new(self.clone(), feed, options)
    }

    /// Every page of so many accounts, all variants of one account after those of the other.
    pub(crate) fn keys(&self, accounts: u64) -> impl Iterator<Item = Key> + use<> {
        let variants = self.variants;
        (0..accounts).flat_map(move |account| (0..variants).map(move |variant| Key { account, variant }))
    }
}

/// Reads every one of these pages once, so that all are resident.
pub(crate) fn fill(cache: &FreshCache<Pages>, keys: impl Iterator<Item = Key>) {
    block_on(async {
        for key in keys {
            cache.read(&key, Consistency::MinimizeLatency).await;
        }
    });
}

/// Runs what may need a load.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime needs nothing here").block_on(future)
}

/// The same of the store underneath.
pub(crate) fn fill_bare(keys: impl Iterator<Item = Key>) -> Cache<Key, Arc<()>> {
    let bare = Cache::builder().max_capacity(u64::MAX).weigher(|_, _| 1).build();
    for key in keys {
        bare.insert(key, Arc::new(()));
    }
    bare
}

impl Loader for Pages {
    type Key = Key;
    type Entity = u64;
    type Body = ();
    type Page = ();
    type Error = Infallible;

    fn dependencies(&self, key: &Key) -> Vec<(SourceId, u64)> {
        let sources = (0..self.fragments).map(SourceId);
        sources.map(|source| (source, key.account)).collect()
    }

    async fn fetch(
        &self,
        _: &Key,
        _: SourceId,
        _entity: &u64,
        _: Option<&Fragment<()>>,
    ) -> Result<Fetched<()>, Infallible> {
        let version = Version {
            incarnation: 1,
            revision: 1,
            nonce: 0,
        };
        Ok(Fetched::New {
            version,
            claim: Some(Claim::default()),
            body: (),
            valid_for: None,
        })
    }

    fn compose(&self, _: &Key, _: &[FragmentState<()>]) {}

    fn weight(&self, (): &()) -> u32 {
        1
    }

    fn pages_of(&self, _: SourceId, &account: &u64) -> Vec<Key> {
        self.looked_at.fetch_add(1, Ordering::Relaxed);
        (0..self.variants)
            .map(|variant| Key { account, variant })
            .collect()
    }
}
