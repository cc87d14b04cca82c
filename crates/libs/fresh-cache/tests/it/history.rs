//! Random histories of writers, a lossy feed, readers, loads, refreshes, evictions, outages, resets and clocks that are
//! set back, and the invariants of the design on every answer: no resurrection (I1), never back in time (I2), true dates
//! (I3), no trust without evidence (I4), convergence (I5).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fresh_cache::{
    CacheOptions, Consistency, FeedOptions, FeedWriter, FreshCache, ManualClock, Moment, SourceId, Stats,
    Strategy, feed,
};
use futures::FutureExt as _;

use crate::feed::Channel;
use crate::random_sources::{CARRYING, Dice, ENTITIES, Pages, RandomSources, event_fragment};
use crate::truth::{Floor, ShownSoFar, Token, Witness};

const STEPS: u64 = 400;
const READERS: usize = 8;

struct History {
    seed: u64,
    strategy: Strategy,
    dice: Dice,
    sources: Arc<RandomSources>,
    channels: [Channel; 2],
    writer: FeedWriter<u64>,
    /// Whether the replica's consumer stands still.
    paused: bool,
    cache: FreshCache<Pages>,
    shown: Rc<RefCell<ShownSoFar>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
}

impl History {
    fn new(seed: u64, strategy: Strategy) -> Self {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        // So few fences that entities share them. Which do is drawn anew for every feed: a seed fixes all but that.
        let options = FeedOptions {
            fences: 4,
            ..FeedOptions::default()
        };
        let (feed, writer) = feed::channel(
            2,
            FeedOptions {
                clock: Arc::new(clock.clone()),
                ..options
            },
        );
        let sources = Arc::new(RandomSources::held(clock));
        let options = CacheOptions {
            strategy,
            max_stale: Duration::from_secs(20),
            ..CacheOptions::default()
        };
        Self {
            seed,
            strategy,
            dice: Dice(seed),
            channels: [0, 1].map(|source| Channel::new(SourceId(source))),
            writer,
            paused: false,
            cache: FreshCache::new(Pages(Arc::clone(&sources)), feed, options),
            sources,
            shown: Rc::default(),
            readers: Vec::new(),
        }
    }

    async fn run(&mut self) {
        self.remember();
        let cache = self.cache.clone();
        let refreshing = tokio::task::spawn_local(async move { cache.refresh().await });
        for _ in 0..STEPS {
            self.step();
            self.settle().await;
        }
        self.end_the_faults().await;
        refreshing.abort();
    }

    /// What the replica is told of the past before it receives anything: any state, the latest or not.
    fn remember(&mut self) {
        for entity in 0..ENTITIES {
            let (state, committed) = {
                let mut source = self.sources.sources[CARRYING.0].lock().unwrap();
                for _ in 0..self.dice.below(4) {
                    source.mutate(entity, false, &self.sources.clock);
                    self.sources.clock.advance(Duration::from_secs(2));
                }
                source.publish(&self.sources.clock);
                let state = self.dice.below(source.states[entity].len());
                let committed = source.states[entity][state];
                source.vouch(committed.at);
                (state, committed)
            };
            self.cache
                .remember(CARRYING, entity as u64, event_fragment(state, committed));
        }
    }

    fn step(&mut self) {
        let (source, entity) = (self.dice.below(2), self.dice.below(ENTITIES));
        match self.dice.below(200) {
            0..12 => self.mutate(source, entity),
            12..36 => self.publish(source, true),
            36..70 => self.apply(source),
            70..73 => self.channels[source].duplicate(&mut self.dice),
            73..75 => self.channels[source].truncate(&mut self.dice),
            75 => self.recreate_stream(),
            76 => self.paused = !self.paused,
            77..81 => self.sources.sources[source].lock().unwrap().down = self.dice.one_in(4),
            81 if self.dice.one_in(3) => self.sources.sources[source]
                .lock()
                .unwrap()
                .reset(&self.sources.clock),
            82 if self.dice.one_in(3) => self.sources.set_the_clock_back(),
            83..103 => self.pass_time(),
            103..109 => self.cache.evict(&entity),
            109..143 if self.readers.len() < READERS => self.arrive(entity),
            _ => _ = self.sources.step_a_fetch(&mut self.dice),
        }
    }

