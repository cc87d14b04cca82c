//! Pre-populating: pages composed anew because an event came, before anybody asks (rules 16 to 18).
//!
//! Its two well-known problems are met here by leaving work out, never by delaying what is heard. *Latency*: the event
//! was applied before it got here, and a burst of events of one page is one refresh. *Cardinality*: only
//! pages that were read since their last refresh began are refreshed, and only so many wait; for every other page the
//! event is an invalidation, and the next reader asks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use telemetry::TaskContext;
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::cache::{FreshCache, Inner};
use crate::feed::state::{Position, SourceId};
use crate::fragment::Carried;
use crate::load::in_flight::Wish;
use crate::loader::Composer;

/// The bounds of pre-populating.
#[derive(Clone, Copy, Debug)]
pub struct RefreshOptions {
    /// Which pages an event refreshes.
    pub of: Refresh,
    /// How many events may wait to be looked at, and how many pages to be refreshed. What is beyond is left out: its event
    /// was an invalidation.
    pub waiting: usize,
    /// How many pages are refreshed at once.
    pub at_once: usize,
}

impl Default for RefreshOptions {
    fn default() -> Self {
        Self {
            of: Refresh::default(),
            waiting: 1024,
            at_once: 4,
        }
    }
}

/// Which pages an event refreshes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refresh {
    /// Those that were read since their last refresh began: at most one wasted refresh per read (rule 18).
    #[default]
    Read,
    /// Those that are resident, read or not.
    Resident,
    /// All that could show the entity, also those that nobody ever asked for: how pre-populating is usually described, and
    /// what makes it cost more than no cache at all where there are more writes than reads.
    All,
}

/// An event, as [`FreshCache::announce`] takes it.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Whose event it is.
    pub source: SourceId,
    /// What changed.
    pub entity: u64,
    /// What [`Hearing::changed`](crate::Hearing::changed) answered, or [`Hearing::deleted`](crate::Hearing::deleted).
    pub position: Position,
    /// The source's new answer, if the event carries it. To be left out of a repeated event: what it carries is older than
    /// its position (rule 17).
    pub carried: Option<Carried>,
}

/// Where events wait for [`FreshCache::refresh`].
pub(crate) struct Inbox {
    sender: mpsc::Sender<(Announcement, TaskContext)>,
    receiver: Mutex<mpsc::Receiver<(Announcement, TaskContext)>>,
    /// How many pages wait behind it: told by the one task that knows, for whoever wants to see it.
    pages: AtomicUsize,
}

impl Inbox {
    pub(crate) fn new(options: RefreshOptions) -> Self {
        let (sender, receiver) = mpsc::channel(options.waiting.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            sender,
            receiver: Mutex::new(receiver),
            pages: AtomicUsize::new(0),
        }
    }
}

/// One page's refresh.
struct Due {
    /// The latest event of each source: the newest state wins (rule 16).
    latest: Vec<(SourceId, Position, Option<Carried>)>,
    context: TaskContext,
}

impl Due {
    fn note(&mut self, source: SourceId, position: Position, carried: Option<Carried>, context: TaskContext) {
        self.latest.retain(|(of, ..)| *of != source);
        self.latest.push((source, position, carried));
        self.context = context;
    }
}

/// The pages that wait to be refreshed, each once.
struct Waiting<C: Composer> {
    order: VecDeque<C::Key>,
    due: HashMap<C::Key, Due>,
    /// The pages that are being refreshed. None of them is begun a second time meanwhile: one page that is stuck would
    /// take the place of all the others.
    flying: HashSet<C::Key>,
}

impl<C: Composer> Waiting<C> {
    /// The next page to be refreshed, if there is one and it may be.
    fn begin(&mut self, at_once: usize) -> Option<(C::Key, Due)> {
        if self.flying.len() >= at_once.max(1) {
            return None;
        }
        let next = self.order.iter().position(|key| !self.flying.contains(key))?;
        let key = self.order.remove(next)?;
        let due = self.due.remove(&key)?;
        self.flying.insert(key.clone());
        Some((key, due))
    }
}

impl<C: Composer> FreshCache<C> {
    /// Tells of an event that was applied to the ledger, so that its pages are composed anew. Never waits: for the task
    /// that hears the feed, right after [`Hearing::changed`](crate::Hearing::changed). Nothing happens unless the strategy is
    /// [`Strategy::Prepopulate`](crate::Strategy::Prepopulate) and [`refresh`](Self::refresh) runs.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
    /// # let accounts = Accounts::default();
    /// let options = CacheOptions { strategy: Strategy::Prepopulate, ..CacheOptions::default() };
    /// let cache = FreshCache::new(accounts.clone(), ledger, options);
    /// let refreshing = cache.clone();
    /// tokio::spawn(async move { refreshing.refresh().await }); // once
    ///
    /// cache.read(&7, Demand::Any).await;
    /// accounts.change();
    /// let position = hearing.changed(ACCOUNTS, 7); // the event is heard …
    /// cache.announce(Announcement { source: ACCOUNTS, entity: 7, position, carried: None }); // … and its pages refreshed
    /// # while cache.stats().refreshes.get() == 0 || cache.flights() > 0 {
    /// #     tokio::task::yield_now().await;
    /// # }
    ///
    /// let answer = cache.read(&7, Demand::Any).await;
    /// assert_eq!((answer.outcome, answer.entry.page().as_str()), (Outcome::Hit, "account 7: revision 1"));
    /// # }
    /// ```
    pub fn announce(&self, announcement: Announcement) {
        if !self.inner.tactic.refreshes() {
            return;
        }
        // With what the event belongs to, so that the refresh is seen to follow from the write.
        let event = TaskContext::current();
        if self.inner.inbox.sender.try_send((announcement, event)).is_err() {
            self.inner.stats.refreshes_degraded.add();
        }
    }

