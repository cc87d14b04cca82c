//! Who flies and who waits: at most one flight of a page in the air, at most one more boarding (rule 11).
//!
//! A mutex over a map, touched by readers that miss and by the flights themselves, never by the feed. Nothing is
//! awaited and nothing of the composer is called while it is held.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetry::TaskContext;
use tokio::sync::watch;

use crate::fragment::Part;
use crate::load::fetch::Leg;
use crate::loader::Composer;
use crate::page::{Entry, Fetch};

/// What a flight brought, or the message of the composer's panic.
pub(crate) type Landing<C> = Result<Landed<C>, Arc<str>>;
type Sender<C> = watch::Sender<Option<Landing<C>>>;
type Receiver<C> = watch::Receiver<Option<Landing<C>>>;

/// What a flight brought.
pub(crate) struct Landed<C: Composer> {
    pub(crate) entry: Arc<Entry<C>>,
    pub(crate) fetches: Arc<[Fetch]>,
    pub(crate) stored: bool,
}

impl<C: Composer> Clone for Landed<C> {
    fn clone(&self) -> Self {
        let Self {
            entry,
            fetches,
            stored,
        } = self;
        Self {
            entry: Arc::clone(entry),
            fetches: Arc::clone(fetches),
            stored: *stored,
        }
    }
}

/// A reader's place in a flight.
pub(crate) struct Ticket<C: Composer> {
    pub(crate) landing: Receiver<C>,
    /// What the flight belongs to, if somebody else asked for it.
    pub(crate) begun_by: Option<TaskContext>,
    /// Whether the reader opened the slot, and so must start the task that flies.
    pub(crate) first: bool,
}

/// A flight that has just begun.
pub(crate) struct Departure<C: Composer> {
    pub(crate) legs: Arc<[Leg<C::Body>]>,
    pub(crate) landing: Sender<C>,
    /// Of the reader who asked for the flight, so that its requests belong to that reader's trace, or to none.
    pub(crate) context: TaskContext,
}

/// What somebody wants of the flight that is boarded.
#[derive(Clone)]
pub(crate) struct Wish<B> {
    /// That every source is asked, for a full answer.
    pub(crate) afresh: bool,
    /// The parts, by their place, that are asked for even if they are proven (rule 13).
    pub(crate) ask: Vec<usize>,
    /// What an event brought, by its place (rule 17).
    pub(crate) carried: Vec<(usize, Part<B>)>,
}

impl<B> Wish<B> {
    /// Any page will do that is proven, or composed from now on.
    pub(crate) const fn any() -> Self {
        Self {
            afresh: false,
            ask: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// Takes over what somebody else wants too.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.afresh |= other.afresh;
        self.ask.extend(other.ask);
        self.ask.sort_unstable();
        self.ask.dedup();
        self.carried.extend(other.carried);
    }

    /// Whether a flight that is in the air may be good enough.
    const fn may_share(&self) -> bool {
        !self.afresh && self.ask.is_empty()
    }
}

/// The slots of all pages that are being composed.
pub(crate) struct Slots<C: Composer> {
    slots: Mutex<HashMap<C::Key, FlightSlot<C>>>,
}

/// One page's flights. Exists while a task flies them, so its memory is bounded by the pages being asked for.
struct FlightSlot<C: Composer> {
    running: Option<Running<C>>,
    boarding: Option<Boarding<C>>,
}

/// The flight in the air.
struct Running<C: Composer> {
    legs: Arc<[Leg<C::Body>]>,
    /// When it began, on the monotonic clock.
    departed: Duration,
    landing: Receiver<C>,
    context: TaskContext,
}

/// The flight that begins next. Whoever boards it arrived before it begins.
struct Boarding<C: Composer> {
    landing: Sender<C>,
    wish: Wish<C::Body>,
    context: TaskContext,
}

impl<C: Composer> Slots<C> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Mutex::new(HashMap::new()),
        }
    }

    /// Boards a flight of this page: the one in the air if it `suffices` and began after `since`, else the next.
    /// One that hangs would bring its latest passengers an answer of the time it began.
    pub(crate) fn board(
        &self,
        key: &C::Key,
        wish: Wish<C::Body>,
        since: Duration,
        suffices: impl FnOnce(&[Leg<C::Body>]) -> bool,
    ) -> Ticket<C> {
        let mut slots = self.lock();
        let first = !slots.contains_key(key);
        let slot = slots.entry(key.clone()).or_insert(FlightSlot {
            running: None,
            boarding: None,
        });
        // A flight that was in the air before the reader arrived cannot have asked for it.
        if let Some(running) = slot
            .running
            .as_ref()
            .filter(|running| wish.may_share() && running.departed > since && suffices(&running.legs))
        {
            return Ticket {
                landing: running.landing.clone(),
                begun_by: Some(running.context.clone()),
                first,
            };
        }
        let begun_by = slot.boarding.as_ref().map(|boarding| boarding.context.clone());
        let boarding = slot.boarding.get_or_insert_with(Boarding::new);
        boarding.wish.absorb(wish);
        Ticket {
            landing: boarding.landing.subscribe(),
            begun_by,
            first,
        }
    }

    /// Begins the boarding flight. `plan` is made under the lock, after the last passenger boarded: what was heard before
    /// any of them arrived is heard by the plan.
    pub(crate) fn depart(
        &self,
        key: &C::Key,
        departed: Duration,
        plan: impl FnOnce(Wish<C::Body>) -> Arc<[Leg<C::Body>]>,
    ) -> Departure<C> {
        let mut slots = self.lock();
        let slot = slots
            .get_mut(key)
            .expect("a slot lives as long as the task that flies for it");
        let Boarding {
            landing,
            wish,
            context,
        } = slot
            .boarding
            .take()
            .expect("the task flies only while somebody boards");
        let legs = plan(wish);
        slot.running = Some(Running {
            legs: Arc::clone(&legs),
            departed,
            landing: landing.subscribe(),
            context: context.clone(),
        });
        Departure {
            legs,
            landing,
            context,
        }
    }

    /// Ends the running flight; whether another one waits. If none does, the slot is gone.
    pub(crate) fn land(&self, key: &C::Key) -> bool {
        let mut slots = self.lock();
        let slot = slots
            .get_mut(key)
            .expect("a slot lives as long as the task that flies for it");
        slot.running = None;
        let more = slot.boarding.is_some();
        if !more {
            slots.remove(key);
        }
        more
    }

    /// Gives up a slot whose task was ended from outside; whoever waits is told by the closed channel.
    pub(crate) fn abandon(&self, key: &C::Key) {
        self.lock().remove(key);
    }

    /// How many pages are being composed.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<C::Key, FlightSlot<C>>> {
        // No section above leaves the map half changed, so a panic inside of one spoils nothing.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Composer> Boarding<C> {
    fn new() -> Self {
        Self {
            landing: watch::Sender::new(None),
            wish: Wish::any(),
            context: TaskContext::current(),
        }
    }
}

impl<C: Composer> fmt::Debug for Slots<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Slots")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
