//! The cache itself: prove what is resident, or wait for a flight.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use telemetry::TaskContext;
use tracing::Span;

use crate::apart::Apart;
use crate::clock::{Date, Moment};
use crate::feed::state::{Ledger, Slot, SourceId, Watermarks};
use crate::fragment::{Carried, Token};
use crate::freshness::Proof;
use crate::load::fetch::Leg;
use crate::load::in_flight::{Landed, Slots, Ticket, Wish};
use crate::load::task::Pilot;
use crate::loader::Composer;
use crate::options::{CacheOptions, Demand};
use crate::page::{Answer, Entry, Fetch, Forward, Outcome};
use crate::refresh::Inbox;
use crate::stats::{Stats, count_removals};
use crate::strategy::Tactic;

/// What even an empty body that is remembered takes, with its place in the store, in bytes.
const REMEMBERED: usize = 256;

/// Why the resident page is no answer, and what is to be asked for.
struct Unproven<C: Composer> {
    why: Forward,
    wish: Wish<C::Body>,
    slots: Arc<[Slot]>,
}

/// Up to when a page was found to be complete, and when that was.
#[derive(Clone, Copy)]
struct Proven {
    complete_until: Moment,
    at: Date,
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
    pub(crate) tactic: Box<dyn Tactic>,
    /// Of a page's key only the task that flies for it writes, so that plain gets and inserts do. Never `get_with`: its
    /// fill cannot be told of an event that passes (see the crate's documentation).
    pub(crate) pages: Cache<C::Key, Arc<Entry<C>>>,
    /// Bodies from the past, for pages that nobody has read yet (rule 19).
    pub(crate) remembered: Cache<(SourceId, u64), Carried>,
    pub(crate) slots: Slots<C>,
    pub(crate) inbox: Inbox,
    pub(crate) stats: Apart<Stats>,
}

impl<C: Composer> FreshCache<C> {
    /// A cache over what this ledger hears.
    pub fn new(composer: C, ledger: Arc<Ledger>, options: CacheOptions) -> Self {
        let stats = Apart::<Stats>::default();
        let removed = count_removals(Arc::clone(&stats.evicted), Arc::clone(&stats.dropped));
        let pages = Cache::builder()
            .max_capacity(options.max_bytes)
            .weigher(|_, entry: &Arc<Entry<C>>| entry.weight())
            .eviction_listener(move |_, _, cause| removed(cause))
            .build();
        let remembered = Cache::builder()
            .max_capacity(options.remembered_bytes)
            .weigher(|_, carried: &Carried| {
                u32::try_from(REMEMBERED + carried.data.len()).unwrap_or(u32::MAX)
            })
            .build();
        Self {
            inner: Arc::new(Inner {
                composer,
                ledger,
                options,
                tactic: options.strategy.tactic(),
                pages,
                remembered,
                slots: Slots::new(),
                inbox: Inbox::new(options.refresh),
                stats,
            }),
        }
    }

    /// Answers with a page, and with the moment up to which it is complete.
    ///
    /// Must be called on a tokio runtime; a flight runs there as a task of its own, in the reader's tracing span or
    /// [without a trace](TaskContext) as the reader, and goes on if the reader goes away. The span of a reader who joins a flight of somebody else follows from the span that the
    /// flight runs in, which `tracing-opentelemetry` makes a link of.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
    /// let cache = FreshCache::new(Accounts::default(), ledger, CacheOptions::default());
    ///
    /// let answer = cache.read(&7, Demand::Any).await;
    /// assert_eq!(answer.entry.page(), "account 7: revision 0");
    /// assert_eq!(answer.degraded().count(), 0, "no part is stale or missing");
    /// println!("complete until {:?}, {:?}", answer.fresh_as_of, answer.outcome);
    ///
    /// assert_eq!(cache.read(&7, Demand::Any).await.outcome, Outcome::Hit);
    /// hearing.changed(ACCOUNTS, 7);
    /// assert_ne!(cache.read(&7, Demand::Any).await.outcome, Outcome::Hit);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the composer panics while it renders the page, or lists its dependencies.
    pub async fn read(&self, key: &C::Key, demand: Demand<'_>) -> Answer<C> {
        let inner = &self.inner;
        if !inner.tactic.keeps_pages() {
            return Box::pin(self.read_alone(key, demand)).await;
        }
        // The watermarks first, the page and its proof second (rule 10).
        let watermarks = inner.ledger.watermarks();
        let resident = inner.pages.get(key);
        let unproven = match resident {
            None => self.nothing(key, demand, &watermarks),
            Some(entry) => match self.prove(&entry, demand, &watermarks) {
                Ok(proven) => return self.answer(entry, proven, Outcome::Hit, Box::default(), demand),
                Err(unproven) => unproven,
            },
        };
        // Boxed: what only a miss needs would make the future of every hit large.
        Box::pin(self.wait(key, demand, unproven, &watermarks)).await
    }

