//! The task that composes a page: begins flights, and lands them: merges, renders, stores (rules 11 and 12).
//!
//! One task per page at a time, and of its page it is the only writer. Readers come and go; it flies on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::join_all;

use crate::cache::Inner;
use crate::feed::state::{Position, Slot, SourceId, Watermarks};
use crate::fragment::{Carried, Part, PartState};
use crate::freshness::Proof;
use crate::load::fetch::{Arrival, Leg, message};
use crate::load::in_flight::{Departure, Landed, Wish};
use crate::loader::Composer;
use crate::page::{Brought, Entry, Fetch, Made, Rest};
use crate::refresh::Refresh;
use crate::strategy::Tactic;

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
            let Departure {
                legs,
                landing,
                context,
            } = self.depart();
            let flight = AssertUnwindSafe(context.run(self.fly(&legs))).catch_unwind();
            let landed = flight.await.map_err(|panic| {
                self.inner.stats.panics.add();
                Arc::from(message(&*panic))
            });
            // The slot before the waiters: one who got this answer and comes again must not find the flight in the air.
            self.ended = !self.inner.slots.land(&self.key);
            landing.send_replace(Some(landed));
        }
    }

    /// Composes a page for one reader alone, who waits for nobody else and leaves nothing behind.
    pub(crate) async fn fly_alone(mut self) -> Landed<C> {
        self.ended = true; // it never had a slot
        let watermarks = self.inner.ledger.watermarks();
        let nothing = self.slots.iter().map(|_| None).collect();
        let legs = self.plan(&watermarks, nothing, None, Wish::any());
        self.fly(&legs).await
    }

    /// Begins the boarding flight: decides which parts are kept and which are asked for.
    fn depart(&self) -> Departure<C> {
        // The watermarks first, the page and its proof second (rule 10).
        let watermarks = self.inner.ledger.watermarks();
        let resident = self.inner.pages.get(&self.key);
        let known = self.known(resident.as_deref());
        let departed = self.inner.ledger.clock().monotonic();
        self.inner.slots.depart(&self.key, departed, |wish| {
            self.plan(&watermarks, known, resident.as_deref(), wish)
        })
    }

    /// What is known of each part: from the page that is resident, from the flights before this one, or else from what was
    /// remembered of the past.
    fn known(&self, resident: Option<&Entry<C>>) -> Vec<Option<Part<C::Body>>> {
        let mut known = Vec::with_capacity(self.landed.len());
        for (index, landed) in self.landed.iter().enumerate() {
            let part = merge(landed.clone(), resident.and_then(|entry| entry.known(index)));
            known.push(match part {
                Some(part) => Some(part),
                None => self.inner.remembered(&self.key, index),
            });
        }
        known
    }

    fn plan(
        &self,
        watermarks: &Watermarks,
        mut known: Vec<Option<Part<C::Body>>>,
        resident: Option<&Entry<C>>,
        wish: Wish<C::Body>,
    ) -> Arc<[Leg<C::Body>]> {
        let Inner { ledger, tactic, .. } = &*self.inner;
        for (index, part) in wish.carried {
            // None only if the composer named other dependencies before, which it must not.
            let Some(known) = known.get_mut(index) else {
                continue;
            };
            let part = self.believe_carried(known.as_ref(), part);
            *known = merge(known.take(), Some(part));
        }
        let proof = Proof::new(ledger, watermarks);
        let leg = |(index, known): (usize, Option<Part<C::Body>>)| {
            let asked = wish.afresh || wish.ask.contains(&index);
            let known = known.map(|part| dated(part, self.slots[index], &proof, &**tactic));
            let known = match known {
                Some((part, Proven::Yes)) if !asked => return Leg::Keep(part),
                known => known.map(|(part, _)| part),
            };
            let failed = resident
                .filter(|_| !asked)
                .and_then(|entry| entry.failed(index, &proof));
            if let Some(rest) = failed {
                return Leg::Rest { known, rest };
            }
            Leg::Ask {
                known,
                conditional: !wish.afresh && tactic.asks_about_known(),
                position: ledger.position(),
            }
        };
        known.into_iter().enumerate().map(leg).collect()
    }

    /// What an event carried, as far as it counts (rule 17): its publisher may have been replaced, which a flight can know
    /// before it is heard. Then it is something to ask about, like what is remembered of the past.
    fn believe_carried(&self, known: Option<&Part<C::Body>>, mut carried: Part<C::Body>) -> Part<C::Body> {
        let asked_for = known.filter(|known| known.position > Position::ZERO);
        let counts = match asked_for {
            Some(known) => {
                known.claim == carried.claim && known.version.incarnation == carried.version.incarnation
            }
            None => self.inner.options.refresh.of == Refresh::All,
        };
        if counts {
            self.inner.stats.carried.add();
        } else {
            carried.position = Position::ZERO;
        }
        carried
    }

    async fn fly(&mut self, legs: &[Leg<C::Body>]) -> Landed<C> {
        self.inner.stats.flights.add();
        let arrive = |leg, slot| self.inner.arrive(&self.key, leg, slot);
        let arrivals = legs.iter().zip(self.slots.iter());
        let mut arrivals = join_all(arrivals.map(|(leg, &slot)| arrive(leg, slot))).await;
        if !self.conflicts(arrivals.iter().map(Arrival::part)).is_empty() {
            self.ask_for_what_was_kept(legs, &mut arrivals).await;
        }
        self.land(arrivals)
    }

    /// The parts that contradict the others.
    fn conflicts<'a>(
        &self,
        parts: impl Iterator<Item = Option<&'a Part<C::Body>>>,
    ) -> Vec<(usize, &'static str)> {
        let parts: Vec<_> = parts.collect();
        let Inner { composer, .. } = &*self.inner;
        let conflicts = self.inner.guard(|| composer.conflicts(&self.key, &parts));
        conflicts.unwrap_or_default()
    }

    /// Of parts that contradict each other one may be older than its source, though it is proven: the event is on its way.
    async fn ask_for_what_was_kept(&self, legs: &[Leg<C::Body>], arrivals: &mut [Arrival<C::Body>]) {
        for ((leg, arrival), &slot) in legs.iter().zip(arrivals).zip(self.slots.iter()) {
            if let Leg::Keep(part) = leg {
                let again = Leg::Ask {
                    known: Some(part.clone()),
                    conditional: self.inner.tactic.asks_about_known(),
                    position: self.inner.ledger.position(),
                };
                *arrival = self.inner.arrive(&self.key, &again, slot).await;
            }
        }
    }

    /// Merges what arrived with what is known, renders and stores it.
    fn land(&mut self, arrivals: Vec<Arrival<C::Body>>) -> Landed<C> {
        let fetches: Arc<[Fetch]> = arrivals.iter().filter_map(|arrival| arrival.fetch).collect();
        let watermarks = self.inner.ledger.watermarks();
        let resident = self.inner.pages.get(&self.key);
        let proof = Proof::new(&self.inner.ledger, &watermarks);
        let mut states = Vec::with_capacity(arrivals.len());
        let mut rests: Vec<_> = arrivals.iter().map(|arrival| arrival.rest.clone()).collect();
        for (index, arrival) in arrivals.into_iter().enumerate() {
            let resident = resident.as_ref().and_then(|entry| entry.known(index));
            let known = merge(arrival.known, resident);
            let state = self.settle(self.slots[index], known.clone(), arrival.part, &proof);
            self.landed[index] = state.part().cloned().or(known);
            states.push(state);
        }
        self.leave_out_conflicts(&mut states, &mut rests, &proof);
        for state in &states {
            self.inner.stats.count_state(state);
        }
        self.count_overtaken(&states);
        let entry = self.make(states, rests, resident.as_deref(), &fetches, &proof);
        let stored = self.inner.store(&self.key, &entry);
        Landed {
            entry,
            fetches,
            stored,
        }
    }

    /// What contradicts the rest is not shown, and not asked for again until a moment later, or until something is heard of it.
    fn leave_out_conflicts(
        &self,
        states: &mut [PartState<C::Body>],
        rests: &mut [Option<Rest>],
        proof: &Proof<'_>,
    ) {
        for (index, reason) in self.conflicts(states.iter().map(PartState::part)) {
            let Some(part) = states.get(index).and_then(PartState::part) else {
                continue;
            };
            rests[index] = Some(Rest {
                reason: reason.into(),
                until: proof.monotonic().saturating_add(self.inner.options.retry_after),
                position: part.position,
            });
            states[index] = PartState::Missing {
                reason: reason.to_owned(),
            };
        }
    }

    /// Counts a flight that brought what is not proven even as it lands.
    fn count_overtaken(&self, states: &[PartState<C::Body>]) {
        let passed = |(state, &slot): (&PartState<C::Body>, &Slot)| match state {
            PartState::Current(part) => self.inner.ledger.passed(slot, part.position),
            PartState::Stale { .. } | PartState::Missing { .. } => false,
        };
        if states.iter().zip(&*self.slots).any(passed) {
            self.inner.stats.overtaken.add();
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
        let part = match dated(known, slot, proof, &*self.inner.tactic) {
            // The feed came back while the source was gone.
            (part, Proven::Yes) => return PartState::Current(part),
            (part, Proven::No) => part,
        };
        if self.inner.ledger.deleted(slot, part.position) {
            return PartState::Missing {
                reason: format!("{reason}; what was known is deleted"),
            };
        }
        if proof.now().saturating_since(proof.tell(part.complete_until)) >= self.inner.options.max_stale {
            return PartState::Missing {
                reason: format!("{reason}; what was known is too old"),
            };
        }
        PartState::Stale { part, reason }
    }

    /// Renders the page, unless it is the resident one, word for word.
    fn make(
        &self,
        states: Vec<PartState<C::Body>>,
        rests: Vec<Option<Rest>>,
        resident: Option<&Entry<C>>,
        fetches: &[Fetch],
        proof: &Proof<'_>,
    ) -> Arc<Entry<C>> {
        let Inner { composer, stats, .. } = &*self.inner;
        let nothing_new = fetches.iter().all(|fetch| fetch.brought != Brought::New);
        let same = resident.filter(|entry| nothing_new && entry.shows(&states));
        let (page, weight) = if let Some(entry) = same {
            (entry.shared_page(), entry.weight())
        } else {
            stats.renders.add();
            let page = composer.render(&self.key, &states);
            let weight = composer.weight(&page);
            (Arc::new(page), weight)
        };
        Arc::new(Entry::new(Made {
            page,
            parts: states,
            slots: &self.slots,
            composed: proof.date(),
            rests,
            read: resident.is_some_and(Entry::was_read),
            weight,
        }))
    }
}

