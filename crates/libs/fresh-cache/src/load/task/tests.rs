//! What a load merges with.

use std::convert::Infallible;
use std::sync::OnceLock;

use super::*;
use crate::cache::FreshCache;
use crate::clock::Date;
use crate::consistency::Consistency;
use crate::feed;
use crate::feed::ids::{Claim, SourceId};
use crate::feed::state::FeedOptions;
use crate::fragment::Fetched;
use crate::options::CacheOptions;
use crate::version::Version;

/// A loader whose page becomes newer while its source answers, as if something else had written it.
#[derive(Default)]
struct Overtaken(Arc<OnceLock<FreshCache<Overtaken>>>);

impl Overtaken {
    fn page(&self, revision: u64) -> Arc<CachedPage<Self>> {
        let cache = self.0.get().expect("the test set it");
        let dependencies = cache.shared.dependencies(&1);
        let fragment = Fragment::answered(
            SourceId(0),
            cache.shared.feed.start_request(),
            Version::from_revision(revision),
            Some(Claim::default()),
            revision,
            None,
        );
        Arc::new(CachedPage::new(NewPage {
            content: Arc::new(revision),
            fragments: vec![FragmentState::Current(fragment)],
            dependencies: &dependencies,
            composed: Date::default(),
            backoffs: vec![None],
            read: false,
            weight: 1,
        }))
    }
}

impl Loader for Overtaken {
    type Key = u64;
    type Entity = u64;
    type Body = u64;
    type Page = u64;
    type Error = Infallible;

    fn dependencies(&self, _key: &u64) -> Vec<(SourceId, u64)> {
        vec![(SourceId(0), 1)]
    }

    async fn fetch(
        &self,
        key: &u64,
        _source: SourceId,
        _entity: &u64,
        _known: Option<&Fragment<u64>>,
    ) -> Result<Fetched<u64>, Infallible> {
        let newer = self.page(6);
        self.0
            .get()
            .expect("the test set it")
            .shared
            .pages
            .insert(*key, newer);
        Ok(Fetched::new(Version::from_revision(5), 5))
    }

    fn compose(&self, _key: &u64, fragments: &[FragmentState<u64>]) -> u64 {
        fragments[0].fragment().expect("the source answers").body
    }

    fn weight(&self, _page: &u64) -> u32 {
        1
    }
}

#[tokio::test]
async fn a_load_merges_with_what_became_resident_during_it() {
    let loader = Overtaken::default();
    let itself = Arc::clone(&loader.0);
    let (feed, _writer) = feed::channel(1, FeedOptions::default());
    let cache = FreshCache::new(loader, feed, CacheOptions::default());
    itself.set(cache.clone()).expect("it is set once");
    assert_eq!(
        *cache.read(&1, Consistency::MinimizeLatency).await.page.content(),
        6
    );
    assert_eq!(
        *cache.read(&1, Consistency::MinimizeLatency).await.page.content(),
        6
    );
}