    /// What is to be asked for where no page is resident.
    fn nothing(&self, key: &C::Key, demand: Demand<'_>, watermarks: &Watermarks) -> Unproven<C> {
        let slots = self.inner.slots_of(key);
        let place = |source| slots.iter().position(|slot| slot.source() == source);
        let proof = Proof::new(&self.inner.ledger, watermarks);
        Unproven {
            why: Forward::Miss,
            wish: wish::<C>(demand, None, place, &proof),
            slots,
        }
    }

    /// Proves the resident page, if nothing beyond it is demanded.
    #[inline]
    fn prove(
        &self,
        entry: &Entry<C>,
        demand: Demand<'_>,
        watermarks: &Watermarks,
    ) -> Result<Proven, Unproven<C>> {
        let Inner {
            ledger,
            tactic,
            stats,
            ..
        } = &*self.inner;
        let proof = Proof::new(ledger, watermarks);
        let wish = wish(demand, Some(entry), |source| entry.place(source), &proof);
        let verdict = entry.check(&proof, &**tactic);
        let why = match verdict.doubt {
            None if wish.afresh || !wish.ask.is_empty() => Forward::Request,
            None => {
                entry.touch();
                stats.hits.add();
                return Ok(Proven {
                    complete_until: verdict.complete_until,
                    at: proof.date(),
                });
            }
            Some(doubt) => {
                stats.count_doubt(doubt);
                if entry.reject() && tactic.refreshes() {
                    stats.refreshes_wasted.add();
                }
                Forward::Stale
            }
        };
        let slots = entry.slots();
        Err(Unproven { why, wish, slots })
    }

    /// Answers with what a flight brings.
    async fn wait(
        &self,
        key: &C::Key,
        demand: Demand<'_>,
        unproven: Unproven<C>,
        watermarks: &Watermarks,
    ) -> Answer<C> {
        let Unproven { why, wish, slots } = unproven;
        let why = if wish.afresh { Forward::Request } else { why };
        self.inner.stats.count_forward(why);
        let (landed, collapsed) = self.fly(key, wish, &slots, watermarks).await;
        self.forward(landed, why, collapsed, demand)
    }

    /// Answers a reader by a flight of its own.
    async fn read_alone(&self, key: &C::Key, demand: Demand<'_>) -> Answer<C> {
        self.inner.stats.count_forward(Forward::Bypass);
        let slots = self.inner.slots_of(key);
        let pilot = Pilot::new(Arc::clone(&self.inner), key.clone(), slots);
        let landed = pilot.fly_alone().await;
        self.forward(landed, Forward::Bypass, false, demand)
    }

    /// Answers with what a flight brought.
    fn forward(&self, landed: Landed<C>, why: Forward, collapsed: bool, demand: Demand<'_>) -> Answer<C> {
        let Inner {
            ledger,
            tactic,
            stats,
            ..
        } = &*self.inner;
        if collapsed {
            stats.collapsed.add();
        }
        let Landed {
            entry,
            fetches,
            stored,
        } = landed;
        entry.touch();
        // Dated by the same proof as a hit: a fence that moved during the flight leaves a part its start (rule 11).
        let watermarks = ledger.watermarks();
        let proof = Proof::new(ledger, &watermarks);
        let proven = Proven {
            complete_until: entry.check(&proof, &**tactic).complete_until,
            at: proof.date(),
        };
        let outcome = Outcome::Forwarded {
            why,
            collapsed,
            stored,
        };
        self.answer(entry, proven, outcome, Box::from(&*fetches), demand)
    }

    #[inline]
    fn answer(
        &self,
        entry: Arc<Entry<C>>,
        proven: Proven,
        outcome: Outcome,
        fetches: Box<[Fetch]>,
        demand: Demand<'_>,
    ) -> Answer<C> {
        let behind = match demand {
            Demand::Any => Vec::new(),
            Demand::Afresh(versions) | Demand::AtLeast(versions) => entry.short_of(versions),
        };
        if !behind.is_empty() {
            self.inner.stats.behind.add();
        }
        let composed = entry.composed();
        Answer {
            entry,
            fresh_as_of: proven.complete_until,
            outcome,
            fetches,
            composed: composed.told_at(proven.at.moment, proven.at.monotonic),
            age: proven.at.monotonic.saturating_sub(composed.monotonic),
            behind,
        }
    }

