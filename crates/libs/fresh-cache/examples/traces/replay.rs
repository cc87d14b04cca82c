//! The replay: a trace's keys are the pages of one source, its writes are changes there, and time is simulated.
//!
//! A write is committed, applied and, where the strategy refreshes, refreshed before the next request: what is counted is
//! what a strategy decides, not how fast a machine is. Requests of one second are told apart by their order alone.

use std::fs::File;
use std::str::FromStr;
use std::time::Duration;

use flate2::read::GzDecoder;
use fresh_cache::{
    Announcement, CacheOptions, Clock as _, Consistency, FeedWriter, FreshCache, ManualClock, Outcome,
    RefreshOptions, RefreshScope, SourceId, Strategy,
};

use crate::dated::{self, Source};
use crate::pages::Pages;

/// 88 minutes of a production cache at Twitter: few writes, inferred.
pub(crate) const TWITTER: &str = "twitter52_keys00_88min";
/// An hour of a disk: more writes than reads.
pub(crate) const CLOUDPHYSICS: &str = "cloudphysics_hour1";

const SOURCE: SourceId = SourceId(0);
const BETWEEN_WATERMARKS: Duration = Duration::from_millis(250);

/// A recorded workload.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) requests: Vec<Request>,
}

/// One line of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    at: Duration,
    key: u64,
    pub(crate) write: bool,
}

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) reads: usize,
    pub(crate) hits: usize,
    /// Answers that lack a write which came before them in the trace.
    pub(crate) stale: usize,
    /// Answers that lack a write from before the date that they tell.
    pub(crate) false_dates: usize,
    /// The age of the oldest date that was told.
    pub(crate) oldest: Duration,
    pub(crate) renders: u64,
    pub(crate) fetches: u64,
    /// Refreshes that were replaced before anybody read them.
    pub(crate) wasted: u64,
}

impl Trace {
    /// Reads a trace of the project's data.
    pub(crate) fn read(name: &str) -> Self {
        let path = format!(
            "{}/../../../data/traces/{name}.csv.gz",
            env!("CARGO_MANIFEST_DIR")
        );
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut rows = csv::Reader::from_reader(GzDecoder::new(file));
        let requests = rows
            .records()
            .map(|row| Request::parse(&row.expect("the file is whole")));
        Self {
            requests: requests.collect(),
        }
    }
}

impl Request {
    fn parse(row: &csv::StringRecord) -> Self {
        Self {
            at: Duration::from_secs_f64(number(&row[0])),
            key: number(&row[1]),
            write: &row[2] == "w",
        }
    }
}

fn number<N: FromStr>(field: &str) -> N {
    field
        .parse()
        .unwrap_or_else(|_| panic!("{field:?} stands where a number belongs"))
}

impl Tally {
    pub(crate) fn hit_percent(&self) -> f64 {
        percent(self.hits, self.reads)
    }
}

/// How many of a hundred.
#[expect(
    clippy::cast_precision_loss,
    reason = "a trace is shorter than a float is precise"
)]
pub(crate) fn percent(count: usize, whole: usize) -> f64 {
    100.0 * count as f64 / whole as f64
}

/// Replays a trace on a new cache; `refresh` says which pages an event refreshes, where the strategy does that at all.
pub(crate) fn replay(trace: &Trace, strategy: Strategy, refresh: RefreshScope) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime of one thread needs nothing");
    runtime.block_on(Replica::new(strategy, refresh).replay(trace))
}

/// A cache over the feed of one source.
struct Replica {
    clock: ManualClock,
    /// Since the trace began.
    time: Duration,
    next_watermark: Duration,
    source: Source,
    writer: FeedWriter<u64>,
    cache: FreshCache<Pages>,
    tally: Tally,
}

impl Replica {
    fn new(strategy: Strategy, refresh: RefreshScope) -> Self {
        let (clock, feed, writer) = dated::channel();
        let source = Source::default();
        let asked = source.clone();
        let pages = Pages::new(move |page| std::future::ready(asked.revision(page)));
        let options = CacheOptions {
            strategy,
            refresh: RefreshOptions {
                scope: refresh,
                ..RefreshOptions::default()
            },
            ..CacheOptions::default()
        };
        Self {
            clock,
            time: Duration::ZERO,
            next_watermark: Duration::ZERO,
            cache: FreshCache::new(pages, feed, options),
            source,
            writer,
            tally: Tally::default(),
        }
    }

    async fn replay(mut self, trace: &Trace) -> Tally {
        let cache = self.cache.clone();
        let refreshing = tokio::spawn(async move { cache.refresh().await });
        for request in &trace.requests {
            self.live_until(request.at);
            if request.write {
                self.write(request.key).await;
            } else {
                self.read(request.key).await;
            }
        }
        refreshing.abort();
        let stats = self.cache.stats();
        Tally {
            renders: stats.compositions.get(),
            fetches: stats.fetches.get(),
            wasted: stats.refreshes_wasted.get(),
            ..self.tally
        }
    }

    /// Lets time pass on a living feed.
    fn live_until(&mut self, at: Duration) {
        while self.next_watermark <= at {
            self.advance_to(self.next_watermark);
            self.writer.watermark(SOURCE, self.clock.now());
            self.next_watermark += BETWEEN_WATERMARKS;
        }
        self.advance_to(at);
    }

    fn advance_to(&mut self, time: Duration) {
        self.clock.advance(time.saturating_sub(self.time));
        self.time = time;
    }

    async fn write(&mut self, key: u64) {
        self.source.commit(key, self.clock.now());
        let position = self.writer.changed(SOURCE, &key);
        self.cache.announce(Announcement {
            source: SOURCE,
            entity: key,
            position,
            fragment: None,
        });
        // The runtime's time is paused: it passes only when every task, the refresh too, waits for something.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn read(&mut self, key: u64) {
        let answer = self.cache.read(&key, Consistency::MinimizeLatency).await;
        let tally = &mut self.tally;
        tally.reads += 1;
        tally.hits += usize::from(answer.outcome == Outcome::Hit);
        let shown = *answer.page.content();
        if let Some(unseen) = self.source.first_after(key, shown) {
            tally.stale += 1;
            tally.false_dates += usize::from(unseen < answer.fresh_as_of);
        }
        let age = self.clock.now().saturating_since(answer.fresh_as_of);
        tally.oldest = tally.oldest.max(age);
    }
}
