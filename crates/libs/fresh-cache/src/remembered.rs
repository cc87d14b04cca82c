//! Old answers, from events before this replica started: for pages that nobody has read yet (rule 19).

use crate::cache::FreshCache;
use crate::feed::ids::SourceId;
use crate::fragment::EventFragment;
use crate::loader::Loader;

impl<L: Loader> FreshCache<L> {
    /// Keeps an old answer about an entity, from before this replica consumed the feed (rule 19). As long as nothing newer is
    /// known, the source is asked about this answer conditionally; and while the source gives no answer, the old one is shown,
    /// marked as stale. It never makes a page fresh.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (feed, _writer) = feed::channel(1, FeedOptions::default());
    /// # let accounts = Accounts::default();
    /// # let cache = FreshCache::new(accounts.clone(), feed, CacheOptions::default());
    /// let past = EventFragment {
    ///     version: accounts.version(),
    ///     claim: None,
    ///     data: "what an event of the last week said".into(),
    ///     committed: Moment::from_micros(1_750_000_000_000_000),
    /// };
    /// cache.remember(ACCOUNTS, 7, past);
    ///
    /// cache.read(&7, Consistency::MinimizeLatency).await;
    /// assert_eq!(cache.stats().not_modified.get(), 1, "the source was asked about it");
    /// # }
    /// ```
    pub fn remember(&self, source: SourceId, entity: L::Entity, event: EventFragment) {
        self.shared.remembered.insert((source, entity), event);
    }

    /// Forgets what was [remembered](Self::remember), because the entity is gone.
    pub fn forget_remembered(&self, source: SourceId, entity: L::Entity) {
        self.shared.remembered.invalidate(&(source, entity));
    }
}
