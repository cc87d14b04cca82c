//! The cache itself: prove what is resident, or wait for a flight.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::answer::{Answer, Entry, Fetch, Forward, Outcome};
use crate::composer::Composer;
use crate::ledger::{Ledger, Slot, Watermarks};
use crate::leg::Leg;
use crate::pilot::Pilot;
use crate::proof::{Proof, Verdict};
use crate::slots::{Landed, Slots, Ticket};
use crate::stats::Stats;

/// How a [`FreshCache`] is made.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// The memory for pages, by [`Composer::weight`].
    pub max_bytes: u64,
    /// How old a part may be that is shown, marked, while its source cannot be asked (rule 12).
    pub max_stale: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            max_stale: Duration::from_hours(1),
        }
    }
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A page that is proven, or composed for this read.
    Any,
    /// A page composed after this read began, every source asked unconditionally (`Cache-Control: no-cache`).
    Afresh,
}

/// A cache of composed pages. Clones share the pages.
pub struct FreshCache<C: Composer> {
    pub(crate) inner: Arc<Inner<C>>,
}

/// What clones and flights share.
pub(crate) struct Inner<C: Composer> {
    pub(crate) composer: C,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) options: CacheOptions,
    /// Of a page's key only the task that flies for it writes, so that plain gets and inserts do. Never `get_with`: its
    /// fill cannot be told of an event that passes (see the crate's documentation).
    pub(crate) pages: Cache<C::Key, Arc<Entry<C>>>,
    pub(crate) slots: Slots<C>,
    pub(crate) stats: Stats,
}

impl<C: Composer> FreshCache<C> {
    /// A cache over what this ledger hears.
    pub fn new(composer: C, ledger: Arc<Ledger>, options: CacheOptions) -> Self {
        let pages = Cache::builder()
            .max_capacity(options.max_bytes)
            .weigher(|_, entry: &Arc<Entry<C>>| entry.weight())
            .build();
        let (slots, stats) = (Slots::new(), Stats::default());
        Self {
            inner: Arc::new(Inner {
                composer,
                ledger,
                options,
                pages,
                slots,
                stats,
            }),
        }
    }

    /// Answers with a page, and with the moment up to which it is complete.
    ///
    /// Must be called on a tokio runtime; a flight runs there as a task of its own, in the reader's tracing span, and goes
    /// on if the reader goes away.
    ///
    /// # Panics
    ///
    /// If the composer panics while it renders the page, or lists its dependencies.
    pub async fn read(&self, key: &C::Key, demand: Demand) -> Answer<C> {
        let inner = &self.inner;
        // The watermarks first, the page and its proof second (rule 10).
        let watermarks = inner.ledger.watermarks();
        let resident = inner.pages.get(key).await;
        let why = match (demand, &resident) {
            (Demand::Afresh, _) => Forward::Bypass,
            (Demand::Any, None) => Forward::Miss,
            (Demand::Any, Some(entry)) => {
                let verdict = entry.check(&Proof::new(&inner.ledger, &watermarks));
                let Some(doubt) = verdict.doubt else {
                    inner.stats.hits.add();
                    return answer(Arc::clone(entry), verdict, Outcome::Hit, Arc::default());
                };
                inner.stats.count_doubt(doubt);
                Forward::Stale
            }
        };
        inner.stats.count_forward(why);
        let slots = resident.map_or_else(|| inner.slots_of(key), |entry| Arc::clone(entry.slots()));
        self.forward(key, why, &slots, &watermarks).await
    }

    /// Waits for a flight that is good enough for a reader who arrived now.
    async fn forward(
        &self,
        key: &C::Key,
        why: Forward,
        slots: &Arc<[Slot]>,
        watermarks: &Watermarks,
    ) -> Answer<C> {
        let (landed, collapsed) = self.fly(key, why, slots, watermarks).await;
        if collapsed {
            self.inner.stats.collapsed.add();
        }
        let Landed {
            entry,
            fetches,
            stored,
        } = landed;
        // Dated by the same proof as a hit: a fence that moved during the flight leaves a part its start (rule 11).
        let watermarks = self.inner.ledger.watermarks();
        let verdict = entry.check(&Proof::new(&self.inner.ledger, &watermarks));
        answer(
            entry,
            verdict,
            Outcome::Forwarded {
                why,
                collapsed,
                stored,
            },
            fetches,
        )
    }