    fn mutate(&mut self, source: usize, entity: usize) {
        let deleted = self.dice.one_in(5);
        let mut source = self.sources.sources[source].lock().unwrap();
        source.mutate(entity, deleted, &self.sources.clock);
    }

    /// The relay publishes; some of it is lost on the way.
    fn publish(&mut self, source: usize, losses: bool) {
        let messages = self.sources.sources[source]
            .lock()
            .unwrap()
            .publish(&self.sources.clock);
        let arrive = messages.into_iter().filter(|_| !(losses && self.dice.one_in(8)));
        self.channels[source].under_way.extend(arrive);
    }

    fn apply(&mut self, source: usize) {
        // A replica that was paused has a backlog, and applies it as fast as it can.
        let messages = 1 + self.dice.below(3);
        for _ in 0..messages {
            if !self.paused {
                self.channels[source].apply(&mut self.writer, &self.sources, &self.cache);
            }
        }
    }

    /// The stream is made anew: all that is under way is gone, and the feed notices.
    fn recreate_stream(&mut self) {
        self.channels
            .iter_mut()
            .for_each(|channel| channel.under_way.clear());
        self.writer.lost_all();
    }

    fn pass_time(&mut self) {
        let longest = if self.dice.one_in(10) { 3_000 } else { 200 };
        let time = Duration::from_millis(1 + self.dice.below(longest) as u64);
        self.sources.clock.advance(time);
    }

    /// A reader arrives, and checks what it gets.
    fn arrive(&mut self, entity: usize) {
        let full = self.dice.one_in(10);
        let tokens = self.tokens(entity);
        let floor = Floor::of(entity, &self.sources, &self.channels, &self.shown.borrow());
        let (cache, sources, shown) = (
            self.cache.clone(),
            Arc::clone(&self.sources),
            Rc::clone(&self.shown),
        );
        let (place, strategy) = (format!("history {}", self.seed), self.strategy);
        self.readers.push(tokio::task::spawn_local(async move {
            let versions: Vec<_> = tokens
                .iter()
                .map(|&(source, version, _)| fresh_cache::Token::of(source, entity as u64, version))
                .collect();
            let consistency = match versions.as_slice() {
                versions if full => Consistency::FullyConsistent(versions),
                [] => Consistency::MinimizeLatency,
                versions => Consistency::AtLeastAsFresh(versions),
            };
            let answer = cache.read(&entity, consistency).await;
            let witness = Witness {
                sources: &sources,
                strategy,
                entity,
                floor,
                tokens: &tokens,
                answer: &answer,
                place,
            };
            witness.check();
            for (latest, fragment) in shown.borrow_mut()[entity].iter_mut().zip(answer.page.content()) {
                *latest = fragment.map_or(*latest, |fragment| fragment.state.max(*latest));
            }
        }));
    }

    /// What a reader knows of, because it was acknowledged to it or read elsewhere; or because it made it up.
    fn tokens(&mut self, entity: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        for source in 0..2 {
            if !self.dice.one_in(4) {
                continue;
            }
            let at = self.sources.sources[source].lock().unwrap();
            let state = at.states[entity].len() - 1 - self.dice.below(at.states[entity].len().min(2));
            let mut version = at.states[entity][state].version;
            let made_up = self.dice.one_in(8);
            if made_up {
                version.revision += 1_000;
            }
            tokens.push((SourceId(source), version, (!made_up).then_some(state)));
        }
        tokens
    }

