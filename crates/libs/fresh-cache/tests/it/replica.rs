//! A feed that the test writes, a clock that the test moves, and a cache over two sources in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fresh_cache::{
    Announcement, Answer, CacheOptions, Claim, Clock as _, Consistency, EventFragment, FeedOptions,
    FeedReader, FeedWriter, FreshCache, ManualClock, Moment, Position, ReadOptions, RefreshOptions,
    RefreshScope, SourceId, Strategy, Version, feed,
};

use crate::held_sources::{HeldSources, Pages, Request};

pub(crate) const ACCOUNTS: SourceId = SourceId(0);
pub(crate) const METRICS: SourceId = SourceId(1);
pub(crate) const PAGE: u64 = 42;
pub(crate) const TICK: Duration = Duration::from_millis(1);

pub(crate) type Reading = Pin<Box<dyn Future<Output = Answer<Pages>> + Send>>;

/// Everything a test needs.
pub(crate) struct Replica {
    pub(crate) clock: ManualClock,
    pub(crate) feed: FeedReader<u64>,
    pub(crate) writer: FeedWriter<u64>,
    pub(crate) sources: Arc<HeldSources>,
    pub(crate) cache: FreshCache<Pages>,
}

impl Replica {
    /// Sources that failed are asked again by the next reader: what that spares them is tested by itself.
    pub(crate) fn new() -> Self {
        Self::with(CacheOptions {
            retry_after: Duration::ZERO,
            ..CacheOptions::default()
        })
    }

    pub(crate) fn with(options: CacheOptions) -> Self {
        let mut replica = Self::silent(options);
        replica.apply_watermarks();
        replica
    }

    pub(crate) fn of(strategy: Strategy) -> Self {
        Self::with(CacheOptions {
            strategy,
            retry_after: Duration::ZERO,
            ..CacheOptions::default()
        })
    }

    /// A cache that refreshes these pages, with its task running, which ends with the test's runtime.
    pub(crate) fn refreshing(scope: RefreshScope) -> Self {
        Self::refreshing_within(RefreshOptions {
            scope,
            ..RefreshOptions::default()
        })
    }

    pub(crate) fn refreshing_within(refresh: RefreshOptions) -> Self {
        let replica = Self::with(CacheOptions {
            strategy: Strategy::Prepopulate,
            retry_after: Duration::ZERO,
            refresh,
            ..CacheOptions::default()
        });
        replica.start_refreshing();
        replica
    }

    /// The same, and the page was read.
    pub(crate) async fn refreshing_read(scope: RefreshScope) -> Self {
        let replica = Self::refreshing(scope);
        replica.read().await;
        replica.sources.take_requests();
        replica
    }

    /// A replica that has not received anything yet.
    pub(crate) fn silent(options: CacheOptions) -> Self {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        let (feed, writer) = feed::channel(
            2,
            FeedOptions {
                clock: Arc::new(clock.clone()),
                ..FeedOptions::default()
            },
        );
        let sources = Arc::new(HeldSources::new());
        let cache = FreshCache::new(Pages(Arc::clone(&sources)), feed.clone(), options);
        Self {
            clock,
            feed,
            writer,
            sources,
            cache,
        }
    }

    pub(crate) fn clock_now(&self) -> Moment {
        self.clock.now()
    }

    /// Both sources say that everything was published. A test that holds back an event must not call it.
    pub(crate) fn apply_watermarks(&mut self) {
        let now = self.clock.now();
        self.writer.watermark(ACCOUNTS, now);
        self.writer.watermark(METRICS, now);
    }

    /// Changes an entity and lets the replica apply its event.
    pub(crate) fn change(&mut self, source: SourceId) {
        self.sources.mutate(source, PAGE);
        self.writer.changed(source, &PAGE);
    }

    /// What an event of this page would carry now.
    pub(crate) fn event_fragment(&self, source: SourceId) -> EventFragment {
        let version = self.sources.version(source, PAGE);
        event_fragment(version, self.clock.now())
    }

