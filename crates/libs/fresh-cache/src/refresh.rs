//! Pre-populating: pages composed anew because an event came, before anybody asks (rules 16 to 18).
//!
//! Pre-populating has two well-known problems. Here work is left out to solve them, and the feed is never delayed.
//! *Latency*: the event was applied before it got here, and a burst of events of one page is one refresh. *Cardinality*: only
//! pages that were read since their last refresh began are refreshed, and only so many wait; for every other page the
//! event is an invalidation, and the next reader asks.

pub(crate) mod queue;

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::task::JoinSet;

use self::queue::{Announcement, DueRefresh, LatestEvent, PageQueue};
use crate::cache::FreshCache;
use crate::dependency::place_of;
use crate::load::plan::LoadRequest;
use crate::loader::Loader;
use crate::options::RefreshScope;
use crate::shared::Shared;
use crate::task_context::TaskContext;

impl<L: Loader> FreshCache<L> {
    /// Takes an event that was applied, so that its pages are composed again. Never waits: call it in the task
    /// that applies the feed, right after [`FeedWriter::changed`](crate::FeedWriter::changed). Nothing happens unless the
    /// strategy is [`Strategy::Prepopulate`](crate::Strategy::Prepopulate) and [`refresh`](Self::refresh) runs.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (feed, mut writer) = feed::channel(1, FeedOptions::default());
    /// # let accounts = Accounts::default();
    /// let options = CacheOptions { strategy: Strategy::Prepopulate, ..CacheOptions::default() };
    /// let cache = FreshCache::new(accounts.clone(), feed, options);
    /// let refreshing = cache.clone();
    /// tokio::spawn(async move { refreshing.refresh().await }); // once
    ///
    /// cache.read(&7, Consistency::MinimizeLatency).await;
    /// accounts.change();
    /// let position = writer.changed(ACCOUNTS, &7); // the event is applied …
    /// cache.announce(Announcement { source: ACCOUNTS, entity: 7, position, fragment: None }); // … and its pages refreshed
    /// # while cache.stats().refreshes.get() == 0 || cache.loads_in_flight() > 0 {
    /// #     tokio::task::yield_now().await;
    /// # }
    ///
    /// let answer = cache.read(&7, Consistency::MinimizeLatency).await;
    /// assert_eq!((answer.outcome, answer.page.content().as_str()), (Outcome::Hit, "account 7: revision 1"));
    /// # }
    /// ```
    pub fn announce(&self, announcement: Announcement<L::Entity>) {
        if !self.shared.policy.refreshes() {
            return;
        }
        // With what the event belongs to, so that the refresh is seen to follow from the write.
        let event = TaskContext::current(self.shared.options.capture);
        if !self.shared.events.push(announcement, event) {
            self.shared.stats.refreshes_left_out.add();
        }
    }

    /// Composes pages again as events are [announced](Self::announce), for ever. Run it once, as a task of its own.
    pub async fn refresh(&self) {
        let mut events = self.shared.events.receiver().await;
        let mut waiting = PageQueue::new();
        let mut refreshes = JoinSet::new();
        loop {
            tokio::select! {
                Some((announcement, event)) = events.recv() => {
                    self.shared.enqueue(announcement, event, &mut waiting);
                    // All of a burst, before the first of it is refreshed; but not more, or nothing ever would be.
                    for _ in 0..self.shared.options.refresh.waiting {
                        let Ok((announcement, event)) = events.try_recv() else { break };
                        self.shared.enqueue(announcement, event, &mut waiting);
                    }
                }
                Some(Ok(key)) = refreshes.join_next() => waiting.end(&key),
            }
            while let Some((key, due)) = waiting.begin(self.shared.options.refresh.at_once) {
                let (cache, DueRefresh { latest, context }) = (self.clone(), due);
                let refreshing = async move {
                    // A panic of the loader is its readers' business, and was counted.
                    _ = AssertUnwindSafe(cache.refresh_page(&key, latest))
                        .catch_unwind()
                        .await;
                    key
                };
                refreshes.spawn(context.run(refreshing));
            }
            self.shared.events.note_pages(waiting.len());
        }
    }

    /// How many events wait to be looked at by [`refresh`](Self::refresh).
    pub fn events_waiting(&self) -> usize {
        self.shared.events.len()
    }

    /// How many pages wait to be composed anew because of an event.
    pub fn pages_waiting(&self) -> usize {
        self.shared.events.pages()
    }

    async fn refresh_page(&self, key: &L::Key, latest: Vec<LatestEvent<L::Entity>>) {
        let Shared {
            feed, pages, stats, ..
        } = &*self.shared;
        let watermarks = feed.watermarks();
        let resident = pages.get(key);
        if resident.as_ref().is_some_and(|page| page.begin_refresh()) {
            stats.refreshes_wasted.add();
        }
        stats.refreshes.add();
        let Some(dependencies) = self.shared.guard(|| self.shared.dependencies(key)) else {
            return;
        };
        let events = latest.into_iter().filter_map(|event| {
            let LatestEvent {
                source,
                entity,
                position,
                fragment,
            } = event;
            let place = place_of(&dependencies, source, &entity)?;
            let dependency = &dependencies[place];
            let fragment = self.shared.fragment_of(key, dependency, position, &fragment?)?;
            Some((place, fragment))
        });
        let request = LoadRequest {
            events: events.collect(),
            ..LoadRequest::any()
        };
        // One load, shared with whoever reads the page in the meantime.
        self.load(key, request, &dependencies, &watermarks, None).await;
    }
}

impl<L: Loader> Shared<L> {
    /// Puts the event's pages into the queue, or notes it with what waits of them already.
    fn enqueue(
        &self,
        announcement: Announcement<L::Entity>,
        mut event: TaskContext,
        waiting: &mut PageQueue<L::Key, L::Entity>,
    ) {
        let Announcement {
            source,
            entity,
            position,
            fragment,
        } = announcement;
        self.stats.announced.add();
        let pages = self.guard(|| self.loader.pages_of(source, &entity));
        for key in pages.unwrap_or_default() {
            if !self.wants_refresh(&key, waiting) {
                continue;
            }
            self.stats.due.add();
            let context =
                event.enter(|| TaskContext::of(tracing::info_span!("refresh page"), self.options.capture));
            let latest = LatestEvent {
                source,
                entity: entity.clone(),
                position,
                fragment: fragment.clone(),
            };
            if !waiting.push(&key, latest, context, self.options.refresh.waiting) {
                self.stats.refreshes_left_out.add();
            }
        }
    }

    fn wants_refresh(&self, key: &L::Key, waiting: &PageQueue<L::Key, L::Entity>) -> bool {
        if waiting.contains(key) {
            return true;
        }
        let resident = self.pages.get(key);
        match (self.options.refresh.scope, resident) {
            (RefreshScope::All, _) | (RefreshScope::Resident, Some(_)) => true,
            (RefreshScope::Read, Some(page)) => {
                let read = page.was_read();
                if !read {
                    self.stats.refreshes_unread.add();
                }
                read
            }
            // An event never creates a page that nobody asked for (rule 17).
            (RefreshScope::Read | RefreshScope::Resident, None) => false,
        }
    }
}
