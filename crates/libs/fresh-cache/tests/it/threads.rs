//! The invariants on real threads and real clocks: a writer, a feed and many readers that nothing keeps in step.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fresh_cache::{
    CacheOptions, Clock as _, Consistency, FeedOptions, FeedWriter, FreshCache, Moment, Outcome, SourceId,
    SystemClock, feed,
};

use crate::pages::Pages;

const SOURCE: SourceId = SourceId(0);
const ENTITY: u64 = 7;
const MUTATIONS: usize = 20_000;
const READERS: usize = 4;

/// One entity of one source, and what is known of it from outside.
#[derive(Debug)]
struct Shared {
    clock: SystemClock,
    /// Committed.
    revision: Mutex<usize>,
    /// When the writer of each revision had its answer, in microseconds; 0 before.
    acknowledged: Vec<AtomicU64>,
    /// The latest revision whose event was applied.
    applied: AtomicUsize,
    /// The latest revision that any reader saw.
    shown: AtomicUsize,
}

impl Shared {
    async fn ask(self: Arc<Self>) -> u64 {
        tokio::task::yield_now().await;
        let revision = *self.revision.lock().unwrap();
        tokio::task::yield_now().await;
        revision as u64
    }
}

fn write(shared: &Shared) {
    for revision in 1..=MUTATIONS {
        *shared.revision.lock().unwrap() = revision;
        shared.acknowledged[revision].store(shared.clock.now().as_micros(), Ordering::SeqCst);
        if revision % 8 == 0 {
            std::thread::yield_now();
        }
    }
}

/// Relay and feed in one: T first, then the snapshot, its events, and T at last (rule 3).
fn relay(shared: &Shared, writer: &mut FeedWriter<u64>) {
    let mut relayed = 0;
    while relayed < MUTATIONS {
        let complete_until = shared.clock.now();
        let committed = *shared.revision.lock().unwrap();
        while relayed < committed {
            relayed += 1;
            writer.changed(SOURCE, &ENTITY);
            shared.applied.store(relayed, Ordering::SeqCst);
        }
        writer.watermark(SOURCE, complete_until);
        std::thread::yield_now();
    }
}

async fn read(shared: Arc<Shared>, cache: FreshCache<Pages>) -> usize {
    let mut hits = 0;
    loop {
        let applied = shared.applied.load(Ordering::SeqCst);
        let shown = shared.shown.load(Ordering::SeqCst);
        let answer = cache.read(&ENTITY, Consistency::MinimizeLatency).await;
        let revision = usize::try_from(*answer.page.content()).unwrap();
        assert!(
            revision >= applied,
            "I1: event {applied} was applied, then revision {revision} shown"
        );
        assert!(
            revision >= shown,
            "I2: revision {shown} was shown, then {revision}"
        );
        let next = shared
            .acknowledged
            .get(revision + 1)
            .map_or(0, |moment| moment.load(Ordering::SeqCst));
        let date = answer.fresh_as_of;
        assert!(
            next == 0 || Moment::from_micros(next) >= date,
            "I3: lacks what was acknowledged before {date:?}"
        );
        shared.shown.fetch_max(revision, Ordering::SeqCst);
        hits += usize::from(answer.outcome == Outcome::Hit);
        if applied == MUTATIONS {
            return hits;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn every_answer_is_true_while_threads_race() {
    let clock = SystemClock::new();
    let (feed, mut writer) = feed::channel(
        1,
        FeedOptions {
            clock: Arc::new(clock),
            ..FeedOptions::default()
        },
    );
    let shared = Arc::new(Shared {
        clock,
        revision: Mutex::new(0),
        acknowledged: (0..=MUTATIONS).map(|_| AtomicU64::new(0)).collect(),
        applied: AtomicUsize::new(0),
        shown: AtomicUsize::new(0),
    });
    let asked = Arc::clone(&shared);
    let cache = FreshCache::new(
        Pages::new(move |_| Arc::clone(&asked).ask()),
        feed,
        CacheOptions::default(),
    );
    let readers: Vec<_> = (0..READERS)
        .map(|_| tokio::spawn(read(Arc::clone(&shared), cache.clone())))
        .collect();
    let mutating = std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || write(&shared)
    });
    let relaying = std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || relay(&shared, &mut writer)
    });
    let mut hits = 0;
    for reader in readers {
        hits += reader.await.expect("the checks hold");
    }
    mutating.join().expect("it only writes");
    relaying.join().expect("it only speaks");
    assert!(hits > 0 && cache.stats().loads.get() > 0, "both ways were taken");
}