    /// Tells the cache of an event that was applied.
    pub(crate) fn announce(&self, source: SourceId, position: Position, fragment: Option<EventFragment>) {
        self.cache.announce(Announcement {
            source,
            entity: PAGE,
            position,
            fragment,
        });
    }

    /// Changes the page's entity; the replica is told by an event that carries the source's new answer.
    pub(crate) fn change_with_fragment(&mut self, source: SourceId) {
        self.sources.mutate(source, PAGE);
        let position = self.writer.changed(source, &PAGE);
        self.announce(source, position, Some(self.event_fragment(source)));
    }

    /// Changes an entity; the replica is told by an event that says no more than that.
    pub(crate) fn change_announced(&mut self, source: SourceId, entity: u64) {
        self.sources.mutate(source, entity);
        let position = self.writer.changed(source, &entity);
        self.cache.announce(Announcement {
            source,
            entity,
            position,
            fragment: None,
        });
    }

    /// Starts the task that pre-populates.
    pub(crate) fn start_refreshing(&self) {
        let cache = self.cache.clone();
        tokio::spawn(async move { cache.refresh().await });
    }

    /// Lets every task do what it can do without the test.
    pub(crate) async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass on a living feed.
    pub(crate) fn live(&mut self, duration: Duration) {
        self.clock.advance(duration);
        self.apply_watermarks();
    }

    /// A read that has not begun.
    pub(crate) fn reading(&self, consistency: Consistency<'static, u64>) -> Reading {
        let cache = self.cache.clone();
        Box::pin(async move { cache.read(&PAGE, consistency).await })
    }

    /// A read that waits for a load.
    pub(crate) async fn waiting(&self, consistency: Consistency<'static, u64>) -> Reading {
        let mut reading = self.reading(consistency);
        assert!(futures::poll!(&mut reading).is_pending(), "it was to wait");
        reading
    }

    /// Reads that wait for a load, in the order in which they arrived.
    pub(crate) async fn many_waiting(&self, count: usize) -> Vec<Reading> {
        let mut readings = Vec::new();
        for _ in 0..count {
            readings.push(self.waiting(Consistency::MinimizeLatency).await);
        }
        readings
    }

    /// A read by a reader who waits this long at most.
    pub(crate) async fn read_within(
        &self,
        max_wait: Duration,
        consistency: Consistency<'_, u64>,
    ) -> Answer<Pages> {
        let options = ReadOptions {
            max_wait: Some(max_wait),
            ..consistency.into()
        };
        self.cache.read(&PAGE, options).await
    }

    /// What a reader asks for who accepts a page of this age.
    pub(crate) fn aged(max_age: Duration) -> ReadOptions<'static, u64> {
        ReadOptions {
            max_age: Some(max_age),
            ..ReadOptions::default()
        }
    }

    pub(crate) async fn read(&self) -> Answer<Pages> {
        self.reading(Consistency::MinimizeLatency).await
    }

    /// Waits until no load is in flight.
    pub(crate) async fn loaded(&self) {
        while self.cache.loads_in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// The revision of one source that an answer shows.
pub(crate) fn revision(answer: &Answer<Pages>, source: SourceId) -> Option<u64> {
    answer.page.content()[source.0]
}

/// The version of one source that an answer shows.
pub(crate) fn shown_version(answer: &Answer<Pages>, source: SourceId) -> Option<Version> {
    let fragment = answer.page.fragments()[source.0].fragment()?;
    Some(fragment.version)
}

/// The version with this revision, in the incarnation that sources begin with.
pub(crate) const fn version(revision: u64) -> Version {
    Version {
        incarnation: 1,
        revision,
        nonce: 0,
    }
}

/// A fragment as an event carries it.
pub(crate) fn event_fragment(version: Version, committed: Moment) -> EventFragment {
    EventFragment {
        version,
        claim: Some(Claim::default()),
        data: Bytes::from_static(b"readable"),
        committed,
    }
}

/// A conditional request.
pub(crate) const fn asked_about(source: SourceId, revision: u64) -> Request {
    Request {
        source,
        known: Some(revision),
    }
}

/// A request for a full answer.
pub(crate) const fn asked_in_full(source: SourceId) -> Request {
    Request { source, known: None }
}
