//! A feed that the test speaks for, a clock that the test moves, and a cache over two sources in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fresh_cache::{
    Announcement, Answer, CacheOptions, Carried, Claim, Clock, Demand, FreshCache, Hearing, Ledger,
    LedgerOptions, ManualClock, Moment, Position, Refresh, RefreshOptions, SourceId, Strategy, Version,
};

use crate::held_sources::{Pages, Request, World};

pub(crate) const ACCOUNTS: SourceId = SourceId(0);
pub(crate) const METRICS: SourceId = SourceId(1);
pub(crate) const PAGE: u64 = 42;
pub(crate) const TICK: Duration = Duration::from_millis(1);

pub(crate) type Reading = Pin<Box<dyn Future<Output = Answer<Pages>> + Send>>;

/// Everything a test needs.
pub(crate) struct Rig {
    pub(crate) clock: ManualClock,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) hearing: Hearing,
    pub(crate) world: Arc<World>,
    pub(crate) cache: FreshCache<Pages>,
}

impl Rig {
    /// Sources that failed are asked again by the next reader: what that spares them is tested by itself.
    pub(crate) fn new() -> Self {
        Self::with(CacheOptions {
            retry_after: Duration::ZERO,
            ..CacheOptions::default()
        })
    }

    pub(crate) fn with(options: CacheOptions) -> Self {
        let mut rig = Self::deaf(options);
        rig.hear_watermarks();
        rig
    }

    pub(crate) fn of(strategy: Strategy) -> Self {
        Self::with(CacheOptions {
            strategy,
            retry_after: Duration::ZERO,
            ..CacheOptions::default()
        })
    }

    /// A cache that refreshes these pages, with its task running, which ends with the test's runtime.
    pub(crate) fn refreshing(of: Refresh) -> Self {
        Self::refreshing_within(RefreshOptions {
            of,
            ..RefreshOptions::default()
        })
    }

    pub(crate) fn refreshing_within(refresh: RefreshOptions) -> Self {
        let rig = Self::with(CacheOptions {
            strategy: Strategy::Prepopulate,
            retry_after: Duration::ZERO,
            refresh,
            ..CacheOptions::default()
        });
        rig.start_refreshing();
        rig
    }

    /// The same, and the page was read.
    pub(crate) async fn refreshing_read(of: Refresh) -> Self {
        let rig = Self::refreshing(of);
        rig.read().await;
        rig.world.take_requests();
        rig
    }

    /// A replica that has not heard of anybody yet.
    pub(crate) fn deaf(options: CacheOptions) -> Self {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        let (ledger, hearing) = Ledger::with_clock(2, LedgerOptions::default(), Arc::new(clock.clone()));
        let world = Arc::new(World::new());
        let cache = FreshCache::new(Pages(Arc::clone(&world)), Arc::clone(&ledger), options);
        Self {
            clock,
            ledger,
            hearing,
            world,
            cache,
        }
    }

    pub(crate) fn clock_now(&self) -> Moment {
        self.clock.now()
    }

    /// Both sources say that everything was heard. A test that holds back an event must not call it.
    pub(crate) fn hear_watermarks(&mut self) {
        let now = self.clock.now();
        self.hearing.watermark(ACCOUNTS, now);
        self.hearing.watermark(METRICS, now);
    }

    /// Changes an entity and lets the replica hear of it.
    pub(crate) fn change(&mut self, source: SourceId) {
        self.world.mutate(source, PAGE);
        self.hearing.changed(source, PAGE);
    }

    /// What an event of this page would carry now.
    pub(crate) fn carried(&self, source: SourceId) -> Carried {
        let version = self.world.version(source, PAGE);
        carried(version, self.clock.now())
    }

    /// Tells the cache of an event that was heard.
    pub(crate) fn announce(&self, source: SourceId, position: Position, carried: Option<Carried>) {
        self.cache.announce(Announcement {
            source,
            entity: PAGE,
            position,
            carried,
        });
    }

    /// Changes the page's entity; the replica hears of it by an event that carries the source's new answer.
    pub(crate) fn change_carried(&mut self, source: SourceId) {
        self.world.mutate(source, PAGE);
        let position = self.hearing.changed(source, PAGE);
        self.announce(source, position, Some(self.carried(source)));
    }

    /// Changes an entity; the replica hears of it by an event that says no more than that.
    pub(crate) fn change_announced(&mut self, source: SourceId, entity: u64) {
        self.world.mutate(source, entity);
        let position = self.hearing.changed(source, entity);
        self.cache.announce(Announcement {
            source,
            entity,
            position,
            carried: None,
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
        self.hear_watermarks();
    }

    /// A read that has not begun.
    pub(crate) fn reading(&self, demand: Demand<'static>) -> Reading {
        let cache = self.cache.clone();
        Box::pin(async move { cache.read(&PAGE, demand).await })
    }

    /// A read that waits for a flight.
    pub(crate) async fn waiting(&self, demand: Demand<'static>) -> Reading {
        let mut reading = self.reading(demand);
        assert!(futures::poll!(&mut reading).is_pending(), "it was to wait");
        reading
    }

    /// Reads that wait for a flight, in the order in which they arrived.
    pub(crate) async fn many_waiting(&self, count: usize) -> Vec<Reading> {
        let mut readings = Vec::new();
        for _ in 0..count {
            readings.push(self.waiting(Demand::Any).await);
        }
        readings
    }

    pub(crate) async fn read(&self) -> Answer<Pages> {
        self.reading(Demand::Any).await
    }

    /// Waits until nothing is in the air.
    pub(crate) async fn landed(&self) {
        while self.cache.flights() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// The revision of one source that an answer shows.
pub(crate) fn revision(answer: &Answer<Pages>, source: SourceId) -> Option<u64> {
    answer.entry.page()[source.0]
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
pub(crate) fn carried(version: Version, committed: Moment) -> Carried {
    Carried {
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
