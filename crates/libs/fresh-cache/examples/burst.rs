//! A burst of samples, and a cache that is refreshed by each of them, or by the latest.
//!
//! `cargo run -p fresh-cache --example burst`
//!
//! Time is simulated, so every run prints the same. A thousand changes of one page come within a second, and then one of
//! another page. Composing takes 20 ms. Both pages are read all the time.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fresh_cache::{
    Announcement, CacheOptions, Claim, Clock, Consistency, FeedOptions, FeedWriter, Fetched, Fragment,
    FragmentState, FreshCache, Loader, Moment, SourceId, Strategy, Version, feed,
};
use moka::future::Cache;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const SOURCE: SourceId = SourceId(0);
const BURST: u32 = 1_000;
const BETWEEN_EVENTS: Duration = Duration::from_millis(1);
/// How long a request takes to the source; its answer takes as long again.
const WAY: Duration = Duration::from_millis(10);
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
        source.lock().requests,
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
                let composed = asked.ask(page).await;
                pages.insert(page, composed).await;
            }
        });
        (cache, source)
    }
}

impl Shown for PerEvent {
    async fn read(&self, page: u64) -> u64 {
        self.pages.get_with(page, self.source.ask(page)).await
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
    writer: Arc<Mutex<FeedWriter<u64>>>,
}

impl Latest {
    fn start() -> (Self, Source) {
        let source = Source::default();
        let clock = Simulated(Instant::now());
        let (feed, writer) = feed::channel(
            1,
            FeedOptions {
                clock: Arc::new(clock),
                ..FeedOptions::default()
            },
        );
        let writer = Arc::new(Mutex::new(writer));
        tokio::spawn(live(Arc::clone(&writer), clock));
        let options = CacheOptions {
            strategy: Strategy::Prepopulate,
            ..CacheOptions::default()
        };
        let pages = FreshCache::new(Pages(source.clone()), feed, options);
        let refreshed = pages.clone();
        tokio::spawn(async move { refreshed.refresh().await });
        (Self { pages, writer }, source)
    }
}

impl Shown for Latest {
    async fn read(&self, page: u64) -> u64 {
        *self
            .pages
            .read(&page, Consistency::MinimizeLatency)
            .await
            .page
            .content()
    }

    fn apply(&self, page: u64) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let position = writer.changed(SOURCE, &page);
        drop(writer);
        self.pages.announce(Announcement {
            source: SOURCE,
            entity: page,
            position,
            fragment: None,
        });
    }
}

/// Four times a second the source says that it has published everything.
async fn live(writer: Arc<Mutex<FeedWriter<u64>>>, clock: Simulated) {
    loop {
        {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.watermark(SOURCE, clock.now());
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Who owns the data: one revision per page.
#[derive(Clone, Debug, Default)]
struct Source(Arc<Mutex<Data>>);

#[derive(Debug, Default)]
struct Data {
    revisions: HashMap<u64, u64>,
    requests: u64,
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, page: u64) {
        *self.lock().revisions.entry(page).or_default() += 1;
    }

    async fn ask(&self, page: u64) -> u64 {
        sleep(WAY).await;
        let revision = {
            let mut data = self.lock();
            data.requests += 1;
            data.revisions.get(&page).copied().unwrap_or(0)
        };
        sleep(WAY).await;
        revision
    }
}

/// Pages of one fragment, which show its revision.
struct Pages(Source);

impl Loader for Pages {
    type Key = u64;
    type Entity = u64;
    type Body = u64;
    type Page = u64;
    type Error = Infallible;

    fn dependencies(&self, page: &u64) -> Vec<(SourceId, u64)> {
        vec![(SOURCE, *page)]
    }

    async fn fetch(
        &self,
        page: &u64,
        _source: SourceId,
        _entity: &u64,
        known: Option<&Fragment<u64>>,
    ) -> Result<Fetched<u64>, Infallible> {
        let revision = self.0.ask(*page).await;
        if known.is_some_and(|fragment| fragment.body == revision) {
            return Ok(Fetched::NotModified {
                claim: Some(Claim::default()),
                valid_for: None,
            });
        }
        let version = Version {
            incarnation: 1,
            revision,
            nonce: 0,
        };
        Ok(Fetched::New {
            version,
            claim: Some(Claim::default()),
            body: revision,
            valid_for: None,
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

/// The runtime's own time, which is simulated.
#[derive(Clone, Copy, Debug)]
struct Simulated(Instant);

impl Clock for Simulated {
    fn now(&self) -> Moment {
        Moment::from_micros(1_700_000_000_000_000).saturating_add(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_hours(1) + self.0.elapsed()
    }
}
