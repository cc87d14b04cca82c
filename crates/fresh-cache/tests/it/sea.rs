//! Two linearizable sources and their feed, with everything that can go wrong on the way: for random histories.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fresh_cache::{
    Clock as _, Composer, Fetched, Hearing, ManualClock, Moment, Part, PartState, SourceId, Version,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(crate) const ENTITIES: usize = 3;
/// The second source's answers change by the clock too, at every multiple of this.
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

#[derive(Clone, Copy, Debug)]
enum Message {
    Event {
        entity: usize,
        state: usize,
        deleted: bool,
        sequence: u64,
        incarnation: u128,
    },
    Watermark {
        complete_until: Moment,
        sequence: u64,
        incarnation: u128,
    },
}

/// One source, its relay, and what one replica heard of it.
#[derive(Debug, Default)]
pub(crate) struct Source {
    incarnation: u128,
    /// Of every entity, when each of its states was committed, and the version it has.
    pub(crate) states: [Vec<(Moment, Version)>; ENTITIES],
    sequence: u64,
    outbox: Vec<Message>,
    channel: VecDeque<Message>,
    /// For duplicates.
    delivered: Vec<Message>,
    heard: (u128, u64),
    /// Of every entity, the latest state that an event was applied of, and the latest deletion.
    pub(crate) applied: [usize; ENTITIES],
    pub(crate) deleted: [usize; ENTITIES],
    pub(crate) down: bool,
}

/// Everything outside of the cache.
#[derive(Debug)]
pub(crate) struct Sea {
    pub(crate) clock: ManualClock,
    pub(crate) sources: [Mutex<Source>; 2],
    /// The fetches that wait for the test to let them take their next step.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Sea {
    pub(crate) fn new(clock: ManualClock) -> Self {
        let sea = Self {
            clock,
            sources: Default::default(),
            waiting: Mutex::default(),
        };
        for source in &sea.sources {
            let mut source = source.lock().unwrap();
            source.incarnation = 1;
            (0..ENTITIES).for_each(|entity| source.commit(entity, 0, sea.clock.now()));
        }
        sea
    }

    /// Lets some fetch take its next step; whether there was one.
    pub(crate) fn step_a_fetch(&self, dice: &mut Dice) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.is_empty() {
            return false;
        }
        let count = waiting.len();
        let index = dice.below(count);
        // The flight may have died with a failed sibling's panic; nobody waits then.
        let _ = waiting.swap_remove(index).send(());
        true
    }

    async fn turn(&self) {
        let (go, gone) = oneshot::channel();
        self.waiting.lock().unwrap().push(go);
        gone.await.expect("the test lets everybody go");
    }

    pub(crate) fn bucket(&self, source: usize) -> u64 {
        if source == 1 {
            self.clock.now().as_micros() / BUCKET
        } else {
            0
        }
    }
}

impl Source {
    fn commit(&mut self, entity: usize, revision: u64, now: Moment) {
        let version = Version {
            incarnation: self.incarnation,
            revision,
        };
        self.states[entity].push((now, version));
    }

    /// A mutation and its event, in one transaction.
    pub(crate) fn mutate(&mut self, entity: usize, deleted: bool, now: Moment) {
        let (_, last) = *self.states[entity].last().expect("there is a first state");
        self.commit(entity, last.revision + 1, now);
        self.sequence += 1;
        let (state, sequence) = (self.states[entity].len() - 1, self.sequence);
        self.outbox.push(Message::Event {
            entity,
            state,
            deleted,
            sequence,
            incarnation: self.incarnation,
        });
    }

    /// A database that begins again: every entity is in a new state, and no event tells of it.
    pub(crate) fn reset(&mut self, now: Moment) {
        self.incarnation += 1;
        self.sequence = 0;
        self.outbox.clear();
        (0..ENTITIES).for_each(|entity| self.commit(entity, 0, now));
    }