impl<C: Composer> Inner<C> {
    /// Keeps the page; whether it could be kept.
    fn store(&self, key: &C::Key, entry: &Arc<Entry<C>>) -> bool {
        if !self.tactic.keeps_pages() {
            return false;
        }
        let stored = u64::from(entry.weight()) <= self.options.max_bytes;
        if stored {
            self.pages.insert(key.clone(), Arc::clone(entry));
        } else {
            // The page before it must go all the same: it may be older than this answer, and yet proven (I2).
            self.pages.invalidate(key);
        }
        stored
    }

    /// What was remembered of one part of a page: a body, and no evidence (rule 19).
    fn remembered(&self, key: &C::Key, index: usize) -> Option<Part<C::Body>> {
        let dependencies = self.guard(|| self.composer.dependencies(key))?;
        let (source, entity) = *dependencies.get(index)?;
        let carried = self.remembered.get(&(source, entity))?;
        let mut part = self.part_of(key, source, Position::ZERO, &carried)?;
        part.complete_until = self.ledger.believable(carried.committed);
        Some(part)
    }

    /// The part that an event's fragment makes.
    pub(crate) fn part_of(
        &self,
        key: &C::Key,
        source: SourceId,
        position: Position,
        carried: &Carried,
    ) -> Option<Part<C::Body>> {
        let body = self.guard(|| self.composer.read_carried(key, source, carried))??;
        Some(Part::carried(source, position, carried, body))
    }

