//! A burst of samples, and a cache that is refreshed by each of them, or by the latest.
//!
//! `cargo run -p fresh-cache --example burst`
//!
//! Time is simulated, so every run prints the same. A thousand changes of one page come within a second, and then one of
//! another page. Composing takes 20 ms. Both pages are read all the time.

#[path = "shared/pages.rs"]
mod pages;
#[path = "shared/slow.rs"]
mod slow;

use std::time::Duration;

use fresh_cache::{Announcement, CacheOptions, Consistency, FreshCache, Strategy};
use moka::future::Cache;
use pages::Pages;
use slow::{SOURCE, Source, Writer};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const BURST: u32 = 1_000;
const BETWEEN_EVENTS: Duration = Duration::from_millis(1);
const BETWEEN_READS: Duration = Duration::from_millis(10);
const BUSY_PAGE: u64 = 0;
const OTHER_PAGE: u64 = 1;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("{BURST} changes of one page within a second, then one of another page\n");
    println!(
        "| refreshed by     | pages composed | last change shows after | the other page's after | slowest read |"
    );
    println!(
        "| ---------------- | -------------: | ----------------------: | ---------------------: | -----------: |"
    );
    let (usual, source) = PerEvent::start();
    report("every event", &play(&usual, &source).await, &source);
    let (latest, source) = Latest::start();
    report("the latest event", &play(&latest, &source).await, &source);
}

fn report(name: &str, [busy, other]: &[Seen; 2], source: &Source) {
    println!(
        "| {name:16} | {:14} | {:20} ms | {:19} ms | {:9} ms |",
        source.requests(),
        busy.shown_after.as_millis(),
        other.shown_after.as_millis(),
        busy.slowest.max(other.slowest).as_millis(),
    );
}

/// A cache of one revision per page.
trait Shown: Clone + Send + Sync + 'static {
    fn read(&self, page: u64) -> impl Future<Output = u64> + Send;
    fn apply(&self, page: u64);
}

/// What the reader of a page saw.
#[derive(Debug)]
struct Seen {
    /// From the last write of that page to the first answer that showed it.
    shown_after: Duration,
    slowest: Duration,
}

async fn play(cache: &impl Shown, source: &Source) -> [Seen; 2] {
    cache.read(BUSY_PAGE).await;
    cache.read(OTHER_PAGE).await;
    let end = Instant::now() + BETWEEN_EVENTS * BURST;
    let busy = tokio::spawn(watch(cache.clone(), BUSY_PAGE, u64::from(BURST), end));
    let other = tokio::spawn(watch(cache.clone(), OTHER_PAGE, 1, end));
    for _ in 0..BURST {
        sleep(BETWEEN_EVENTS).await;
        source.write(BUSY_PAGE);
        cache.apply(BUSY_PAGE);
    }
    source.write(OTHER_PAGE);
    cache.apply(OTHER_PAGE);
    let ended = "a reader is not cancelled";
    [busy.await.expect(ended), other.await.expect(ended)]
}

/// Reads a page again and again, until it shows the last revision.
async fn watch(cache: impl Shown, page: u64, last: u64, written: Instant) -> Seen {
    let mut slowest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let shown = cache.read(page).await;
        slowest = slowest.max(asked.elapsed());
        if shown == last {
            return Seen {
                shown_after: written.elapsed(),
                slowest,
            };
        }
        sleep(BETWEEN_READS).await;
    }
}

/// What is usually written: for each event, in their order, compose the page and put it into the cache.
#[derive(Clone)]
struct PerEvent {
    source: Source,
    pages: Cache<u64, u64>,
    events: mpsc::UnboundedSender<u64>,
}

impl PerEvent {
    fn start() -> (Self, Source) {
        let source = Source::default();
        let (events, mut received) = mpsc::unbounded_channel();
        let cache = Self {
            source: source.clone(),
            pages: Cache::new(10_000),
            events,
        };
        let (pages, asked) = (cache.pages.clone(), source.clone());
        tokio::spawn(async move {
            while let Some(page) = received.recv().await {
                let composed = asked.clone().ask(page).await;
                pages.insert(page, composed).await;
            }
        });
        (cache, source)
    }
}

impl Shown for PerEvent {
    async fn read(&self, page: u64) -> u64 {
        self.pages.get_with(page, self.source.clone().ask(page)).await
    }

    fn apply(&self, page: u64) {
        self.events
            .send(page)
            .expect("its task listens as long as there is a cache");
    }
}

/// Events raise fences at once; of the refreshes that wait, the newest takes the place of the others.
#[derive(Clone)]
struct Latest {
    pages: FreshCache<Pages>,
    writer: Writer,
}

impl Latest {
    fn start() -> (Self, Source) {
        let source = Source::default();
        let (feed, writer) = Writer::start();
        let options = CacheOptions {
            strategy: Strategy::Prepopulate,
            ..CacheOptions::default()
        };
        let asked = source.clone();
        let pages = FreshCache::new(Pages::new(move |page| asked.clone().ask(page)), feed, options);
        let refreshed = pages.clone();
        tokio::spawn(async move { refreshed.refresh().await });
        (Self { pages, writer }, source)
    }
}

impl Shown for Latest {
    async fn read(&self, page: u64) -> u64 {
        let answer = self.pages.read(&page, Consistency::MinimizeLatency).await;
        *answer.page.content()
    }

    fn apply(&self, page: u64) {
        let position = self.writer.lock().changed(SOURCE, &page);
        self.pages.announce(Announcement {
            source: SOURCE,
            entity: page,
            position,
            fragment: None,
        });
    }
}
