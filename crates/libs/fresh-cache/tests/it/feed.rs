//! What one replica receives of one source: a channel that loses, repeats and delays, and what the feed makes of it.

use std::collections::VecDeque;
use std::time::Duration;

use fresh_cache::{Announcement, FeedWriter, FreshCache, Moment, SourceId};

use crate::random_sources::{CARRYING, Dice, ENTITIES, Pages, RandomSources, State, event_fragment};

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
    applied_up_to: (u128, u64),
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
            applied_up_to: (0, 0),
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

    /// The replica applies one message (rules 6, 7, 16 and 17); whether there was one.
    pub(crate) fn apply(
        &mut self,
        writer: &mut FeedWriter<u64>,
        sources: &RandomSources,
        cache: &FreshCache<Pages>,
    ) -> bool {
        let Some(message) = self.under_way.pop_front() else {
            return false;
        };
        self.delivered.push(message);
        let vouch = |at| sources.sources[self.source.0].lock().unwrap().vouch(at);
        match message {
            Message::Event {
                entity,
                state,
                deleted,
                sequence,
                committed,
            } => {
                vouch(committed.at);
                let repeat = self.note(writer, committed.version.incarnation, sequence, sequence - 1);
                self.applied[entity] = self.applied[entity].max(state);
                let position = if deleted {
                    self.deleted[entity] = self.deleted[entity].max(state);
                    writer.deleted(self.source, &(entity as u64))
                } else {
                    writer.changed(self.source, &(entity as u64))
                };
                cache.announce(Announcement {
                    source: self.source,
                    entity: entity as u64,
                    position,
                    fragment: (self.source == CARRYING && !repeat).then(|| event_fragment(state, committed)),
                });
            }
            Message::Watermark {
                complete_until,
                at,
                sequence,
                incarnation,
            } => {
                vouch(at);
                self.note(writer, incarnation, sequence, sequence);
                writer.watermark(self.source, complete_until);
            }
        }
        true
    }

    /// Compares with what was applied before: reports a loss, and answers whether this is a repeat.
    fn note(&mut self, writer: &mut FeedWriter<u64>, incarnation: u128, sequence: u64, needed: u64) -> bool {
        let (of, last) = self.applied_up_to;
        if of != incarnation {
            writer.replaced(self.source);
        } else if last < needed {
            writer.lost(self.source);
        }
        if of == incarnation {
            self.applied_up_to.1 = last.max(sequence);
            sequence <= last
        } else {
            self.applied_up_to = (incarnation, sequence);
            false
        }
    }
}
