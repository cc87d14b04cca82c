//! What a thread holds beside a span goes along with the load: here the number of a request, in a thread-local.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fresh_cache::{
    Announcement, CacheOptions, Consistency, FeedOptions, Fetched, FreshCache, SourceId, Strategy, TaskScope,
    Version, feed, fetch_fn,
};
use tokio::task::yield_now;
use tokio::time::timeout;

thread_local! {
    static REQUEST: Cell<u32> = const { Cell::new(0) };
}

fn capture() -> Option<TaskScope> {
    let request = REQUEST.get();
    (request > 0).then(|| -> TaskScope { Box::new(move |work| as_request(request, work)) })
}

fn as_request<R>(request: u32, work: impl FnOnce() -> R) -> R {
    let outer = REQUEST.replace(request);
    let result = work();
    REQUEST.set(outer);
    result
}

/// Does work of a request that waits, on a thread that does other work meanwhile.
async fn of_request<F: Future>(request: u32, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| as_request(request, || work.as_mut().poll(context))).await
}

#[tokio::test]
async fn a_load_and_a_refresh_take_along_what_was_captured_of_those_who_asked_for_them() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let fetch = {
        let seen = Arc::clone(&seen);
        fetch_fn(move |_: u64, _known| {
            let seen = Arc::clone(&seen);
            async move {
                let begin = REQUEST.get();
                yield_now().await;
                seen.lock().unwrap().push([begin, REQUEST.get()]);
                Ok::<_, Infallible>(Fetched::new(Version::from_revision(1), ()))
            }
        })
    };
    let (feed, mut writer) = feed::channel(1, FeedOptions::default());
    let options = CacheOptions {
        strategy: Strategy::Prepopulate,
        capture,
        ..CacheOptions::default()
    };
    let cache = FreshCache::new(fetch, feed, options);
    let refresher = cache.clone();
    let refreshing = tokio::spawn(async move { refresher.refresh().await });

    of_request(7, cache.read(&1, Consistency::MinimizeLatency)).await;
    assert_eq!(*seen.lock().unwrap(), [[7, 7]]);
    let position = writer.changed(SourceId(0), &1);
    as_request(8, || {
        cache.announce(Announcement {
            source: SourceId(0),
            entity: 1,
            position,
            fragment: None,
        });
    });
    let until_both = async {
        while seen.lock().unwrap().len() < 2 {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), until_both).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [[7, 7], [8, 8]]);
    cache.read(&2, Consistency::MinimizeLatency).await;
    assert_eq!(*seen.lock().unwrap(), [[7, 7], [8, 8], [0, 0]]);
    assert_eq!(REQUEST.get(), 0);
    refreshing.abort();
}
