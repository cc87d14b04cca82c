//! Random histories of writers, a lossy feed, readers, flights, evictions, outages and resets, and the invariants of
//! the design on every answer: no resurrection (I1), never back in time (I2), true dates (I3), convergence (I5).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fresh_cache::{
    Answer, CacheOptions, Clock as _, Demand, FreshCache, Hearing, Ledger, LedgerOptions, ManualClock,
    Moment, Outcome, PartState, SourceId, Stats,
};
use futures::FutureExt as _;

use crate::sea::{Dice, ENTITIES, Sea, Ships};

const HISTORIES: u64 = 300;
const STEPS: u64 = 400;
const READERS: usize = 8;

/// What must be in an answer, as known when its reader arrived: per source, as indexes of states.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    applied: [usize; 2],
    deleted: [usize; 2],
    shown: [usize; 2],
}

struct History {
    seed: u64,
    dice: Dice,
    sea: Arc<Sea>,
    hearing: Hearing,
    cache: FreshCache<Ships>,
    /// Per entity, the latest states that any answer showed.
    shown: Rc<RefCell<[[usize; 2]; ENTITIES]>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl History {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        // So few slots that entities share them.
        let options = LedgerOptions {
            slots: 4,
            ..LedgerOptions::default()
        };
        let (ledger, hearing) = Ledger::with_clock(2, options, Arc::new(clock.clone()));
        let sea = Arc::new(Sea::new(clock));
        let options = CacheOptions {
            max_stale: Duration::from_secs(20),
            ..CacheOptions::default()
        };
        let cache = FreshCache::new(Ships(Arc::clone(&sea)), ledger, options);
        let (shown, readers) = (Rc::default(), Vec::new());
        Self {
            seed,
            dice: Dice(seed),
            sea,
            hearing,
            cache,
            shown,
            readers,
        }
    }

    async fn run(&mut self) {
        for _ in 0..STEPS {
            self.step().await;
            self.settle().await;
        }
        self.come_to_rest().await;
    }

    async fn step(&mut self) {
        let source = self.dice.below(2);
        let entity = self.dice.below(ENTITIES);
        let now = self.sea.clock.now();
        let sea = Arc::clone(&self.sea);
        let mut at = sea.sources[source].lock().unwrap();
        match self.dice.below(100) {
            0..6 => at.mutate(entity, self.dice.one_in(5), now),
            6..18 => at.publish(now, true, &mut self.dice),
            18..35 => _ = at.hear(SourceId(source), &mut self.hearing),
            35..37 => at.duplicate(&mut self.dice),
            37..39 => at.down = self.dice.one_in(4),
            39..40 if self.dice.one_in(4) => at.reset(now),
            40..50 => {
                let longest = if self.dice.one_in(10) { 3_000 } else { 200 };
                sea.clock
                    .advance(Duration::from_millis(1 + self.dice.below(longest) as u64));
            }
            50..53 => {
                drop(at);
                self.cache.forget(&entity).await;
            }
            53..70 if self.readers.len() < READERS => {
                drop(at);
                self.arrive(entity);
            }
            _ => _ = sea.step_a_fetch(&mut self.dice),
        }
    }

    /// A reader arrives, and checks what it gets.
    fn arrive(&mut self, entity: usize) {
        let demand = if self.dice.one_in(10) {
            Demand::Afresh
        } else {
            Demand::Any
        };
        let floor = self.floor(entity);
        let (cache, sea, shown) = (self.cache.clone(), Arc::clone(&self.sea), Rc::clone(&self.shown));
        let seed = self.seed;
        self.readers.push(tokio::task::spawn_local(async move {
            let answer = cache.read(&entity, demand).await;
            for source in 0..2 {
                check(
                    &sea,
                    entity,
                    source,
                    &answer,
                    floor,
                    &format!("history {seed}, source {source}"),
                );
                if let Some(part) = answer.entry.page()[source] {
                    let latest = &mut shown.borrow_mut()[entity][source];
                    *latest = part.state.max(*latest);
                }
            }
        }));
    }

    fn floor(&self, entity: usize) -> Floor {
        let mut floor = Floor {
            shown: self.shown.borrow()[entity],
            ..Floor::default()
        };
        for source in 0..2 {
            let at = self.sea.sources[source].lock().unwrap();
            floor.applied[source] = at.applied[entity];
            floor.deleted[source] = at.deleted[entity];
        }
        floor
    }

