//! The cache itself: prove what is resident, or wait for a flight.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use crate::answer::{Answer, Entry, Forward, Outcome};
use crate::composer::Composer;
use crate::flight;
use crate::ledger::{Ledger, Position, Slot, Watermarks};
use crate::proof::{Doubt, Proof, Verdict};
use crate::slots::{Landed, Landing, Slots, Ticket};
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
    inner: Arc<Inner<C>>,
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
        todo!()
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
        todo!()
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
