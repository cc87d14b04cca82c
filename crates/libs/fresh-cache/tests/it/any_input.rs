//! Whatever a caller says, nothing panics and nothing hangs; and what the feed does not know is never taken for fresh.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fresh_cache::{
    Announcement, Audit, CacheOptions, Claim, Clock as _, Consistency, EventFragment, FeedOptions,
    FeedReader, FeedState, FeedWriter, Fetched, Fragment, FragmentState, FreshCache, Loader, ManualClock,
    Moment, Outcome, Position, RefreshOptions, RefreshScope, SourceId, Strategy as Keeping, Token, Version,
    feed,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// More than any run takes: a case that is not over by then hangs.
const HANGS: Duration = Duration::from_mins(1);

#[derive(Clone, Debug)]
enum Call {
    Changed(SourceId, u64),
    Deleted(SourceId, u64),
    Lost(SourceId),
    Replaced(SourceId),
    LostAll,
    Watermark(SourceId, Moment),
    Read(u64, Wanted),
    Announce(Announcement<u64>),
    Remember(SourceId, u64, EventFragment),
    ForgetRemembered(SourceId, u64),
    Forget(u64),
    Audit(u64),
    Sample(usize),
    Look(SourceId),
    Advance(Duration),
    Step(Moment),
}

#[derive(Clone, Debug)]
enum Wanted {
    Any,
    Full(Vec<Token<u64>>),
    AtLeast(Vec<Token<u64>>),
}

/// What its sources answer, in turn, whoever is asked.
#[derive(Clone, Debug)]
enum Reply {
    New(Version, Option<Duration>),
    NotModified(Option<Duration>),
    Failure,
    Panic,
}

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

/// How all is made.
#[derive(Clone, Debug)]
struct Setting {
    sources: usize,
    feed: FeedOptions,
    cache: CacheOptions,
    now: Moment,
    dependencies: Vec<Vec<(SourceId, u64)>>,
    replies: Vec<Reply>,
}

/// Mostly what fits, and sometimes anything.
fn source() -> impl Strategy<Value = SourceId> {
    prop_oneof![4 => 0..8_usize, 1 => any::<usize>()].prop_map(SourceId)
}

fn entity() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..3_u64, 1 => any::<u64>()]
}

fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![0..3_000_000_u64, any::<u64>()].prop_map(Moment::from_micros)
}

fn duration() -> impl Strategy<Value = Duration> {
    let any = (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos));
    prop_oneof![3 => (0..3_000_u64).prop_map(Duration::from_millis), 1 => any, 1 => Just(Duration::MAX)]
}

fn version() -> impl Strategy<Value = Version> {
    (0..2_u128, prop_oneof![0..4_u64, any::<u64>()]).prop_map(|(incarnation, revision)| Version {
        incarnation,
        revision,
        nonce: 0,
    })
}

fn event_fragment() -> impl Strategy<Value = EventFragment> {
    (version(), moment()).prop_map(|(version, committed)| EventFragment {
        version,
        claim: Some(Claim::default()),
        data: "said".into(),
        committed,
    })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let token =
        || (source(), entity(), version()).prop_map(|(source, of, version)| Token::of(source, of, version));
    let known = || vec(token(), 0..3);
    prop_oneof![
        3 => Just(Wanted::Any),
        1 => known().prop_map(Wanted::Full),
        1 => known().prop_map(Wanted::AtLeast),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let announcement =
        (source(), entity(), option::of(event_fragment())).prop_map(|(source, entity, fragment)| {
            Announcement {
                source,
                entity,
                position: Position::ZERO,
                fragment,
            }
        });
    prop_oneof![
        1 => (source(), entity()).prop_map(|(source, entity)| Call::Changed(source, entity)),
        1 => (source(), entity()).prop_map(|(source, entity)| Call::Deleted(source, entity)),
        1 => source().prop_map(Call::Lost),
        1 => source().prop_map(Call::Replaced),
        1 => Just(Call::LostAll),
        1 => (source(), moment()).prop_map(|(source, until)| Call::Watermark(source, until)),
        8 => (entity(), wanted()).prop_map(|(key, wanted)| Call::Read(key, wanted)),
        1 => announcement.prop_map(Call::Announce),
        1 => (source(), entity(), event_fragment()).prop_map(|(source, of, carried)| Call::Remember(source, of, carried)),
        1 => (source(), entity()).prop_map(|(source, entity)| Call::ForgetRemembered(source, entity)),
        1 => entity().prop_map(Call::Forget),
        1 => entity().prop_map(Call::Audit),
        1 => prop_oneof![0..4_usize, any::<usize>(), Just(usize::MAX)].prop_map(Call::Sample),
        1 => source().prop_map(Call::Look),
        2 => duration().prop_map(Call::Advance),
        1 => moment().prop_map(Call::Step),
    ]
}

fn feed_options() -> impl Strategy<Value = FeedOptions> {
    (0..5_000_usize, duration(), duration()).prop_map(|(fences, trust, clock_skew)| FeedOptions {
        fences,
        trust,
        clock_skew,
        ..FeedOptions::default()
    })
}

fn strategy() -> impl Strategy<Value = Keeping> {
    prop_oneof![
        Just(Keeping::None),
        duration().prop_map(Keeping::Ttl),
        Just(Keeping::Versioned),
        Just(Keeping::Invalidate),
        Just(Keeping::Prepopulate),
    ]
}

fn refresh_options() -> impl Strategy<Value = RefreshOptions> {
    let size = || prop_oneof![0..3_usize, Just(usize::MAX)];
    let scope = prop_oneof![
        Just(RefreshScope::Read),
        Just(RefreshScope::Resident),
        Just(RefreshScope::All)
    ];
    (scope, size(), size()).prop_map(|(scope, waiting, at_once)| RefreshOptions {
        scope,
        waiting,
        at_once,
    })
}

fn cache_options() -> impl Strategy<Value = CacheOptions> {
    let bytes = || prop_oneof![0..3_u64, any::<u64>(), Just(u64::MAX)];
    (
        strategy(),
        bytes(),
        bytes(),
        duration(),
        duration(),
        duration(),
        refresh_options(),
    )
        .prop_map(
            |(strategy, max_bytes, remembered_bytes, max_age, max_stale, retry_after, refresh)| {
                CacheOptions {
                    strategy,
                    max_bytes,
                    max_age,
                    max_stale,
                    retry_after,
                    remembered_bytes,
                    refresh,
                    capture: || None,
                }
            },
        )
}

fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => (version(), option::of(duration())).prop_map(|(version, holds)| Reply::New(version, holds)),
        2 => option::of(duration()).prop_map(Reply::NotModified),
        1 => Just(Reply::Failure),
        1 => Just(Reply::Panic),
    ]
}

prop_compose! {
    fn setting()(
        sources in prop_oneof![4 => 0..8_usize, 1 => Just(usize::MAX)],
        feed in feed_options(),
        cache in cache_options(),
        now in moment(),
        dependencies in vec(vec((source(), entity()), 0..4), 1..3),
        replies in vec(reply(), 1..6),
    ) -> Setting {
        Setting { sources, feed, cache, now, dependencies, replies }
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