    /// The faults stop: within a moment, every page is a hit, and the latest (I5).
    async fn come_to_rest(&mut self) {
        // What had failed is asked again after a second.
        self.sea.clock.advance(Duration::from_secs(1));
        for (index, source) in self.sea.sources.iter().enumerate() {
            let mut source = source.lock().unwrap();
            source.down = false;
            source.publish(self.sea.clock.now(), false, &mut self.dice);
            while source.hear(SourceId(index), &mut self.hearing) {}
        }
        // The first readers may board what was in the air; the second find every page in order, or put it in order.
        for _ in 0..2 {
            for entity in 0..ENTITIES {
                self.arrive(entity);
            }
            while !self.readers.is_empty() {
                self.sea.step_a_fetch(&mut self.dice);
                self.settle().await;
            }
        }
        self.assert_converged();
        assert_eq!(
            self.cache.flights(),
            0,
            "history {}: a slot is left behind",
            self.seed
        );
    }

    /// Lets every task take the steps it can take, and hears what the readers found.
    async fn settle(&mut self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        for reader in self.readers.extract_if(.., |reader| reader.is_finished()) {
            reader.await.expect("the checks hold");
        }
    }

    fn assert_converged(&self) {
        for entity in 0..ENTITIES {
            let answer = self.cache.read(&entity, Demand::Any).now_or_never();
            let answer = answer.unwrap_or_else(|| panic!("history {}: {entity} is not a hit", self.seed));
            for source in 0..2 {
                let latest = self.sea.sources[source].lock().unwrap().states[entity].len() - 1;
                let state = answer.entry.page()[source].map(|part| part.state);
                assert_eq!(state, Some(latest), "history {}, source {source}", self.seed);
            }
        }
    }
}

/// The invariants, for one part of one answer.
fn check(sea: &Sea, entity: usize, source: usize, answer: &Answer<Ships>, floor: Floor, place: &str) {
    let now = sea.clock.now();
    assert!(answer.fresh_as_of <= now, "{place}: a date in the future");
    if answer.outcome == Outcome::Hit && answer.degraded().next().is_none() {
        let age = now.saturating_since(answer.fresh_as_of);
        assert!(age < Duration::from_secs(1), "{place}: a hit that is {age:?} old");
    }
    let Some(part) = answer.entry.page()[source] else {
        return;
    };
    let states = sea.sources[source].lock().unwrap().states[entity].clone();
    if let Some((committed, _)) = states.get(part.state + 1) {
        let date = answer.fresh_as_of;
        assert!(
            *committed >= date,
            "{place}, I3: lacks what was committed at {committed:?}, dated {date:?}"
        );
    }
    assert!(
        part.state >= floor.deleted[source],
        "{place}: shows what was heard to be deleted"
    );
    if matches!(answer.entry.parts()[source], PartState::Current(_)) {
        assert!(
            part.state >= floor.applied[source],
            "{place}, I1: an event that was applied is undone"
        );
        assert!(part.state >= floor.shown[source], "{place}, I2: back in time");
        let bucket = sea.bucket(source);
        assert!(
            answer.outcome != Outcome::Hit || answer.degraded().next().is_some() || part.bucket == bucket,
            "{place}: past its time"
        );
    }
}

#[test]
fn every_answer_of_every_history_is_true() {
    let mut counts = [0; 9];
    for seed in 0..HISTORIES {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut history = History::new(seed);
        tokio::task::LocalSet::new().block_on(&runtime, history.run());
        let Stats {
            hits,
            stale,
            collapsed,
            not_modified,
            stale_parts,
            missing_parts,
            ..
        } = history.cache.stats();
        let stats = history.cache.stats();
        let of_one = [hits, stale, collapsed, not_modified, stale_parts, missing_parts];
        let rejected = [
            &stats.rejected_by_fence,
            &stats.rejected_by_time,
            &stats.rejected_by_distrust,
        ];
        for (count, of_one) in counts.iter_mut().zip(of_one.into_iter().chain(rejected)) {
            *count += of_one.get();
        }
        assert_eq!(
            stats.regressions.get(),
            0,
            "history {seed}: these sources never lag"
        );
    }
    // A history in which nothing happens proves nothing.
    assert!(counts.iter().all(|&count| count > HISTORIES), "{counts:?}");
}