    /// Calls the composer where nobody waits who could be told of its panic.
    pub(crate) fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let called = std::panic::catch_unwind(AssertUnwindSafe(call));
        called.inspect_err(|_| self.stats.panics.add()).ok()
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

/// Whether a part needs no request.
enum Proven {
    Yes,
    No,
}

/// The part, dated by this check.
fn dated<B>(mut part: Part<B>, slot: Slot, proof: &Proof<'_>, tactic: &dyn Tactic) -> (Part<B>, Proven) {
    let verdict = tactic.check(proof, slot, part.evidence());
    part.complete_until = verdict.complete_until;
    let proven = match verdict.doubt {
        None => Proven::Yes,
        Some(_) => Proven::No,
    };
    (part, proven)
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
    use crate::cache::FreshCache;
    use crate::clock::Date;
    use crate::feed::state::{Ledger, LedgerOptions, SourceId};
    use crate::fragment::{Claim, Fetched, Version};
    use crate::options::{CacheOptions, Demand};
    use std::convert::Infallible;
    use std::sync::OnceLock;

    /// A composer whose page becomes newer while its source answers, as if something else had written it.
    #[derive(Default)]
    struct Overtaken(Arc<OnceLock<FreshCache<Overtaken>>>);

    impl Overtaken {
        fn entry(&self, revision: u64) -> Arc<Entry<Self>> {
            let cache = self.0.get().expect("the test set it");
            let slots = [cache.inner.ledger.slot(SourceId(0), 1)];
            let version = Version {
                incarnation: 1,
                revision,
                nonce: 0,
            };
            let part = Part::answered(
                SourceId(0),
                cache.inner.ledger.stamp(),
                version,
                Some(Claim::default()),
                revision,
                None,
            );
            Arc::new(Entry::new(Made {
                page: Arc::new(revision),
                parts: vec![PartState::Current(part)],
                slots: &slots,
                composed: Date::default(),
                rests: vec![None],
                read: false,
                weight: 1,
            }))
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
                .insert(*key, newer);
            Ok(Fetched::New {
                version: Version {
                    incarnation: 1,
                    revision: 5,
                    nonce: 0,
                },
                claim: Some(Claim::default()),
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
