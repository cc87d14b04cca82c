//! A cache full of pages, its feed, and the bare store that it is compared with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fresh_cache::{
    Clock as _, Consistency, FeedOptions, FeedWriter, FreshCache, Outcome, SourceId, Strategy, SystemClock,
    feed,
};
use moka::sync::Cache;

use crate::pages::{Key, Pages, SOURCES, block_on, fill, fill_bare};

/// Between two watermarks of a source.
const BETWEEN: Duration = Duration::from_millis(250);

/// The page that is read again and again.
pub(crate) const HOT: Key = Key {
    account: 0,
    variant: 0,
};

/// What is measured: a cache and a bare store with the same keys.
pub(crate) struct Resident {
    pub(crate) cache: FreshCache<Pages>,
    pub(crate) bare: Cache<Key, Arc<()>>,
    /// How many events are applied per millisecond, none of them of the hot page; as many as can be if above a thousand.
    pub(crate) events: AtomicUsize,
}

impl Resident {
    /// Fills a cache with one page of so many fragments per account, and applies its feed from then on.
    fn new(fragments: usize, accounts: u64) -> &'static Self {
        let (feed, mut writer) = feed::channel(SOURCES, FeedOptions::default());
        writer.lost_all(); // now, because the first message of a source leaves nothing fresh
        let pages = Pages::new(fragments, 1);
        let cache = pages.cache(Strategy::Invalidate, feed.clone());
        fill(&cache, pages.keys(accounts));
        let bare = fill_bare(pages.keys(accounts));
        let strangers = if accounts == 1 {
            strangers(&cache, &mut writer)
        } else {
            Vec::new()
        };
        let resident: &Self = Box::leak(Box::new(Self {
            cache,
            bare,
            events: AtomicUsize::new(0),
        }));
        thread::spawn(move || apply(writer, &strangers, &resident.events));
        while !(0..SOURCES).all(|source| feed.trusted(SourceId(source))) {
            thread::yield_now();
        }
        resident
    }

    /// The same, made once, because a million pages take a while.
    pub(crate) fn of(fragments: usize, accounts: u64) -> &'static Self {
        static MADE: Mutex<Vec<(usize, u64, &Resident)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made
            .iter()
            .find(|(of, count, _)| (*of, *count) == (fragments, accounts));
        if let Some((_, _, resident)) = found {
            return resident;
        }
        let resident = Self::new(fragments, accounts);
        made.push((fragments, accounts, resident));
        resident
    }
}

/// Accounts that share no fence with the hot page, the only one there is: it is still a hit after an event of theirs.
fn strangers(cache: &FreshCache<Pages>, writer: &mut FeedWriter<u64>) -> Vec<u64> {
    let mut strangers = Vec::new();
    block_on(async {
        for account in 1..=4096 {
            writer.changed(SourceId(0), &account);
            if cache.read(&HOT, Consistency::MinimizeLatency).await.outcome == Outcome::Hit {
                strangers.push(account);
            }
        }
    });
    strangers
}

/// The task that applies the feed.
fn apply(mut writer: FeedWriter<u64>, strangers: &[u64], rate: &AtomicUsize) {
    let mut events = strangers.iter().cycle();
    loop {
        for source in 0..SOURCES {
            writer.watermark(SourceId(source), SystemClock::new().now());
        }
        let next = Instant::now() + BETWEEN;
        while Instant::now() < next {
            let rate = rate.load(Ordering::Relaxed);
            for &account in events.by_ref().take(rate.min(1000)) {
                writer.changed(SourceId(0), &account);
            }
            if rate <= 1000 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