    /// Waits for a flight that is good enough for one who arrived now; whether another had asked for it before.
    pub(crate) async fn fly(
        &self,
        key: &C::Key,
        wish: Wish<C::Body>,
        slots: &Arc<[Slot]>,
        watermarks: &Watermarks,
    ) -> (Landed<C>, bool) {
        let inner = &self.inner;
        loop {
            let proof = Proof::new(&inner.ledger, watermarks);
            let suffices = |legs: &[Leg<C::Body>]| inner.suffices(legs, slots, &proof);
            let since = proof.monotonic().saturating_sub(inner.ledger.trust());
            let Ticket {
                mut landing,
                begun_by,
                first,
            } = inner.slots.board(key, wish.clone(), since, suffices);
            if first {
                tokio::spawn(Pilot::new(Arc::clone(inner), key.clone(), Arc::clone(slots)).fly_all());
            }
            let collapsed = begun_by.is_some();
            if let Some(flight) = begun_by {
                link_to(flight);
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

    /// Keeps what a source said of an entity some time ago, before this replica heard the feed (rule 19): for as long as
    /// nothing better is known, it is what the source is asked about, and what is shown, marked as stale, while the source
    /// cannot be asked. Never a proof.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (ledger, _hearing) = Ledger::new(1, LedgerOptions::default());
    /// # let accounts = Accounts::default();
    /// # let cache = FreshCache::new(accounts.clone(), ledger, CacheOptions::default());
    /// let carried = Carried {
    ///     version: accounts.version(),
    ///     claim: None,
    ///     data: "what an event of the last week said".into(),
    ///     committed: Moment::from_micros(1_750_000_000_000_000),
    /// };
    /// cache.remember(ACCOUNTS, 7, carried);
    ///
    /// cache.read(&7, Demand::Any).await;
    /// assert_eq!(cache.stats().not_modified.get(), 1, "the source was asked about it");
    /// # }
    /// ```
    pub fn remember(&self, source: SourceId, entity: u64, carried: Carried) {
        self.inner.remembered.insert((source, entity), carried);
    }

    /// Forgets what was [remembered](Self::remember), because the entity is gone.
    pub fn forget_remembered(&self, source: SourceId, entity: u64) {
        self.inner.remembered.invalidate(&(source, entity));
    }

    /// Drops a resident page, as an eviction does; a flight of it goes on.
    ///
    /// Not needed for freshness: an event does that by the ledger. It is for repairs by hand.
    pub fn forget(&self, key: &C::Key) {
        self.inner.pages.invalidate(key);
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
    pub(crate) fn slots_of(&self, key: &C::Key) -> Arc<[Slot]> {
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
            Leg::Keep(part) => self.tactic.check(proof, slot, part.evidence()).doubt.is_none(),
            Leg::Ask { position, .. } => self.tactic.shares(&self.ledger, slot, *position),
            Leg::Rest { rest, .. } => !self.ledger.passed(slot, rest.position),
        })
    }
}

/// Has the reader's trace say where the requests are that the reader waits for. Takes the flight's span, which is not to stay
/// open for as long as the reader waits.
fn link_to(flight: TaskContext) {
    let reader = Span::current();
    // Never to itself: of two reads in one span, one may join the other's flight.
    if let Some(span) = flight.span()
        && reader.id() != span.id()
    {
        reader.follows_from(span);
    }
    drop(flight);
}

/// What a reader wants beyond a proven page. What has just failed is not asked for again, token or not.
fn wish<C: Composer>(
    demand: Demand<'_>,
    resident: Option<&Entry<C>>,
    place: impl Fn(SourceId) -> Option<usize>,
    proof: &Proof<'_>,
) -> Wish<C::Body> {
    let short = |token: &Token| {
        let place = place(token.source)?;
        let settled =
            resident.is_some_and(|entry| entry.rest(place, proof).is_some() || entry.has(place, token));
        (!settled).then_some(place)
    };
    match demand {
        Demand::Any => Wish::any(),
        Demand::Afresh(_) => Wish {
            afresh: true,
            ..Wish::any()
        },
        Demand::AtLeast(versions) => Wish {
            ask: versions.iter().filter_map(short).collect(),
            ..Wish::any()
        },
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
