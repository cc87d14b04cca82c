//! The same history applied by two replicas, by one as it was published, by the other repeated and permuted across entities:
//! both show the same pages (I6).

use std::sync::Arc;
use std::time::Duration;

use fresh_cache::{
    CacheOptions, Consistency, FeedOptions, FeedWriter, FreshCache, ManualClock, Moment, Outcome, SourceId,
    Strategy, feed,
};

use crate::feed::{Channel, Message};
use crate::random_sources::{Dice, ENTITIES, Pages, RandomSources, Shown};
use crate::truth::{Floor, ShownSoFar, Witness};

const HISTORIES: u64 = 100;
const STEPS: usize = 200;

struct Replica {
    sources: Arc<RandomSources>,
    channels: [Channel; 2],
    writer: FeedWriter<u64>,
    cache: FreshCache<Pages>,
    shown: ShownSoFar,
    place: String,
}

impl Replica {
    /// A replica that pre-populates, for as long as the test's runtime lives.
    fn new(sources: &Arc<RandomSources>, place: String) -> Self {
        let clock = Arc::new(sources.clock.clone());
        let (feed, writer) = feed::channel(
            2,
            FeedOptions {
                clock,
                ..FeedOptions::default()
            },
        );
        let options = CacheOptions {
            strategy: Strategy::Prepopulate,
            ..CacheOptions::default()
        };
        let cache = FreshCache::new(Pages(Arc::clone(sources)), feed, options);
        let refreshing = cache.clone();
        tokio::spawn(async move { refreshing.refresh().await });
        Self {
            sources: Arc::clone(sources),
            channels: [0, 1].map(|source| Channel::new(SourceId(source))),
            writer,
            cache,
            shown: ShownSoFar::default(),
            place,
        }
    }

    fn apply(&mut self, source: usize) -> bool {
        self.channels[source].apply(&mut self.writer, &self.sources, &self.cache)
    }

    /// Reads a page, and checks it; what it shows, and whether it did so without asking anybody.
    async fn read(&mut self, entity: usize) -> (Vec<Option<Shown>>, Moment, bool) {
        let floor = Floor::of(entity, &self.sources, &self.channels, &self.shown);
        let answer = self.cache.read(&entity, Consistency::MinimizeLatency).await;
        let witness = Witness {
            sources: &self.sources,
            strategy: Strategy::Prepopulate,
            entity,
            floor,
            tokens: &[],
            answer: &answer,
            place: self.place.clone(),
        };
        witness.check();
        let page = answer.page.content().clone();
        for (latest, fragment) in self.shown[entity].iter_mut().zip(&page) {
            *latest = fragment.map_or(*latest, |fragment| fragment.state.max(*latest));
        }
        (page, answer.fresh_as_of, answer.outcome == Outcome::Hit)
    }
}

/// Another order of the same messages in which those of each entity keep theirs.
fn permute(mut messages: Vec<Message>, dice: &mut Dice) -> Vec<Message> {
    let mut permuted = Vec::new();
    while !messages.is_empty() {
        let drawn = messages[dice.below(messages.len())].entity();
        let first = messages.iter().position(|message| message.entity() == drawn);
        permuted.push(messages.remove(first.expect("it was drawn from them")));
    }
    permuted
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let sources = Arc::new(RandomSources::free(ManualClock::at(Moment::from_micros(
        1_700_000_000_000_000,
    ))));
    let mut ordered = Replica::new(&sources, format!("history {seed}, in order"));
    let mut permuted = Replica::new(&sources, format!("history {seed}, permuted"));
    for _ in 0..STEPS {
        let (source, entity) = (dice.below(2), dice.below(ENTITIES));
        match dice.below(20) {
            0..7 => sources.sources[source]
                .lock()
                .unwrap()
                .mutate(entity, dice.one_in(5), &sources.clock),
            7..9 => {
                let messages = sources.sources[source].lock().unwrap().publish(&sources.clock);
                ordered.channels[source]
                    .under_way
                    .extend(messages.iter().copied());
                permuted.channels[source]
                    .under_way
                    .extend(permute(messages, &mut dice));
            }
            9..11 => permuted.channels[source].duplicate(&mut dice),
            11..14 => _ = ordered.apply(source),
            14..17 => _ = permuted.apply(source),
            17 => _ = ordered.read(entity).await,
            18 => _ = permuted.read(entity).await,
            _ => sources
                .clock
                .advance(Duration::from_millis(dice.below(300) as u64)),
        }
        tokio::task::yield_now().await;
    }
    for source in 0..2 {
        let messages = sources.sources[source].lock().unwrap().publish(&sources.clock);
        for replica in [&mut ordered, &mut permuted] {
            replica.channels[source]
                .under_way
                .extend(messages.iter().copied());
            while replica.apply(source) {}
        }
    }
    for entity in 0..ENTITIES {
        let one = ordered.read(entity).await;
        let other = permuted.read(entity).await;
        assert_eq!(
            (&one.0, one.1),
            (&other.0, other.1),
            "history {seed}, entity {entity}"
        );
        let (one, other) = (ordered.read(entity).await, permuted.read(entity).await);
        assert!(
            one.2 && other.2,
            "history {seed}, entity {entity}: it does not settle"
        );
    }
}

#[test]
fn repeats_and_another_order_across_entities_change_no_page() {
    for seed in 0..HISTORIES {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(seed));
    }
}