    async fn fly(
        &self,
        key: &C::Key,
        why: Forward,
        slots: &Arc<[Slot]>,
        watermarks: &Watermarks,
    ) -> (Landed<C>, bool) {
        let inner = &self.inner;
        loop {
            let proof = Proof::new(&inner.ledger, watermarks);
            let suffices = |legs: &[Leg<C::Body>]| inner.suffices(legs, slots, &proof);
            let Ticket {
                mut landing,
                collapsed,
                first,
            } = inner.slots.board(key, why == Forward::Bypass, suffices);
            if first {
                tokio::spawn(Pilot::new(Arc::clone(inner), key.clone(), Arc::clone(slots)).fly_all());
            }
            let landed = landing
                .wait_for(Option::is_some)
                .await
                .map(|landing| landing.clone());
            match landed {
                Ok(landing) => match landing.expect("waited until it is some") {
                    Ok(landed) => return (landed, collapsed),
                    Err(message) => panic!("the composer panicked: {message}"),
                },
                // The task was ended from outside: its runtime, which may be another one than ours, is shutting down. If
                // it is ours, the yield is where this reader ends; if not, we try again on ours.
                Err(_closed) => tokio::task::yield_now().await,
            }
        }
    }

    /// Drops a resident page, as an eviction does; a flight of it goes on.
    ///
    /// Not needed for freshness: an event does that by the ledger. It is for repairs by hand.
    pub async fn forget(&self, key: &C::Key) {
        self.inner.pages.invalidate(key).await;
    }

    /// What happened in this cache since it was made.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// The number of resident pages, as of moka's last maintenance.
    pub fn entry_count(&self) -> u64 {
        self.inner.pages.entry_count()
    }

    /// The memory of the resident pages in bytes, as of moka's last maintenance.
    pub fn weighted_size(&self) -> u64 {
        self.inner.pages.weighted_size()
    }

    /// The number of pages being composed right now.
    pub fn flights(&self) -> usize {
        self.inner.slots.len()
    }
}

impl<C: Composer> Inner<C> {
    fn slots_of(&self, key: &C::Key) -> Arc<[Slot]> {
        let dependencies = self.composer.dependencies(key);
        dependencies
            .into_iter()
            .map(|(source, entity)| self.ledger.slot(source, entity))
            .collect()
    }

    /// Whether a flight in the air is good enough for a reader who arrives now (rule 11): nothing was heard that it may
    /// not reflect, and what it did not ask for is still proven.
    fn suffices(&self, legs: &[Leg<C::Body>], slots: &[Slot], proof: &Proof<'_>) -> bool {
        legs.iter().zip(slots).all(|(leg, &slot)| match leg {
            Leg::Keep(part) => proof.check(slot, part).doubt.is_none(),
            Leg::Ask { position, .. } => !self.ledger.passed(slot, *position),
        })
    }
}

fn answer<C: Composer>(
    entry: Arc<Entry<C>>,
    verdict: Verdict,
    outcome: Outcome,
    fetches: Arc<[Fetch]>,
) -> Answer<C> {
    let composed = entry.composed();
    Answer {
        entry,
        fresh_as_of: verdict.complete_until,
        outcome,
        fetches,
        composed,
    }
}

impl<C: Composer> Clone for FreshCache<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Composer> fmt::Debug for FreshCache<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FreshCache")
            .field("options", &self.inner.options)
            .field("slots", &self.inner.slots)
            .field("stats", &self.inner.stats)
            .finish_non_exhaustive()
    }
}
