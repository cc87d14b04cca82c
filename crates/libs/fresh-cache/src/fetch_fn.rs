//! The simple way in: pages that are one fragment of one source, fetched by a closure.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::marker::PhantomData;

use crate::cache::FreshCache;
use crate::feed;
use crate::feed::ids::SourceId;
use crate::feed::state::FeedOptions;
use crate::fragment::{Fetched, Fragment, FragmentState};
use crate::loader::Loader;
use crate::options::CacheOptions;

/// The one source of pages that a closure fetches.
const SOURCE: SourceId = SourceId(0);

/// A [`Loader`] of pages that are what a closure fetches: what [`fetch_fn`] makes.
pub struct FetchFn<K, B, E, F> {
    fetch: F,
    weigh: fn(&B) -> u32,
    types: PhantomData<fn(K) -> Result<B, E>>,
}

/// Makes a [`Loader`] of a closure, for a cache over a feed. Without a feed, [`FreshCache::from_fn`] is all it takes.
///
/// A page is what its source last answered about the entity that is also its key; `None` if it never answered. The source is
/// the feed's first, `SourceId(0)`. Pages weigh one each, so that [`CacheOptions::max_bytes`] counts them, unless told
/// [otherwise](FetchFn::weigh).
///
/// ```
/// use fresh_cache::{CacheOptions, FeedOptions, Fetched, FreshCache, Outcome, SourceId, Version, feed, fetch_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (feed, mut writer) = feed::channel(1, FeedOptions::default());
/// let names = fetch_fn(|id: String, _known| async move {
///     Ok::<_, std::io::Error>(Fetched::new(Version::from_revision(1), format!("account {id}")))
/// });
/// let accounts = FreshCache::new(names, feed, CacheOptions { max_bytes: 10_000, ..CacheOptions::default() });
///
/// let ada = "ada".to_owned();
/// assert_eq!(accounts.get(&ada).await.page.content().as_deref(), Some("account ada"));
/// assert_eq!(accounts.get(&ada).await.outcome, Outcome::Hit);
/// writer.changed(SourceId(0), "ada"); // called by the task that consumes the feed
/// assert_ne!(accounts.get(&ada).await.outcome, Outcome::Hit);
/// # }
/// ```
pub fn fetch_fn<K, B, E, F, Fut>(fetch: F) -> FetchFn<K, B, E, F>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
    F: Fn(K, Option<Fragment<B>>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched<B>, E>> + Send,
{
    FetchFn {
        fetch,
        weigh: |_| 1,
        types: PhantomData,
    }
}

impl<K, B, E, F> FetchFn<K, B, E, F> {
    /// The same, with pages that weigh what this says of their body, such as its length in bytes.
    #[must_use]
    pub fn weigh(self, weigh: fn(&B) -> u32) -> Self {
        Self { weigh, ..self }
    }
}

impl<K, B, E, F, Fut> Loader for FetchFn<K, B, E, F>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
    F: Fn(K, Option<Fragment<B>>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched<B>, E>> + Send,
{
    type Key = K;
    type Entity = K;
    type Body = B;
    type Page = Option<B>;
    type Error = E;

    fn dependencies(&self, key: &K) -> Vec<(SourceId, K)> {
        vec![(SOURCE, key.clone())]
    }

    async fn fetch(
        &self,
        key: &K,
        _source: SourceId,
        _entity: &K,
        known: Option<&Fragment<B>>,
    ) -> Result<Fetched<B>, E> {
        (self.fetch)(key.clone(), known.cloned()).await
    }

    fn compose(&self, _key: &K, fragments: &[FragmentState<B>]) -> Option<B> {
        let fragment = fragments.first().and_then(FragmentState::fragment);
        fragment.map(|fragment| fragment.body.clone())
    }

    fn weight(&self, page: &Option<B>) -> u32 {
        page.as_ref().map_or(1, self.weigh)
    }

    fn pages_of(&self, _source: SourceId, entity: &K) -> Vec<K> {
        vec![entity.clone()]
    }
}

impl<K, B, E, F, Fut> FreshCache<FetchFn<K, B, E, F>>
where
    K: Hash + Eq + Clone + Debug + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
    F: Fn(K, Option<Fragment<B>>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Fetched<B>, E>> + Send,
{
    /// A cache of up to so many pages, each fetched by a closure, without a feed.
    ///
    /// The closure is given the key, and what is known of it, to ask about conditionally. Without a feed nothing tells of
    /// changes, so a page is asked about again when it is read a second after the last request, and shown without asking until
    /// then: one conditional request per page and second, and no unmarked answer is more than a second old. With a feed told of the
    /// changes ([`fetch_fn`]), none is needed while nothing changes.
    ///
    /// ```
    /// use fresh_cache::{Fetched, FreshCache, Outcome, Version};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let accounts = FreshCache::from_fn(10_000, |id: u64, known| async move {
    ///     let version = Version::from_revision(7); // such as `SELECT revision FROM accounts WHERE id = ?`
    ///     if known.is_some_and(|known| known.version == version) {
    ///         return Ok(Fetched::not_modified());
    ///     }
    ///     Ok::<_, std::io::Error>(Fetched::new(version, format!("account {id}")))
    /// });
    ///
    /// let answer = accounts.get(&42).await;
    /// assert_eq!(answer.page.content().as_deref(), Some("account 42"));
    /// println!("complete until {}", answer.fresh_as_of);
    /// assert_eq!(accounts.get(&42).await.outcome, Outcome::Hit);
    /// # }
    /// ```
    pub fn from_fn(max_pages: u64, fetch: F) -> Self {
        let (feed, _no_writer) = feed::channel(1, FeedOptions::default());
        let options = CacheOptions {
            max_bytes: max_pages,
            ..CacheOptions::default()
        };
        Self::new(fetch_fn(fetch), feed, options)
    }
}

impl<K, B, E, F> Debug for FetchFn<K, B, E, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FetchFn").finish_non_exhaustive()
    }
}
