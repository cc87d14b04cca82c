//! The task that composes a page: begins flights, and lands them: merges, renders, stores (rules 11 and 12).
//!
//! One task per page at a time, and of its page it is the only writer. Readers come and go; it flies on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;
use tracing::Instrument as _;

use crate::answer::Entry;
use crate::cache::Inner;
use crate::composer::Composer;
use crate::ledger::{Slot, Watermarks};
use crate::leg::{Arrival, Leg, message};
use crate::part::{Part, PartState};
use crate::proof::Proof;
use crate::slots::{Departure, Landed};

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
                .map(|(leg, &slot)| self.inner.arrive(&self.key, leg, slot)),
        );
        let arrivals = arrivals.await;
        self.land(arrivals).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{CacheOptions, Demand, FreshCache};
    use crate::clock::Moment;
    use crate::ledger::{Ledger, LedgerOptions, SourceId};
    use crate::part::{Fetched, Version};
    use std::convert::Infallible;
    use std::sync::OnceLock;

    /// A composer whose page becomes newer while its source answers, as if something else had written it.
    #[derive(Default)]
    struct Overtaken(Arc<OnceLock<FreshCache<Overtaken>>>);

    impl Overtaken {
        fn entry(&self, revision: u64) -> Arc<Entry<Self>> {
            let cache = self.0.get().expect("the test set it");
            let slots = Arc::from([cache.inner.ledger.slot(SourceId(0), 1)]);
            let version = Version {
                incarnation: 1,
                revision,
            };
            let part = Part::answered(SourceId(0), cache.inner.ledger.stamp(), version, revision, None);
            Arc::new(Entry::new(
                revision,
                vec![PartState::Current(part)],
                slots,
                Moment::default(),
                1,
            ))
        }
    }

    impl Composer for Overtaken {
        type Key = u64;
        type Body = u64;
        type Page = u64;
        type Error = Infallible;

        fn dependencies(&self, _key: &u64) -> Vec<(SourceId, u64)> {
            vec![(SourceId(0), 1)]
        }

        async fn fetch(
            &self,
            key: &u64,
            _source: SourceId,
            _known: Option<&Part<u64>>,
        ) -> Result<Fetched<u64>, Infallible> {
            let newer = self.entry(6);
            self.0
                .get()
                .expect("the test set it")
                .inner
                .pages
                .insert(*key, newer)
                .await;
            Ok(Fetched::New {
                version: Version {
                    incarnation: 1,
                    revision: 5,
                },
                body: 5,
                holds_for: None,
            })
        }

        fn render(&self, _key: &u64, parts: &[PartState<u64>]) -> u64 {
            parts[0].part().expect("the source answers").body
        }

        fn weight(&self, _page: &u64) -> u32 {
            1
        }
    }

    #[tokio::test]
    async fn a_landing_merges_with_what_became_resident_during_the_flight() {
        let composer = Overtaken::default();
        let itself = Arc::clone(&composer.0);
        let (ledger, _hearing) = Ledger::new(1, LedgerOptions::default());
        let cache = FreshCache::new(composer, ledger, CacheOptions::default());
        itself.set(cache.clone()).expect("it is set once");
        assert_eq!(*cache.read(&1, Demand::Any).await.entry.page(), 6);
        assert_eq!(*cache.read(&1, Demand::Any).await.entry.page(), 6);
    }
}
