//! What the task that applies the feed spends on an event: the same, whatever is resident.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::Ordering;

use divan::{Bencher, black_box};
use fresh_cache::{Announcement, FeedOptions, FeedWriter, FreshCache, SourceId, Strategy, feed};
use tokio::runtime::Builder;

use crate::pages::{Pages, SOURCES, fill};

/// Events are of these many accounts, whether they have pages or not: the same fences are touched in every line.
const ACCOUNTS: u64 = 1_000_000;

const RESIDENT: [Filled; 5] = [
    Filled::with(1, 1),
    Filled::with(1_000, 1),
    Filled::with(1_000_000, 1),
    Filled::with(10, 100),
    Filled::with(10_000, 100),
];

/// How many pages are resident.
#[derive(Clone, Copy)]
struct Filled {
    accounts: u64,
    variants: u8,
}

impl Filled {
    const fn with(accounts: u64, variants: u8) -> Self {
        Self { accounts, variants }
    }
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, variants } = self;
        write!(f, "{accounts} accounts, {variants} variants")
    }
}

/// A replica that applies events.
struct Replica {
    pages: Pages,
    cache: FreshCache<Pages>,
    writer: FeedWriter<u64>,
}

impl Replica {
    fn new(Filled { accounts, variants }: Filled) -> Self {
        let (feed, mut writer) = feed::channel(SOURCES, FeedOptions::default());
        writer.lost_all();
        let pages = Pages::new(SOURCES, variants);
        let cache = pages.cache(Strategy::Prepopulate, feed.clone());
        fill(&cache, pages.keys(accounts));
        Self { pages, cache, writer }
    }
}

/// The accounts that events are of, one after the other, in no order.
struct Events(u64);

impl Events {
    fn next_account(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 32) % ACCOUNTS
    }
}

/// Waits until so many events were looked at.
async fn looked_at(pages: &Pages, events: u64) {
    while pages.looked_at.load(Ordering::Relaxed) < events {
        tokio::task::yield_now().await;
    }
}

#[divan::bench(sample_size = 1000, sample_count = 200, args = RESIDENT)]
fn changed(bencher: Bencher<'_, '_>, filled: Filled) {
    let mut replica = Replica::new(filled);
    let mut events = Events(1);
    bencher.bench_local(|| {
        replica
            .writer
            .changed(SourceId(0), &black_box(events.next_account()))
    });
}

/// What pre-populating adds: the event is handed to another task. That one's work is done before the next sample.
#[divan::bench(sample_size = 1000, sample_count = 50, args = RESIDENT)]
fn announced(bencher: Bencher<'_, '_>, filled: Filled) {
    let Replica {
        pages,
        cache,
        mut writer,
    } = Replica::new(filled);
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime needs nothing here");
    let refreshing = cache.clone();
    runtime.spawn(async move { refreshing.refresh().await });
    let mut events = Events(1);
    let announced = Cell::new(0);
    bencher
        .with_inputs(|| {
            runtime.block_on(looked_at(&pages, announced.get()));
            let entity = events.next_account();
            let position = writer.changed(SourceId(0), &entity);
            Announcement {
                source: SourceId(0),
                entity,
                position,
                fragment: None,
            }
        })
        .bench_local_values(|announcement| {
            announced.set(announced.get() + 1);
            cache.announce(announcement);
        });
}