    /// The faults stop: within a moment, every page is a hit, and the latest (I5).
    async fn end_the_faults(&mut self) {
        // What had failed is asked again after a second.
        self.sources.clock.advance(Duration::from_secs(1));
        self.paused = false;
        for source in 0..2 {
            self.sources.sources[source].lock().unwrap().down = false;
            self.publish(source, false);
            while self.channels[source].apply(&mut self.writer, &self.sources, &self.cache) {}
        }
        // The first readers may join what was in flight; the second find every page in order, or put it in order.
        for _ in 0..2 {
            (0..ENTITIES).for_each(|entity| self.arrive(entity));
            while !self.readers.is_empty() || self.cache.loads_in_flight() > 0 {
                self.sources.step_a_fetch(&mut self.dice);
                self.settle().await;
            }
        }
        if matches!(self.strategy, Strategy::Invalidate | Strategy::Prepopulate) {
            self.assert_converged();
        }
    }

    /// Lets every task take the steps it can take, and collects what the readers found.
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
            let answer = self
                .cache
                .read(&entity, Consistency::MinimizeLatency)
                .now_or_never();
            let answer = answer.unwrap_or_else(|| panic!("history {}: {entity} is not a hit", self.seed));
            for source in 0..2 {
                let latest = self.sources.sources[source].lock().unwrap().states[entity].len() - 1;
                let state = answer.page.content()[source].map(|fragment| fragment.state);
                assert_eq!(state, Some(latest), "history {}, source {source}", self.seed);
            }
        }
    }
}

fn run(seed: u64, strategy: Strategy) -> FreshCache<Pages> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut history = History::new(seed, strategy);
    tokio::task::LocalSet::new().block_on(&runtime, history.run());
    let regressions = history.cache.stats().regressions.get();
    assert_eq!(regressions, 0, "history {seed}: these sources never lag");
    history.cache
}

/// Runs histories. What is counted happens at least once in each of them on the average: one in which nothing happens
/// shows nothing.
fn run_all(seeds: std::ops::Range<u64>, strategy: Strategy, count: impl Fn(&Stats) -> Vec<u64>) {
    let histories = seeds.end - seeds.start;
    let counts = seeds.map(|seed| count(run(seed, strategy).stats()));
    let sum =
        |sums: Vec<u64>, of_one: Vec<u64>| sums.iter().zip(of_one).map(|(sum, one)| sum + one).collect();
    let sums = counts.reduce(sum).expect("there is a history");
    assert!(sums.iter().all(|&sum| sum > histories), "{sums:?}");
}

fn common(stats: &Stats) -> Vec<u64> {
    vec![
        stats.hits.get(),
        stats.stale.get(),
        stats.requests.get(),
        stats.collapsed.get(),
        stats.not_modified.get(),
        stats.stale_fragments.get(),
        stats.missing_fragments.get(),
        stats.rejected_by_fence.get(),
        stats.rejected_as_expired.get(),
        stats.rejected_as_untrusted.get(),
    ]
}

#[test]
fn every_answer_of_every_history_is_true_while_events_invalidate() {
    run_all(0..150, Strategy::Invalidate, common);
}

#[test]
fn every_answer_of_every_history_is_true_while_events_refresh() {
    run_all(150..300, Strategy::Prepopulate, |stats| {
        let refreshed = [&stats.refreshes, &stats.event_fragments, &stats.behind];
        let refreshed = refreshed.into_iter().map(fresh_cache::Counter::get);
        common(stats).into_iter().chain(refreshed).collect()
    });
}

#[test]
fn every_answer_of_the_other_strategies_is_dated_truthfully() {
    run_all(300..330, Strategy::None, |stats| vec![stats.bypasses.get()]);
    run_all(330..360, Strategy::Ttl(Duration::from_secs(2)), |stats| {
        vec![stats.hits.get(), stats.stale.get(), stats.collapsed.get()]
    });
    run_all(360..390, Strategy::Versioned, |stats| {
        vec![stats.stale.get(), stats.collapsed.get(), stats.not_modified.get()]
    });
}
