//! Whatever a caller says, nothing panics and nothing hangs; and what the feed does not know is never taken for fresh.

mod generated;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fresh_cache::{
    Announcement, Audit, Claim, Clock as _, Consistency, EventFragment, FeedOptions, FeedReader, FeedState,
    FeedWriter, Fetched, Fragment, FragmentState, FreshCache, Loader, ManualClock, Outcome, SourceId, feed,
};
use proptest::collection::vec;
use proptest::prelude::*;

use self::generated::{Call, Reply, Setting, Wanted, call, setting};

/// More than any run takes: a case that is not over by then hangs.
const HANGS: Duration = Duration::from_mins(1);

/// A loader that says anything; it even names other fragments each time it is asked.
struct Anything {
    dependencies: Vec<Vec<(SourceId, u64)>>,
    replies: Vec<Reply>,
    turn: AtomicUsize,
}

impl Anything {
    fn next<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.turn.fetch_add(1, Ordering::Relaxed) % all.len()]
    }
}

impl Loader for Anything {
    type Key = u64;
    type Entity = u64;
    type Body = u64;
    type Page = usize;
    type Error = std::io::Error;

    fn dependencies(&self, _key: &u64) -> Vec<(SourceId, u64)> {
        self.next(&self.dependencies).clone()
    }

    async fn fetch(
        &self,
        _key: &u64,
        _source: SourceId,
        _entity: &u64,
        _known: Option<&Fragment<u64>>,
    ) -> Result<Fetched<u64>, std::io::Error> {
        match *self.next(&self.replies) {
            Reply::New(version, valid_for) => Ok(Fetched::New {
                version,
                claim: Some(Claim::default()),
                body: version.revision,
                valid_for,
            }),
            Reply::NotModified(valid_for) => Ok(Fetched::NotModified {
                claim: Some(Claim::default()),
                valid_for,
            }),
            Reply::Failure => Err(std::io::Error::other("out of order")),
            Reply::Panic => std::panic::resume_unwind(Box::new("the source's client panicked")),
        }
    }

    fn compose(&self, _key: &u64, fragments: &[FragmentState<u64>]) -> usize {
        fragments.len()
    }

    fn weight(&self, page: &usize) -> u32 {
        u32::try_from(*page).unwrap_or(u32::MAX)
    }

    fn pages_of(&self, _source: SourceId, entity: &u64) -> Vec<u64> {
        vec![*entity, *entity / 2]
    }

    fn read_event(&self, _key: &u64, _source: SourceId, _entity: &u64, event: &EventFragment) -> Option<u64> {
        Some(event.version.revision)
    }
}

/// A feed and a cache over it, made as a setting says.
struct Stage {
    sources: usize,
    clock: ManualClock,
    feed: FeedReader<u64>,
    writer: FeedWriter<u64>,
    cache: FreshCache<Anything>,
}

impl Stage {
    fn new(setting: Setting) -> Self {
        let clock = ManualClock::at(setting.now);
        let options = FeedOptions {
            clock: Arc::new(clock.clone()),
            ..setting.feed
        };
        let (feed, writer) = feed::channel(setting.sources, options);
        let loader = Anything {
            dependencies: setting.dependencies,
            replies: setting.replies,
            turn: AtomicUsize::new(0),
        };
        let cache = FreshCache::new(loader, feed.clone(), setting.cache);
        let refreshing = cache.clone();
        tokio::spawn(async move { refreshing.refresh().await });
        Self {
            sources: setting.sources.min(FeedState::MAX_SOURCES),
            clock,
            feed,
            writer,
            cache,
        }
    }

    async fn make(&mut self, call: Call) {
        match call {
            Call::Changed(source, entity) => {
                let position = self.writer.changed(source, &entity);
                assert_eq!(self.feed.position(), position);
            }
            Call::Deleted(source, entity) => {
                let position = self.writer.deleted(source, &entity);
                assert_eq!(self.feed.position(), position);
            }
            Call::Lost(source) => self.writer.lost(source),
            Call::Replaced(source) => self.writer.replaced(source),
            Call::LostAll => self.writer.lost_all(),
            Call::Watermark(source, until) => self.writer.watermark(source, until),
            Call::Read(key, wanted) => self.read(key, &wanted).await,
            Call::Announce(announcement) => {
                let position = self.feed.position();
                self.cache.announce(Announcement {
                    position,
                    ..announcement
                });
            }
            Call::Remember(source, entity, carried) => self.cache.remember(source, entity, carried),
            Call::ForgetRemembered(source, entity) => self.cache.forget_remembered(source, entity),
            Call::Forget(key) => self.cache.evict(&key),
            Call::Audit(key) => {
                if let Audit::Mismatch(mismatch) = self.cache.audit(&key).await {
                    self.cache.audit_again(mismatch).await;
                }
            }
            Call::Sample(count) => assert!(self.cache.sample(count).len() <= count),
            Call::Look(source) => self.look(source),
            Call::Advance(duration) => self.clock.advance(duration),
            Call::Step(now) => self.clock.step_to(now),
        }
    }

    async fn read(&self, key: u64, wanted: &Wanted) {
        let answer = match wanted {
            Wanted::Any => self.cache.read(&key, Consistency::MinimizeLatency).await,
            Wanted::Full(known) => self.cache.read(&key, Consistency::FullyConsistent(known)).await,
            Wanted::AtLeast(known) => self.cache.read(&key, Consistency::AtLeastAsFresh(known)).await,
        };
        assert!(answer.fresh_as_of <= self.clock.now(), "{answer:?}");
        let shown = answer.page.fragments().iter().filter_map(FragmentState::fragment);
        let mut unknown = shown.filter(|fragment| fragment.source.0 >= self.sources);
        if answer.outcome == Outcome::Hit && !self.heeds_no_event() {
            let degraded = answer.degraded().count() > 0;
            assert!(unknown.next().is_none() || degraded, "{answer:?}");
        }
    }

    /// Whether pages are shown by their age alone.
    fn heeds_no_event(&self) -> bool {
        format!("{:?}", self.cache).contains("Ttl(")
    }

    fn look(&self, source: SourceId) {
        let (trusted, watermark) = (self.feed.trusted(source), self.feed.watermark(source));
        if source.0 >= self.sources {
            assert!(!trusted && watermark.is_none());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_call_panics_and_none_hangs(setting in setting(), calls in vec(call(), 0..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let calls = async {
                let mut stage = Stage::new(setting);
                for call in calls {
                    stage.make(call).await;
                }
            };
            tokio::time::timeout(HANGS, calls).await.expect("a call hangs");
        });
    }
}
