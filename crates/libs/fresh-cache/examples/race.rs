//! A fill that its event outruns: the same rounds played to the cache as it is usually written, and to this one.
//!
//! `cargo run -p fresh-cache --example race`
//!
//! Time is simulated, so every run prints the same. In each round a reader finds nothing and begins a fill, which the source
//! answers after 10 ms and whose answer arrives after 20. A write comes in between, at another millisecond in each round.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fresh_cache::{
    CacheOptions, Claim, Clock, Consistency, FeedOptions, FeedWriter, Fetched, Fragment, FragmentState,
    FreshCache, Loader, Moment, SourceId, Version, feed,
};
use moka::future::Cache;
use tokio::time::{Instant, sleep};

const SOURCE: SourceId = SourceId(0);
const ROUNDS: u64 = 1_000;
/// How long a request takes to the source; its answer takes as long again.
const WAY: Duration = Duration::from_millis(10);
/// From a commit to the event.
const EVENT: Duration = Duration::from_millis(1);
/// The write comes at a moment below this, counted from the first reader.
const MOMENTS: u64 = 40;
const LATER: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    println!("{ROUNDS} rounds of one fill and one write\n");
    println!("| cache                      | stale after the event | stale 10 s later | requests |");
    println!("| -------------------------- | --------------------: | ---------------: | -------: |");
    let usual = Usual::default();
    let tally = play(&usual, &usual.source).await;
    report("`get_with` + `invalidate`", &tally, &usual.source);
    let fenced = Fenced::new();
    let tally = play(&fenced, &fenced.source).await;
    report("`fresh-cache`", &tally, &fenced.source);
}

fn report(name: &str, tally: &Tally, source: &Source) {
    println!(
        "| {name:26} | {:21} | {:16} | {:8} |",
        tally.after_the_event,
        tally.later,
        source.lock().requests
    );
}

/// A cache of one revision per page.
trait Shown: Clone + Send + Sync + 'static {
    fn read(&self, page: u64) -> impl Future<Output = u64> + Send;
    fn apply(&self, page: u64) -> impl Future<Output = ()> + Send;
}

/// How many rounds ended with a reader who came after the event and got what was true before it.
#[derive(Debug, Default)]
struct Tally {
    after_the_event: u64,
    later: u64,
}

async fn play(cache: &impl Shown, source: &Source) -> Tally {
    let mut tally = Tally::default();
    for page in 0..ROUNDS {
        let first = tokio::spawn({
            let cache = cache.clone();
            async move { cache.read(page).await }
        });
        sleep(Duration::from_millis(page % MOMENTS)).await;
        let written = source.write(page);
        sleep(EVENT).await;
        cache.apply(page).await;
        tally.after_the_event += u64::from(cache.read(page).await < written);
        sleep(LATER).await;
        tally.later += u64::from(cache.read(page).await < written);
        first.await.expect("a reader is not cancelled");
    }
    tally
}

/// What everybody writes: `get_with` to fill, `invalidate` when the event comes.
#[derive(Clone)]
struct Usual {
    source: Source,
    pages: Cache<u64, u64>,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            source: Source::default(),
            pages: Cache::new(10_000),
        }
    }
}

impl Shown for Usual {
    async fn read(&self, page: u64) -> u64 {
        self.pages.get_with(page, self.source.ask(page)).await
    }

    async fn apply(&self, page: u64) {
        self.pages.invalidate(&page).await;
    }
}

/// The same with fences.
#[derive(Clone)]
struct Fenced {
    source: Source,
    pages: FreshCache<Pages>,
    writer: Arc<Mutex<FeedWriter<u64>>>,
}

impl Fenced {
    fn new() -> Self {
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
        Self {
            pages: FreshCache::new(Pages(source.clone()), feed, CacheOptions::default()),
            source,
            writer,
        }
    }
}

impl Shown for Fenced {
    async fn read(&self, page: u64) -> u64 {
        *self
            .pages
            .read(&page, Consistency::MinimizeLatency)
            .await
            .page
            .content()
    }

    async fn apply(&self, page: u64) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.changed(SOURCE, &page);
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

    fn write(&self, page: u64) -> u64 {
        let mut data = self.lock();
        let revision = data.revisions.entry(page).or_default();
        *revision += 1;
        *revision
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
