//! The cache, or one per strategy where requests may choose.
//!
//! They read the same feed and share nothing else: a page that one strategy would not have had by now must not
//! make another look better than it is.

use axum::http::{HeaderMap, HeaderName};
use fresh_cache::{CacheOptions, FeedReader, FreshCache, Strategy};
use std::sync::Arc;

use crate::key::AccountId;
use crate::loader::Upstreams;

/// The request header by which a reader chooses, where that is allowed.
pub(crate) const CACHE_STRATEGY: HeaderName = HeaderName::from_static("cache-strategy");

/// A strategy's name, in settings, headers and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum StrategyName {
    /// Compose every page for its reader.
    None,
    /// Show a page until it is `--ttl-seconds` old.
    Ttl,
    /// Ask every source at every read whether its fragment still is the answer.
    Versioned,
    /// Show a page while no event came that touched it.
    Invalidate,
    /// The same, and compose it anew when an event came.
    Prepopulate,
}

/// The caches of this replica.
#[derive(Clone, Debug)]
pub(crate) struct Caches {
    /// The strategy that readers get who do not choose.
    default: StrategyName,
    /// By the place in [`StrategyName::ALL`]; only the default one unless readers may choose.
    caches: Arc<[Option<FreshCache<Upstreams>>; 5]>,
}

/// Why a reader does not get the strategy asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAChoice {
    /// There is none of that name.
    #[error("a strategy is one of none, ttl, versioned, invalidate, prepopulate")]
    Unknown,
    /// This replica has only its own.
    #[error("this replica does not let readers choose: it was started without --allow-override")]
    NotAllowed,
}

impl StrategyName {
    /// All of them, in the order in which one comes to them.
    pub(crate) const ALL: [Self; 5] = [
        Self::None,
        Self::Ttl,
        Self::Versioned,
        Self::Invalidate,
        Self::Prepopulate,
    ];

    /// The name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ttl => "ttl",
            Self::Versioned => "versioned",
            Self::Invalidate => "invalidate",
            Self::Prepopulate => "prepopulate",
        }
    }
}

impl Caches {
    /// Caches over `feed`, made by `options` of each strategy that can be read by.
    pub(crate) fn new(
        upstreams: &Upstreams,
        feed: &FeedReader<AccountId>,
        default: StrategyName,
        all: bool,
        options: impl Fn(StrategyName) -> CacheOptions,
    ) -> Self {
        let cache = |name| {
            (all || name == default).then(|| FreshCache::new(upstreams.clone(), feed.clone(), options(name)))
        };
        Self {
            default,
            caches: Arc::new(StrategyName::ALL.map(cache)),
        }
    }

    /// The cache of readers who do not choose.
    pub(crate) fn default(&self) -> &FreshCache<Upstreams> {
        self.caches[self.default as usize]
            .as_ref()
            .expect("the default strategy has a cache")
    }

    /// The cache that a request asks for.
    pub(crate) fn chosen(&self, headers: &HeaderMap) -> Result<&FreshCache<Upstreams>, NotAChoice> {
        let Some(choice) = headers.get(CACHE_STRATEGY) else {
            return Ok(self.default());
        };
        let name = StrategyName::ALL
            .into_iter()
            .find(|name| choice == name.as_str())
            .ok_or(NotAChoice::Unknown)?;
        self.caches[name as usize].as_ref().ok_or(NotAChoice::NotAllowed)
    }

    /// All of them, with their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (StrategyName, &FreshCache<Upstreams>)> {
        StrategyName::ALL
            .into_iter()
            .zip(self.caches.iter())
            .filter_map(|(name, cache)| Some((name, cache.as_ref()?)))
    }

    /// The one that is pre-populated, if there is one.
    pub(crate) fn prepopulated(&self) -> Option<&FreshCache<Upstreams>> {
        self.caches[StrategyName::Prepopulate as usize].as_ref()
    }
}

/// What the cache is told of a strategy.
pub(crate) fn strategy(name: StrategyName, ttl: std::time::Duration) -> Strategy {
    match name {
        StrategyName::None => Strategy::None,
        StrategyName::Ttl => Strategy::Ttl(ttl),
        StrategyName::Versioned => Strategy::Versioned,
        StrategyName::Invalidate => Strategy::Invalidate,
        StrategyName::Prepopulate => Strategy::Prepopulate,
    }
}
