//! Two linearizable sources with everything that can go wrong with them, for random histories.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fresh_cache::{
    Claim, Clock as _, EventFragment, Fetched, Fragment, FragmentState, Loader, ManualClock, Moment,
    SourceId, Version,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::feed::Message;

pub(crate) const ENTITIES: usize = 3;
/// The source whose events carry its answer.
pub(crate) const CARRYING: SourceId = SourceId(0);
/// The source whose answers change by the clock too, at every multiple of [`BUCKET`] microseconds.
const BY_THE_CLOCK: SourceId = SourceId(1);
const BUCKET: u64 = 500_000;

/// Numbers that are random enough, and the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("it is below a usize")
    }

    pub(crate) fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// What a source answers: which of the entity's states, counted across incarnations, and in which bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: usize,
    pub(crate) bucket: u64,
}

/// One state of an entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) version: Version,
    /// When it was committed, by the wall clock.
    pub(crate) committed: Moment,
    /// The same by the clock that nobody sets: by this one truth is told.
    pub(crate) at: Duration,
}

/// One source and its relay.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) incarnation: u128,
    pub(crate) states: [Vec<State>; ENTITIES],
    sequence: u64,
    outbox: Vec<Message>,
    pub(crate) down: bool,
    /// When it last gave no answer about each entity.
    pub(crate) failed: [Option<Duration>; ENTITIES],
    /// The latest moment of which anything that it said to the replica could be evidence.
    pub(crate) vouched: Duration,
}

/// Everything outside of the cache.
#[derive(Debug)]
pub(crate) struct RandomSources {
    pub(crate) clock: ManualClock,
    pub(crate) sources: [Mutex<Source>; 2],
    /// When the wall clock was last set back, by the one that nobody sets.
    pub(crate) set_back: Mutex<Option<Duration>>,
    /// The fetches that wait for the test to let them take their next step; `None` if they need not.
    waiting: Option<Mutex<Vec<oneshot::Sender<()>>>>,
}

impl RandomSources {
    /// Sources whose fetches take a step when the test says so.
    pub(crate) fn held(clock: ManualClock) -> Self {
        Self {
            waiting: Some(Mutex::default()),
            ..Self::free(clock)
        }
    }

    /// Sources that answer at once.
    pub(crate) fn free(clock: ManualClock) -> Self {
        let sources = Self {
            clock,
            sources: Default::default(),
            set_back: Mutex::default(),
            waiting: None,
        };
        for source in &sources.sources {
            source.lock().unwrap().reset(&sources.clock);
        }
        sources
    }

    /// By more than any message is delayed: the date of one that was written before cannot be told from a later one.
    pub(crate) fn set_the_clock_back(&self) {
        // Nothing happens before and after it at one moment of the other clock.
        self.clock.advance(Duration::from_millis(1));
        let earlier = self.clock.now().saturating_sub(Duration::from_hours(1));
        self.clock.step_to(earlier);
        *self.set_back.lock().unwrap() = Some(self.clock.monotonic());
    }

    /// Lets some fetch take its next step; whether there was one.
    pub(crate) fn step_a_fetch(&self, dice: &mut Dice) -> bool {
        let Some(waiting) = &self.waiting else {
            return false;
        };
        let mut waiting = waiting.lock().unwrap();
        if waiting.is_empty() {
            return false;
        }
        let count = waiting.len();
        let index = dice.below(count);
        // The load may have died with a failed sibling's panic; nobody waits then.
        let _ = waiting.swap_remove(index).send(());
        true
    }

    async fn turn(&self) {
        let Some(waiting) = &self.waiting else {
            return;
        };
        let (go, gone) = oneshot::channel();
        waiting.lock().unwrap().push(go);
        gone.await.expect("the test lets everybody go");
    }

    pub(crate) fn bucket(&self, source: SourceId) -> u64 {
        if source == BY_THE_CLOCK {
            self.micros() / BUCKET
        } else {
            0
        }
    }

    /// How long the answer of a source holds that is given now.
    fn valid_for(&self, source: SourceId) -> Option<Duration> {
        (source == BY_THE_CLOCK).then(|| Duration::from_micros(BUCKET - self.micros() % BUCKET))
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).expect("a history is short")
    }
}

impl Source {
    fn commit(&mut self, entity: usize, revision: u64, clock: &ManualClock) -> State {
        let version = Version {
            incarnation: self.incarnation,
            revision,
            nonce: 0,
        };
        let state = State {
            version,
            committed: clock.now(),
            at: clock.monotonic(),
        };
        self.states[entity].push(state);
        state
    }

