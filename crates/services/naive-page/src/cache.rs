//! The cache, and the events that remove pages from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use futures::StreamExt as _;
use moka::Expiry;
use moka::future::Cache;
use opentelemetry::{KeyValue, global};

use crate::compose::Page;

/// The spans of time that a page can show.
pub(crate) const WINDOWS: [&str; 3] = ["1h", "24h", "7d"];

/// The pages by account and window. A clone is the same cache.
pub(crate) type Pages = Cache<(u64, &'static str), Arc<Page>>;

/// An empty cache of at most 128 MiB.
pub(crate) fn pages() -> Pages {
    Cache::builder()
        .weigher(|_, page: &Arc<Page>| u32::try_from(page.json.len()).unwrap_or(u32::MAX))
        .max_capacity(128 * 1024 * 1024)
        .expire_after(HoldsFor)
        .build()
}

/// Invalidates an account's pages whenever a source says that it changed.
pub(crate) async fn apply_events(mut events: Subscriber, pages: Pages) {
    let counter = global::meter("naive-page").u64_counter("page.events").build();
    while let Some(event) = events.next().await {
        // `events.<source>.<account>`. Watermarks end in a word.
        let Some((subject, account)) = event.subject.rsplit_once('.') else {
            continue;
        };
        let Ok(account) = account.parse() else { continue };
        for window in WINDOWS {
            pages.invalidate(&(account, window)).await;
        }
        let sources = ["accounts", "endpoints", "metrics"];
        let source = sources
            .into_iter()
            .find(|source| subject.ends_with(source))
            .unwrap_or("another");
        counter.add(
            1,
            &[
                KeyValue::new("source", source),
                KeyValue::new("result", "applied"),
            ],
        );
    }
}

/// A page expires when its metrics do.
struct HoldsFor;

impl<K> Expiry<K, Arc<Page>> for HoldsFor {
    fn expire_after_create(&self, _: &K, page: &Arc<Page>, _: Instant) -> Option<Duration> {
        Some(page.holds_for)
    }
}
