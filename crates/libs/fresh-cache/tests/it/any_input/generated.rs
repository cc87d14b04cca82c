//! What a caller may say: every call, every answer of a source, every setting.

use std::time::Duration;

use fresh_cache::{
    Announcement, CacheOptions, Claim, EventFragment, FeedOptions, Moment, Position, RefreshOptions,
    RefreshScope, SourceId, Strategy as Keeping, Token, Version,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(super) enum Call {
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
pub(super) enum Wanted {
    Any,
    Full(Vec<Token<u64>>),
    AtLeast(Vec<Token<u64>>),
}

/// What its sources answer, in turn, whoever is asked.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    New(Version, Option<Duration>),
    NotModified(Option<Duration>),
    Failure,
    Panic,
}

/// All settings of a case.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) sources: usize,
    pub(super) feed: FeedOptions,
    pub(super) cache: CacheOptions,
    pub(super) now: Moment,
    pub(super) dependencies: Vec<Vec<(SourceId, u64)>>,
    pub(super) replies: Vec<Reply>,
}

/// Mostly what fits, and sometimes anything.
pub(super) fn source() -> impl Strategy<Value = SourceId> {
    prop_oneof![4 => 0..8_usize, 1 => any::<usize>()].prop_map(SourceId)
}

pub(super) fn entity() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..3_u64, 1 => any::<u64>()]
}

pub(super) fn moment() -> impl Strategy<Value = Moment> {
    prop_oneof![0..3_000_000_u64, any::<u64>()].prop_map(Moment::from_micros)
}

pub(super) fn duration() -> impl Strategy<Value = Duration> {
    let any = (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos));
    prop_oneof![3 => (0..3_000_u64).prop_map(Duration::from_millis), 1 => any, 1 => Just(Duration::MAX)]
}

pub(super) fn version() -> impl Strategy<Value = Version> {
    (0..2_u128, prop_oneof![0..4_u64, any::<u64>()]).prop_map(|(incarnation, revision)| Version {
        incarnation,
        revision,
        nonce: 0,
    })
}

pub(super) fn event_fragment() -> impl Strategy<Value = EventFragment> {
    (version(), moment()).prop_map(|(version, committed)| EventFragment {
        version,
        claim: Some(Claim::default()),
        data: "said".into(),
        committed,
    })
}

pub(super) fn wanted() -> impl Strategy<Value = Wanted> {
    let token =
        || (source(), entity(), version()).prop_map(|(source, of, version)| Token::of(source, of, version));
    let known = || vec(token(), 0..3);
    prop_oneof![
        3 => Just(Wanted::Any),
        1 => known().prop_map(Wanted::Full),
        1 => known().prop_map(Wanted::AtLeast),
    ]
}

pub(super) fn call() -> impl Strategy<Value = Call> {
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

pub(super) fn feed_options() -> impl Strategy<Value = FeedOptions> {
    (0..5_000_usize, duration(), duration()).prop_map(|(fences, trust, clock_skew)| FeedOptions {
        fences,
        trust,
        clock_skew,
        ..FeedOptions::default()
    })
}

pub(super) fn strategy() -> impl Strategy<Value = Keeping> {
    prop_oneof![
        Just(Keeping::None),
        duration().prop_map(Keeping::Ttl),
        Just(Keeping::Versioned),
        Just(Keeping::Invalidate),
        Just(Keeping::Prepopulate),
    ]
}

pub(super) fn refresh_options() -> impl Strategy<Value = RefreshOptions> {
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

pub(super) fn cache_options() -> impl Strategy<Value = CacheOptions> {
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

pub(super) fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        4 => (version(), option::of(duration())).prop_map(|(version, holds)| Reply::New(version, holds)),
        2 => option::of(duration()).prop_map(Reply::NotModified),
        1 => Just(Reply::Failure),
        1 => Just(Reply::Panic),
    ]
}

prop_compose! {
    pub(super) fn setting()(
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
