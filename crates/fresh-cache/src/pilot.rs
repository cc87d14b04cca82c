//! The task that composes a page: asks for the parts that are not proven, merges, renders, stores (rules 9, 11, 12, 15).
//!
//! One task per page at a time, and of its page it is the only writer. Readers come and go; it flies on.

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use tracing::Instrument as _;

use crate::answer::{Brought, Entry, Fetch};
use crate::cache::Inner;
use crate::composer::Composer;
use crate::ledger::{Slot, Watermarks};
use crate::part::{Fetched, Part, PartState, Version};
use crate::proof::Proof;
use crate::slots::{Departure, Landed, Leg};

/// Flies for one page until nobody waits for it any more.
pub(crate) struct Pilot<C: Composer> {
    inner: Arc<Inner<C>>,
    key: C::Key,
    slots: Arc<[Slot]>,
    /// The merge of all that landed while the slot was open: the page itself may be evicted between two flights, and the
    /// second must not go back in time for it (rule 11).
    landed: Vec<Option<Part<C::Body>>>,
    /// Whether the slot was closed in good order.
    ended: bool,
}

/// How one leg ended.
struct Arrival<B> {
    /// What was known of the part when the flight began.
    known: Option<Part<B>>,
    /// The part, or why there is none.
    part: Result<Part<B>, String>,
    /// The request, if one was made.
    fetch: Option<Fetch>,
}

impl<C: Composer> Pilot<C> {
    pub(crate) fn new(inner: Arc<Inner<C>>, key: C::Key, slots: Arc<[Slot]>) -> Self {
        let landed = slots.iter().map(|_| None).collect();
        Self {
            inner,
            key,
            slots,
            landed,
            ended: false,
        }
    }

    pub(crate) async fn fly_all(mut self) {
        while !self.ended {
            let Departure { legs, landing, span } = self.depart().await;
            self.inner.stats.flights.add();
            let flight = AssertUnwindSafe(self.fly(&legs).instrument(span)).catch_unwind();
            let landed = flight.await.map_err(|panic| {
                self.inner.stats.panics.add();
                Arc::from(message(&*panic))
            });
            // The slot before the waiters: one who got this answer and comes again must not find the flight in the air.
            self.ended = !self.inner.slots.land(&self.key);
            landing.send_replace(Some(landed));
        }
    }

    /// Begins the boarding flight: decides which parts are kept and which are asked for.
    async fn depart(&self) -> Departure<C> {
        // The watermarks first, the page and its proof second (rule 10).
        let watermarks = self.inner.ledger.watermarks();
        let resident = self.inner.pages.get(&self.key).await;
        let known = self.landed.iter().enumerate().map(|(index, landed)| {
            merge(
                landed.clone(),
                resident.as_ref().and_then(|entry| entry.known(index)),
            )
        });
        let known: Vec<_> = known.collect();
        self.inner
            .slots
            .depart(&self.key, |afresh| self.plan(&watermarks, known, afresh))
    }

    fn plan(
        &self,
        watermarks: &Watermarks,
        known: Vec<Option<Part<C::Body>>>,
        afresh: bool,
    ) -> Arc<[Leg<C::Body>]> {
        let ledger = &self.inner.ledger;
        let proof = Proof::new(ledger, watermarks);
        let leg = |(known, &slot): (Option<Part<C::Body>>, &Slot)| match known
            .map(|part| proven(part, slot, &proof))
        {
            Some(Ok(part)) if !afresh => Leg::Keep(part),
            known => {
                let known = known.map(|(Ok(part) | Err(part))| part);
                Leg::Ask {
                    known,
                    conditional: !afresh,
                    position: ledger.position(),
                }
            }
        };
        known.into_iter().zip(self.slots.iter()).map(leg).collect()
    }

    async fn fly(&mut self, legs: &[Leg<C::Body>]) -> Landed<C> {
        let arrivals = join_all(
            legs.iter()
                .zip(self.slots.iter())
                .map(|(leg, &slot)| self.arrive(leg, slot)),
        );
        let arrivals = arrivals.await;
        self.land(arrivals).await
    }

    async fn arrive(&self, leg: &Leg<C::Body>, slot: Slot) -> Arrival<C::Body> {
        let (known, conditional) = match leg {
            Leg::Keep(part) => {
                return Arrival {
                    known: None,
                    part: Ok(part.clone()),
                    fetch: None,
                };
            }
            Leg::Ask {
                known, conditional, ..
            } => (known, *conditional),
        };
        let clock = self.inner.ledger.clock();
        let began = clock.monotonic();
        let asked = AssertUnwindSafe(self.ask(slot, known.as_ref(), conditional))
            .catch_unwind()
            .await;
        let asked = asked.unwrap_or_else(|panic| {
            self.inner.stats.panics.add();
            Err(format!("panicked: {}", message(&*panic)))
        });
        let (part, brought) = match asked {
            Ok((part, brought)) => (Ok(part), brought),
            Err(reason) => {
                self.inner.stats.failures.add();
                (Err(reason), Brought::Failure)
            }
        };
        let took = clock.monotonic().saturating_sub(began);
        Arrival {
            known: known.clone(),
            part,
            fetch: Some(Fetch {
                source: slot.source(),
                took,
                brought,
            }),
        }
    }

