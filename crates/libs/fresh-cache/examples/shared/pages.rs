//! Pages of one fragment, which show its revision.

use std::convert::Infallible;

use fresh_cache::{Fetched, Fragment, FragmentState, Loader, SourceId, Version};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// Answers which revision a page has.
type Ask = dyn Fn(u64) -> BoxFuture<'static, u64> + Send + Sync;

/// The loader of these pages.
pub(crate) struct Pages(Box<Ask>);

impl Pages {
    pub(crate) fn new<F>(ask: impl Fn(u64) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = u64> + Send + 'static,
    {
        Self(Box::new(move |page| ask(page).boxed()))
    }
}

impl Loader for Pages {
    type Key = u64;
    type Entity = u64;
    type Body = u64;
    type Page = u64;
    type Error = Infallible;

    fn dependencies(&self, page: &u64) -> Vec<(SourceId, u64)> {
        vec![(SourceId(0), *page)]
    }

    async fn fetch(
        &self,
        page: &u64,
        _source: SourceId,
        _entity: &u64,
        known: Option<&Fragment<u64>>,
    ) -> Result<Fetched<u64>, Infallible> {
        let revision = (self.0)(*page).await;
        Ok(match known {
            Some(fragment) if fragment.body == revision => Fetched::not_modified(),
            _ => Fetched::new(Version::from_revision(revision), revision),
        })
    }

    fn compose(&self, _page: &u64, fragments: &[FragmentState<u64>]) -> u64 {
        fragments[0].fragment().expect("the source always answers").body
    }

    fn weight(&self, _page: &u64) -> u32 {
        1
    }

    fn pages_of(&self, _source: SourceId, entity: &u64) -> Vec<u64> {
        vec![*entity]
    }
}