    pub(crate) fn latest(&self, entity: usize) -> State {
        *self.states[entity].last().expect("there is a first state")
    }

    /// A mutation and its event, in one transaction.
    pub(crate) fn mutate(&mut self, entity: usize, deleted: bool, clock: &ManualClock) {
        let revision = self.latest(entity).version.revision + 1;
        let committed = self.commit(entity, revision, clock);
        self.sequence += 1;
        self.outbox.push(Message::Event {
            entity,
            state: self.states[entity].len() - 1,
            deleted,
            sequence: self.sequence,
            committed,
        });
    }

    /// A database that begins again: every entity is in a new state, and no event tells of it.
    pub(crate) fn reset(&mut self, clock: &ManualClock) {
        self.incarnation += 1;
        self.sequence = 0;
        self.outbox.clear();
        (0..ENTITIES).for_each(|entity| _ = self.commit(entity, 0, clock));
    }

    /// What the relay publishes: what is in the outbox, and a watermark.
    pub(crate) fn publish(&mut self, clock: &ManualClock) -> Vec<Message> {
        self.outbox.push(Message::Watermark {
            complete_until: clock.now(),
            at: clock.monotonic(),
            sequence: self.sequence,
            incarnation: self.incarnation,
        });
        std::mem::take(&mut self.outbox)
    }

    /// Notes that the replica was told something of this moment.
    pub(crate) fn vouch(&mut self, at: Duration) {
        self.vouched = self.vouched.max(at);
    }
}

/// What an event of this state carries.
pub(crate) fn event_fragment(state: usize, committed: State) -> EventFragment {
    EventFragment {
        version: committed.version,
        claim: Some(Claim::default()),
        data: Bytes::from(state.to_string()),
        committed: committed.committed,
    }
}

/// The loader over a [`RandomSources`].
#[derive(Debug)]
pub(crate) struct Pages(pub(crate) Arc<RandomSources>);

/// A source's failure.
#[derive(Debug, thiserror::Error)]
#[error("is down")]
pub(crate) struct Down;

impl Loader for Pages {
    type Key = usize;
    type Entity = u64;
    type Body = Shown;
    type Page = Vec<Option<Shown>>;
    type Error = Down;

    fn dependencies(&self, key: &usize) -> Vec<(SourceId, u64)> {
        vec![(SourceId(0), *key as u64), (SourceId(1), *key as u64)]
    }

    async fn admit(
        &self,
        _source: SourceId,
        _known: Option<&Fragment<Shown>>,
    ) -> Result<Option<OwnedSemaphorePermit>, Down> {
        self.0.turn().await;
        Ok(None)
    }

    async fn fetch(
        &self,
        key: &usize,
        source: SourceId,
        _entity: &u64,
        known: Option<&Fragment<Shown>>,
    ) -> Result<Fetched<Shown>, Down> {
        self.0.turn().await;
        let (version, shown) = {
            let mut looked_at = self.0.sources[source.0].lock().unwrap();
            if looked_at.down {
                looked_at.failed[*key] = Some(self.0.clock.monotonic());
                return Err(Down);
            }
            looked_at.vouch(self.0.clock.monotonic());
            let shown = Shown {
                state: looked_at.states[*key].len() - 1,
                bucket: self.0.bucket(source),
            };
            (looked_at.latest(*key).version, shown)
        };
        let valid_for = self.0.valid_for(source);
        self.0.turn().await;
        if known.is_some_and(|fragment| fragment.version == version && fragment.body.bucket == shown.bucket) {
            return Ok(Fetched::NotModified {
                claim: Some(Claim::default()),
                valid_for,
            });
        }
        Ok(Fetched::New {
            version,
            claim: Some(Claim::default()),
            body: shown,
            valid_for,
        })
    }

    fn compose(&self, _key: &usize, fragments: &[FragmentState<Shown>]) -> Vec<Option<Shown>> {
        fragments
            .iter()
            .map(|fragment| fragment.fragment().map(|fragment| fragment.body))
            .collect()
    }

    fn weight(&self, _page: &Vec<Option<Shown>>) -> u32 {
        1
    }

    fn pages_of(&self, _source: SourceId, entity: &u64) -> Vec<usize> {
        vec![usize::try_from(*entity).expect("there are few")]
    }

    fn read_event(
        &self,
        _key: &usize,
        _source: SourceId,
        _entity: &u64,
        event: &EventFragment,
    ) -> Option<Shown> {
        let state = std::str::from_utf8(&event.data).ok()?.parse().ok()?;
        Some(Shown { state, bucket: 0 })
    }
}