    async fn ask(
        &self,
        slot: Slot,
        known: Option<&Part<C::Body>>,
        conditional: bool,
    ) -> Result<(Part<C::Body>, Brought), String> {
        let Inner {
            composer,
            ledger,
            stats,
            ..
        } = &*self.inner;
        let source = slot.source();
        let _permit = composer.admit(source).await.map_err(|error| chain(&error))?;
        // Position and time after the wait for a permit, before the request goes out (rule 9).
        let stamp = ledger.stamp();
        stats.fetches.add();
        let asked_about = known.filter(|_| conditional);
        let fetched = composer
            .fetch(&self.key, source, asked_about)
            .await
            .map_err(|error| chain(&error))?;
        match fetched {
            Fetched::New {
                version,
                body,
                holds_for,
            } => {
                self.believe(known, version)?;
                Ok((
                    Part::answered(source, stamp, version, body, holds_for),
                    Brought::New,
                ))
            }
            // It confirms the part that was asked about, not what may be resident by now (rule 9).
            Fetched::NotModified { holds_for } => {
                let known = asked_about
                    .ok_or("said that nothing was modified, though it was not asked about anything")?
                    .clone();
                stats.not_modified.add();
                Ok((known.confirmed(stamp, holds_for), Brought::NotModified))
            }
        }
    }

    /// A source answers from its primary: what was known before the request began is in the answer. If it is not, the
    /// answer is not believed (rule 15).
    fn believe(&self, known: Option<&Part<C::Body>>, answered: Version) -> Result<(), String> {
        match known.map(|part| part.version) {
            Some(Version {
                incarnation,
                revision,
            }) if incarnation == answered.incarnation && revision > answered.revision => {
                self.inner.stats.regressions.add();
                tracing::warn!(key = ?self.key, known = revision, answered = answered.revision, "revision went back");
                Err(format!(
                    "answered with revision {}, after revision {revision}",
                    answered.revision
                ))
            }
            _ => Ok(()),
        }
    }

    /// Merges what arrived with what is known, renders and stores it.
    async fn land(&mut self, arrivals: Vec<Arrival<C::Body>>) -> Landed<C> {
        let fetches = arrivals.iter().filter_map(|arrival| arrival.fetch).collect();
        let watermarks = self.inner.ledger.watermarks();
        let resident = self.inner.pages.get(&self.key).await;
        let proof = Proof::new(&self.inner.ledger, &watermarks);
        let mut states = Vec::with_capacity(arrivals.len());
        for (index, arrival) in arrivals.into_iter().enumerate() {
            let resident = resident.as_ref().and_then(|entry| entry.known(index));
            let known = merge(arrival.known, resident);
            let state = self.settle(self.slots[index], known.clone(), arrival.part, &proof);
            self.inner.stats.count_state(&state);
            self.landed[index] = state.part().cloned().or(known);
            states.push(state);
        }
        let (entry, stored) = self.store(states, &proof).await;
        Landed {
            entry,
            fetches,
            stored,
        }
    }

    fn settle(
        &self,
        slot: Slot,
        known: Option<Part<C::Body>>,
        arrived: Result<Part<C::Body>, String>,
        proof: &Proof<'_>,
    ) -> PartState<C::Body> {
        match (arrived, known) {
            (Ok(part), Some(known)) => PartState::Current(part.merge(known)),
            (Ok(part), None) => PartState::Current(part),
            (Err(reason), None) => PartState::Missing { reason },
            (Err(reason), Some(known)) => self.fall_back(slot, known, reason, proof),
        }
    }

    /// What is shown of a part whose source could not be asked (rule 12).
    fn fall_back(
        &self,
        slot: Slot,
        known: Part<C::Body>,
        reason: String,
        proof: &Proof<'_>,
    ) -> PartState<C::Body> {
        let part = match proven(known, slot, proof) {
            // The feed came back while the source was gone.
            Ok(part) => return PartState::Current(part),
            Err(part) => part,
        };
        if self.inner.ledger.deleted(slot, part.position) {
            return PartState::Missing {
                reason: format!("{reason}; what was known is deleted"),
            };
        }
        if proof.now().saturating_since(part.complete_until) >= self.inner.options.max_stale {
            return PartState::Missing {
                reason: format!("{reason}; what was known is too old"),
            };
        }
        PartState::Stale { part, reason }
    }

    async fn store(&self, states: Vec<PartState<C::Body>>, proof: &Proof<'_>) -> (Arc<Entry<C>>, bool) {
        let Inner {
            composer,
            options,
            pages,
            ..
        } = &*self.inner;
        let page = composer.render(&self.key, &states);
        let weight = composer.weight(&page);
        let entry = Arc::new(Entry::new(
            page,
            states,
            Arc::clone(&self.slots),
            proof.now(),
            weight,
        ));
        let stored = u64::from(weight) <= options.max_bytes;
        if stored {
            pages.insert(self.key.clone(), Arc::clone(&entry)).await;
        } else {
            // The page before it must go all the same: it may be older than this answer, and yet proven (I2).
            pages.invalidate(&self.key).await;
        }
        (entry, stored)
    }
}

impl<C: Composer> Drop for Pilot<C> {
    fn drop(&mut self) {
        // The runtime ended the task: without this the page could never be composed again.
        if !self.ended {
            self.inner.slots.abandon(&self.key);
        }
    }
}

/// The part, dated by this check: proven or not.
fn proven<B>(mut part: Part<B>, slot: Slot, proof: &Proof<'_>) -> Result<Part<B>, Part<B>> {
    let verdict = proof.check(slot, &part);
    part.complete_until = verdict.complete_until;
    if verdict.doubt.is_none() {
        Ok(part)
    } else {
        Err(part)
    }
}

fn merge<B>(one: Option<Part<B>>, other: Option<Part<B>>) -> Option<Part<B>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.merge(other)),
        (one, other) => one.or(other),
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(line, ": {error}").expect("a string takes whatever is written to it");
        cause = error.source();
    }
    line
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}
