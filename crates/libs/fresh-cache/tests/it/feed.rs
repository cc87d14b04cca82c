//! What one replica hears of one source: a channel that loses, repeats and delays, and what the feed makes of it.

use std::collections::VecDeque;
use std::time::Duration;

use fresh_cache::{Announcement, FreshCache, Hearing, Moment, SourceId};

use crate::random_sources::{CARRYING, Dice, ENTITIES, Sea, Ships, State, carried};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Message {
    Event {
        entity: usize,
        state: usize,
        deleted: bool,
        sequence: u64,
        committed: State,
    },
    Watermark {
        complete_until: Moment,
        at: Duration,
        sequence: u64,
        incarnation: u128,
    },
}

impl Message {
    /// What it is about, if it is about one entity.
    pub(crate) fn entity(&self) -> Option<usize> {
        match self {
            Self::Event { entity, .. } => Some(*entity),
            Self::Watermark { .. } => None,
        }
    }
}

/// The way from a source to a replica.
#[derive(Debug)]
pub(crate) struct Channel {
    source: SourceId,
    pub(crate) under_way: VecDeque<Message>,
    /// For duplicates.
    delivered: Vec<Message>,
    heard: (u128, u64),
    /// Of every entity, the latest state that an event was applied of, and the latest deletion.
    pub(crate) applied: [usize; ENTITIES],
    pub(crate) deleted: [usize; ENTITIES],
}

impl Channel {
    pub(crate) fn new(source: SourceId) -> Self {
        Self {
            source,
            under_way: VecDeque::new(),
            delivered: Vec::new(),
            heard: (0, 0),
            applied: [0; ENTITIES],
            deleted: [0; ENTITIES],
        }
    }

    /// Some message comes a second time, after all that is under way.
    pub(crate) fn duplicate(&mut self, dice: &mut Dice) {
        let count = self.delivered.len();
        if count > 0 {
            let index = dice.below(count);
            self.under_way.push_back(self.delivered[index]);
        }
    }

    /// The stream loses its oldest messages.
    pub(crate) fn truncate(&mut self, dice: &mut Dice) {
        let lost = dice.below(self.under_way.len() + 1);
        self.under_way.drain(..lost);
    }

    /// The replica hears one message (rules 6, 7, 16 and 17); whether there was one.
    pub(crate) fn hear(&mut self, hearing: &mut Hearing, sea: &Sea, cache: &FreshCache<Ships>) -> bool {
        let Some(message) = self.under_way.pop_front() else {
            return false;
        };
        self.delivered.push(message);
        let vouch = |at| sea.sources[self.source.0].lock().unwrap().vouch(at);
        match message {
            Message::Event {
                entity,
                state,
                deleted,
                sequence,
                committed,
            } => {
                vouch(committed.at);
                let repeat = self.note(hearing, committed.version.incarnation, sequence, sequence - 1);
                self.applied[entity] = self.applied[entity].max(state);
                let position = if deleted {
                    self.deleted[entity] = self.deleted[entity].max(state);
                    hearing.deleted(self.source, entity as u64)
                } else {
                    hearing.changed(self.source, entity as u64)
                };
                cache.announce(Announcement {
                    source: self.source,
                    entity: entity as u64,
                    position,
                    carried: (self.source == CARRYING && !repeat).then(|| carried(state, committed)),
                });
            }
            Message::Watermark {
                complete_until,
                at,
                sequence,
                incarnation,
            } => {
                vouch(at);
                self.note(hearing, incarnation, sequence, sequence);
                hearing.watermark(self.source, complete_until);
            }
        }
        true
    }

    /// Compares with what was heard before: reports a loss, and answers whether this is a repeat.
    fn note(&mut self, hearing: &mut Hearing, incarnation: u128, sequence: u64, needed: u64) -> bool {
        let (of, heard) = self.heard;
        if of != incarnation {
            hearing.replaced(self.source);
        } else if heard < needed {
            hearing.lost(self.source);
        }
        if of == incarnation {
            self.heard.1 = heard.max(sequence);
            sequence <= heard
        } else {
            self.heard = (incarnation, sequence);
            false
        }
    }
}