    /// Composes pages anew as events are [announced](Self::announce), for ever; to be run as a task of its own, once.
    pub async fn refresh(&self) {
        let mut inbox = self.inner.inbox.receiver.lock().await;
        let mut waiting = Waiting {
            order: VecDeque::new(),
            due: HashMap::new(),
            flying: HashSet::new(),
        };
        let mut flights = JoinSet::new();
        loop {
            tokio::select! {
                Some((announcement, event)) = inbox.recv() => {
                    self.inner.enqueue(announcement, event, &mut waiting);
                    // All of a burst, before the first of it is refreshed; but not more, or nothing ever would be.
                    for _ in 0..self.inner.options.refresh.waiting {
                        let Ok((announcement, event)) = inbox.try_recv() else { break };
                        self.inner.enqueue(announcement, event, &mut waiting);
                    }
                }
                Some(Ok(key)) = flights.join_next() => {
                    waiting.flying.remove(&key);
                }
            }
            while let Some((key, due)) = waiting.begin(self.inner.options.refresh.at_once) {
                let (cache, context) = (self.clone(), due.context.clone());
                let renewing = async move {
                    // A panic of the composer is its readers' business, and was counted.
                    _ = AssertUnwindSafe(cache.renew(&key, due)).catch_unwind().await;
                    key
                };
                flights.spawn(context.run(renewing));
            }
            // Relaxed: it stands for itself.
            self.inner
                .inbox
                .pages
                .store(waiting.order.len(), Ordering::Relaxed);
        }
    }

    /// How many events wait to be looked at by [`refresh`](Self::refresh).
    pub fn events_waiting(&self) -> usize {
        let inbox = &self.inner.inbox.sender;
        inbox.max_capacity() - inbox.capacity()
    }

    /// How many pages wait to be composed anew because of an event.
    pub fn pages_waiting(&self) -> usize {
        self.inner.inbox.pages.load(Ordering::Relaxed)
    }

    /// Refreshes one page.
    async fn renew(&self, key: &C::Key, due: Due) {
        let Inner {
            ledger, pages, stats, ..
        } = &*self.inner;
        let watermarks = ledger.watermarks();
        let resident = pages.get(key);
        if resident.as_ref().is_some_and(|entry| entry.begin_refresh()) {
            stats.refreshes_wasted.add();
        }
        stats.refreshes.add();
        let slots = resident.map_or_else(|| self.inner.slots_of(key), |entry| entry.slots());
        let carried = due.latest.into_iter().filter_map(|(source, position, carried)| {
            let place = slots.iter().position(|slot| slot.source() == source)?;
            Some((place, self.inner.part_of(key, source, position, &carried?)?))
        });
        let wish = Wish {
            carried: carried.collect(),
            ..Wish::any()
        };
        // One flight, shared with whoever reads the page meanwhile.
        self.fly(key, wish, &slots, &watermarks).await;
    }
}

impl<C: Composer> Inner<C> {
    /// Puts the event's pages into the queue, or into what waits of them already.
    fn enqueue(&self, announcement: Announcement, mut event: TaskContext, waiting: &mut Waiting<C>) {
        let Announcement {
            source,
            entity,
            position,
            carried,
        } = announcement;
        self.stats.announced.add();
        let pages = self.guard(|| self.composer.pages_of(source, entity));
        for key in pages.unwrap_or_default() {
            if !self.wants_refresh(&key, waiting) {
                continue;
            }
            self.stats.due.add();
            let context = event.enter(|| TaskContext::of(tracing::info_span!("refresh page")));
            if let Some(due) = waiting.due.get_mut(&key) {
                due.note(source, position, carried.clone(), context);
            } else if waiting.order.len() < self.options.refresh.waiting {
                waiting.order.push_back(key.clone());
                let latest = vec![(source, position, carried.clone())];
                waiting.due.insert(key, Due { latest, context });
            } else {
                self.stats.refreshes_degraded.add();
            }
        }
    }

    fn wants_refresh(&self, key: &C::Key, waiting: &Waiting<C>) -> bool {
        if waiting.due.contains_key(key) {
            return true;
        }
        let resident = self.pages.get(key);
        match (self.options.refresh.of, resident) {
            (Refresh::All, _) | (Refresh::Resident, Some(_)) => true,
            (Refresh::Read, Some(entry)) => {
                let read = entry.was_read();
                if !read {
                    self.stats.refreshes_unread.add();
                }
                read
            }
            // An event never creates a page that nobody asked for (rule 17).
            (Refresh::Read | Refresh::Resident, None) => false,
        }
    }
}
