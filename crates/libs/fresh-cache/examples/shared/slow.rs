//! A source that takes its time to answer, and its feed, on the runtime's simulated time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fresh_cache::{Clock, FeedOptions, FeedReader, FeedWriter, Moment, SourceId, feed};
use tokio::time::{Instant, sleep};

pub(crate) const SOURCE: SourceId = SourceId(0);
/// How long a request takes to the source; its answer takes as long again.
const WAY: Duration = Duration::from_millis(10);

/// Who owns the data: one revision per page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source(Arc<Mutex<Data>>);

#[derive(Debug, Default)]
struct Data {
    revisions: HashMap<u64, u64>,
    requests: u64,
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a page; its new revision.
    pub(crate) fn write(&self, page: u64) -> u64 {
        let mut data = self.lock();
        let revision = data.revisions.entry(page).or_default();
        *revision += 1;
        *revision
    }

    /// Asks for a page's revision.
    pub(crate) async fn ask(self, page: u64) -> u64 {
        sleep(WAY).await;
        let revision = {
            let mut data = self.lock();
            data.requests += 1;
            data.revisions.get(&page).copied().unwrap_or(0)
        };
        sleep(WAY).await;
        revision
    }

    /// How often it was asked.
    pub(crate) fn requests(&self) -> u64 {
        self.lock().requests
    }
}

/// What applies the changes of a feed on which the source says four times a second that it has published everything.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Mutex<FeedWriter<u64>>>);

impl Writer {
    /// Starts the feed.
    pub(crate) fn start() -> (FeedReader<u64>, Self) {
        let clock = Simulated(Instant::now());
        let (feed, writer) = feed::channel(
            1,
            FeedOptions {
                clock: Arc::new(clock),
                ..FeedOptions::default()
            },
        );
        let writer = Self(Arc::new(Mutex::new(writer)));
        tokio::spawn(writer.clone().live(clock));
        (feed, writer)
    }

    async fn live(self, clock: Simulated) {
        loop {
            self.lock().watermark(SOURCE, clock.now());
            sleep(Duration::from_millis(250)).await;
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FeedWriter<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
