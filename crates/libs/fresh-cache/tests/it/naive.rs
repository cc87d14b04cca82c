//! Why this crate exists: the same fill, held open while the event passes, in a cache as it is usually written.

use std::sync::Arc;

use moka::future::Cache;

use crate::held_sources::{HeldSources, Pages, Step};
use crate::replica::{ACCOUNTS, PAGE};
use fresh_cache::{Fetched, Loader as _};

/// What everybody writes: `get_with` to fill, `invalidate` when the event comes.
#[derive(Clone)]
struct Naive {
    pages: Cache<u64, u64>,
    sources: Arc<HeldSources>,
}

impl Naive {
    async fn read(&self) -> u64 {
        let loader = Pages(Arc::clone(&self.sources));
        let fill = async move {
            match loader.fetch(&PAGE, ACCOUNTS, &PAGE, None).await {
                Ok(Fetched::New { version, .. }) => version.revision,
                other => panic!("the source answers in full: {other:?}"),
            }
        };
        self.pages.get_with(PAGE, fill).await
    }

    async fn receive_event(&self) {
        self.pages.invalidate(&PAGE).await;
    }
}

#[tokio::test]
async fn get_with_and_invalidate_keep_the_old_page_for_good() {
    let sources = Arc::new(HeldSources::new());
    let naive = Naive {
        pages: Cache::new(100),
        sources: Arc::clone(&sources),
    };
    sources.stop(ACCOUNTS, Step::Answer).hold();
    let first = tokio::spawn({
        let naive = naive.clone();
        async move { naive.read().await }
    });
    sources.stop(ACCOUNTS, Step::Answer).arrived().await;

    sources.mutate(ACCOUNTS, PAGE);
    naive.receive_event().await;
    let mut after_the_event = Box::pin(naive.read());
    assert!(futures::poll!(&mut after_the_event).is_pending());
    sources.stop(ACCOUNTS, Step::Answer).release();

    assert_eq!(first.await.unwrap(), 1);
    assert_eq!(
        after_the_event.await,
        1,
        "it joined the fill that began before the event"
    );
    assert_eq!(
        naive.read().await,
        1,
        "and no further event will come to remove the old page"
    );
}