    /// The relay publishes what is in the outbox, and a watermark; some of it is lost on the way.
    pub(crate) fn publish(&mut self, now: Moment, losses: bool, dice: &mut Dice) {
        let (sequence, incarnation) = (self.sequence, self.incarnation);
        self.outbox.push(Message::Watermark {
            complete_until: now,
            sequence,
            incarnation,
        });
        for message in std::mem::take(&mut self.outbox) {
            if !(losses && dice.one_in(8)) {
                self.channel.push_back(message);
            }
        }
    }

    /// Some message comes a second time, after all that is under way.
    pub(crate) fn duplicate(&mut self, dice: &mut Dice) {
        let count = self.delivered.len();
        if count > 0 {
            let index = dice.below(count);
            self.channel.push_back(self.delivered[index]);
        }
    }

    /// The replica hears one message (rules 6 and 7); whether there was one.
    pub(crate) fn hear(&mut self, source: SourceId, hearing: &mut Hearing) -> bool {
        let Some(message) = self.channel.pop_front() else {
            return false;
        };
        self.delivered.push(message);
        match message {
            Message::Event {
                entity,
                state,
                deleted,
                sequence,
                incarnation,
            } => {
                self.notice_loss(source, incarnation, sequence, sequence - 1, hearing);
                self.applied[entity] = self.applied[entity].max(state);
                if deleted {
                    hearing.deleted(source, entity as u64);
                    self.deleted[entity] = self.deleted[entity].max(state);
                } else {
                    hearing.changed(source, entity as u64);
                }
            }
            Message::Watermark {
                complete_until,
                sequence,
                incarnation,
            } => {
                self.notice_loss(source, incarnation, sequence, sequence, hearing);
                hearing.watermark(source, complete_until);
            }
        }
        true
    }

    fn notice_loss(
        &mut self,
        source: SourceId,
        incarnation: u128,
        sequence: u64,
        needed: u64,
        hearing: &mut Hearing,
    ) {
        let (of, heard) = self.heard;
        if of != incarnation || heard < needed {
            hearing.lost(source);
        }
        self.heard = (
            incarnation,
            if of == incarnation {
                heard.max(sequence)
            } else {
                sequence
            },
        );
    }
}

/// The composer over a [`Sea`].
#[derive(Debug)]
pub(crate) struct Ships(pub(crate) Arc<Sea>);

/// A source's failure.
#[derive(Debug, thiserror::Error)]
#[error("is down")]
pub(crate) struct Down;

impl Composer for Ships {
    type Key = usize;
    type Body = Shown;
    type Page = Vec<Option<Shown>>;
    type Error = Down;

    fn dependencies(&self, key: &usize) -> Vec<(SourceId, u64)> {
        vec![(SourceId(0), *key as u64), (SourceId(1), *key as u64)]
    }

    async fn admit(&self, _source: SourceId) -> Result<Option<OwnedSemaphorePermit>, Down> {
        self.0.turn().await;
        Ok(None)
    }

    async fn fetch(
        &self,
        key: &usize,
        source: SourceId,
        known: Option<&Part<Shown>>,
    ) -> Result<Fetched<Shown>, Down> {
        self.0.turn().await;
        let (version, shown) = {
            let looked_at = self.0.sources[source.0].lock().unwrap();
            if looked_at.down {
                return Err(Down);
            }
            let states = &looked_at.states[*key];
            (
                states[states.len() - 1].1,
                Shown {
                    state: states.len() - 1,
                    bucket: self.0.bucket(source.0),
                },
            )
        };
        let until_the_bucket_ends = BUCKET - self.0.clock.now().as_micros() % BUCKET;
        let holds_for = (source.0 == 1).then(|| Duration::from_micros(until_the_bucket_ends));
        self.0.turn().await;
        if known.is_some_and(|part| part.version == version && part.body.bucket == shown.bucket) {
            return Ok(Fetched::NotModified { holds_for });
        }
        Ok(Fetched::New {
            version,
            body: shown,
            holds_for,
        })
    }

    fn render(&self, _key: &usize, parts: &[PartState<Shown>]) -> Vec<Option<Shown>> {
        parts
            .iter()
            .map(|part| part.part().map(|part| part.body))
            .collect()
    }

    fn weight(&self, _page: &Vec<Option<Shown>>) -> u32 {
        1
    }
}
