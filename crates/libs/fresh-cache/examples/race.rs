//! A fill that its event outruns: the same rounds played to the cache as it is usually written, and to this one.
//!
//! `cargo run -p fresh-cache --example race`
//!
//! Time is simulated, so every run prints the same. In each round a reader finds nothing and begins a fill, which the source
//! answers after 10 ms and whose answer arrives after 20. A write comes in between, at another millisecond in each round.

#[path = "shared/pages.rs"]
mod pages;
#[path = "shared/slow.rs"]
mod slow;

use std::time::Duration;

use fresh_cache::{CacheOptions, Consistency, FreshCache};
use moka::future::Cache;
use pages::Pages;
use slow::{SOURCE, Source, Writer};
use tokio::time::sleep;

const ROUNDS: u64 = 1_000;
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
        source.requests()
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
        self.pages.get_with(page, self.source.clone().ask(page)).await
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
    writer: Writer,
}

impl Fenced {
    fn new() -> Self {
        let source = Source::default();
        let (feed, writer) = Writer::start();
        let asked = source.clone();
        let pages = Pages::new(move |page| asked.clone().ask(page));
        Self {
            pages: FreshCache::new(pages, feed, CacheOptions::default()),
            source,
            writer,
        }
    }
}

impl Shown for Fenced {
    async fn read(&self, page: u64) -> u64 {
        let answer = self.pages.read(&page, Consistency::MinimizeLatency).await;
        *answer.page.content()
    }

    async fn apply(&self, page: u64) {
        self.writer.lock().changed(SOURCE, &page);
    }
}
