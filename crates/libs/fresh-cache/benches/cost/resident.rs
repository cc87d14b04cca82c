//! A cache full of pages, its feed, and the bare store that it is compared with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fresh_cache::{
    Clock as _, Demand, FreshCache, Hearing, Ledger, LedgerOptions, Outcome, SourceId, Strategy, SystemClock,
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
    /// Fills a cache with one page of so many parts per account, and hears its feed from then on.
    fn new(parts: usize, accounts: u64) -> &'static Self {
        let (ledger, mut hearing) = Ledger::new(SOURCES, LedgerOptions::default());
        hearing.lost_all(); // now, because the first word of a source leaves nothing proven
        let pages = Pages::new(parts, 1);
        let cache = pages.cache(Strategy::Invalidate, Arc::clone(&ledger));
        fill(&cache, pages.keys(accounts));
        let bare = fill_bare(pages.keys(accounts));
        let strangers = if accounts == 1 {
            strangers(&cache, &mut hearing)
        } else {
            Vec::new()
        };
        let resident: &Self = Box::leak(Box::new(Self {
            cache,
            bare,
            events: AtomicUsize::new(0),
        }));
        thread::spawn(move || hear(hearing, &strangers, &resident.events));
        while !(0..SOURCES).all(|source| ledger.trusted(SourceId(source))) {
            thread::yield_now();
        }
        resident
    }

    /// The same, made once, because a million pages take a while.
    pub(crate) fn of(parts: usize, accounts: u64) -> &'static Self {
        static MADE: Mutex<Vec<(usize, u64, &Resident)>> = Mutex::new(Vec::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = made
            .iter()
            .find(|(of, count, _)| (*of, *count) == (parts, accounts));
        if let Some((_, _, resident)) = found {
            return resident;
        }
        let resident = Self::new(parts, accounts);
        made.push((parts, accounts, resident));
        resident
    }
}

/// Accounts that share no fence with the hot page, the only one there is: it is still a hit after an event of theirs.
fn strangers(cache: &FreshCache<Pages>, hearing: &mut Hearing) -> Vec<u64> {
    let mut strangers = Vec::new();
    block_on(async {
        for account in 1..=4096 {
            hearing.changed(SourceId(0), account);
            if cache.read(&HOT, Demand::Any).await.outcome == Outcome::Hit {
                strangers.push(account);
            }
        }
    });
    strangers
}

/// The task that applies the feed.
fn hear(mut hearing: Hearing, strangers: &[u64], rate: &AtomicUsize) {
    let mut events = strangers.iter().cycle();
    loop {
        for source in 0..SOURCES {
            hearing.watermark(SourceId(source), SystemClock::new().now());
        }
        let next = Instant::now() + BETWEEN;
        while Instant::now() < next {
            let rate = rate.load(Ordering::Relaxed);
            for &account in events.by_ref().take(rate.min(1000)) {
                hearing.changed(SourceId(0), account);
            }
            if rate <= 1000 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
