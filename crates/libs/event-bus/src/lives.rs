//! Whose the data is that a service keeps for the entities of another source (rule 24).
//!
//! An entity differs from others that had its id by its life, the nonce of its creation. Events arrive late, again, and out of
//! order. So the incarnation that begins last in the stream counts, and an event of an earlier one changes nothing. Within an
//! incarnation an entity ends once, and its id is not given out again. An event deletes only data that may have been written
//! before the event was published.
//!
//! The decisions are here, and the SQL of the rows: one per entity, in the service's own table of [`Entities`], with the
//! columns `deleted`, `heard_in`, `life`, `past_stream` and `past_place`; and the tables `streams_heard (number, created)` and
//! `incarnations_heard (number, incarnation, stream, place)`.

mod entities;
mod order;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use group_commit::{Connection, Error, Row};

pub use self::entities::{Entities, Known};
use self::order::{Begun, Stamp};
use crate::{Incarnation, Nonce, Place};

/// What happened to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntityChange {
    /// It is new under its id.
    Created,
    /// It has new data.
    Updated,
    /// It has ended.
    Deleted,
}

/// What an event says of an entity, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct EntityEvent {
    /// What happened.
    pub change: EntityChange,
    /// The entity's life. None: the program that published the event, or the entity, is older than lives.
    pub life: Option<Nonce>,
    /// Of the source's database.
    pub incarnation: Incarnation,
    /// In the stream.
    pub place: Place,
}

/// Whose an entity's data is, as far as the service knows. The default: no event of the entity was applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owner {
    /// The entity has ended: it gets no new data.
    pub deleted: bool,
    life: Option<Nonce>,
    /// The number of the incarnation of the last event; none while no event of the entity was applied.
    heard_in: Option<i64>,
    /// Up to where the stream was past when the first of the data was written.
    past: Option<Stamp>,
}

/// What an event changes.
#[derive(Debug, Clone, Copy)]
pub struct Effect {
    /// The data is deleted first: its entity has ended, or another one has the id now.
    pub forget: bool,
    /// The new value of the column `deleted`.
    pub deleted: bool,
    /// The new value of the column `life`.
    pub life: Nonce,
    /// The new value of the column `heard_in`.
    pub heard_in: i64,
}

impl Owner {
    /// From the entity's row.
    pub fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let life = row.get("life")?;
        Ok(Self {
            deleted: row.get("deleted")?,
            life: (life != Nonce::default()).then_some(life),
            heard_in: row.get("heard_in")?,
            past: Stamp::from_row(row, "past_stream", "past_place")?,
        })
    }

    /// The life of the entity whose the data is, if that is known.
    pub fn life(&self) -> Option<Nonce> {
        self.life.filter(|_| !self.is_orphaned())
    }

    /// The entity had ended when the data was written, so the data is the next one's. A deletion leaves no data, and no stamp.
    fn is_orphaned(&self) -> bool {
        self.deleted && self.past.is_some()
    }

    /// What the event changes; none if it changes nothing. A repeated event has the same effect again.
    pub fn apply(&self, c: &Connection<'_>, event: &EntityEvent) -> Result<Option<Effect>, Error> {
        let place = Stamp::of(c, event.place)?;
        let said_in = Begun::seen(c, event.incarnation, place)?;
        if self.is_ahead_of(c, said_in)? {
            return Ok(None);
        }
        let same = self.is_of(event, said_in);
        let repeated = self.heard_in == Some(said_in.number);
        // Mutations overtake events: data that was written after the event is not what the event is about.
        let written_later = self.past.is_some_and(|past| place <= past);
        let (deleted, kept) = match event.change {
            EntityChange::Deleted => (true, written_later || (same && self.is_orphaned())),
            // It may have overtaken the creation of another entity. Without a life, nobody would notice that.
            EntityChange::Updated
                if same && !repeated && event.life.is_none() && self.heard_in.is_some() && !self.deleted =>
            {
                return Ok(None);
            }
            // Within an incarnation an ended entity stays ended. In another one it was restored from a backup.
            _ if same => (self.deleted && repeated, true),
            _ => (
                false,
                written_later || self.heard_in.is_none() || self.is_orphaned(),
            ),
        };
        Ok(Some(Effect {
            forget: !kept,
            deleted,
            life: event.life.or(self.life.filter(|_| same)).unwrap_or_default(),
            heard_in: said_in.number,
        }))
    }

    /// Whether the event is of an incarnation that had ended when the last event was published.
    fn is_ahead_of(&self, c: &Connection<'_>, said_in: Begun) -> Result<bool, Error> {
        match self.heard_in {
            Some(received) if received != said_in.number => {
                Ok(said_in.is_before(Begun::numbered(c, received)?))
            }
            _ => Ok(false),
        }
    }

    /// Whether the event is of the entity that is known. Where a life is not known, the incarnation decides: within one, an id
    /// is not given out again, and an update without a creation is of the former entity, restored from a backup.
    fn is_of(&self, event: &EntityEvent, said_in: Begun) -> bool {
        match (self.life, event.life) {
            (Some(known), Some(said)) => known == said,
            _ => self.heard_in == Some(said_in.number) || event.change == EntityChange::Updated,
        }
    }
}

/// Up to where the source's stream is past: each event up to there was published before what is written now. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Past(Arc<Mutex<Option<Place>>>);

impl Past {
    /// None before the first subscription.
    pub fn place(&self) -> Option<Place> {
        *self.lock()
    }

    /// A subscription begins here. Returns whether it is the first.
    fn begin(&self, place: Place) -> bool {
        self.lock().replace(place).is_none()
    }

    /// The first subscription is still to begin.
    fn clear(&self) {
        *self.lock() = None;
    }

    /// An event at this place arrived. One that is repeated comes from further back, and changes nothing.
    pub fn pass(&self, place: Place) {
        let mut past = self.lock();
        if past.is_none_or(|past| past.stream != place.stream || past.sequence < place.sequence) {
            *past = Some(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Place>> {
        // A place is whole, so that a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
