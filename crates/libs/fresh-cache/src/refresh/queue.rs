//! What waits to be refreshed, bounded: events that were announced, and the pages that they make due.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, Semaphore, mpsc};

use crate::feed::ids::{Position, SourceId};
use crate::fragment::EventFragment;
use crate::options::RefreshOptions;
use crate::task_context::TaskContext;

/// An event, as [`FreshCache::announce`](crate::FreshCache::announce) takes it.
#[derive(Clone, Debug)]
pub struct Announcement<E> {
    /// Whose event it is.
    pub source: SourceId,
    /// What changed.
    pub entity: E,
    /// What [`FeedWriter::changed`](crate::FeedWriter::changed) answered, or
    /// [`FeedWriter::deleted`](crate::FeedWriter::deleted).
    pub position: Position,
    /// The source's new answer, if the event carries it. To be left out of a repeated event: what it carries is older than
    /// its position (rule 17).
    pub fragment: Option<EventFragment>,
}

type Announced<E> = (Announcement<E>, TaskContext);

/// Where events wait for [`FreshCache::refresh`](crate::FreshCache::refresh).
pub(crate) struct EventQueue<E> {
    sender: mpsc::Sender<Announced<E>>,
    receiver: Mutex<mpsc::Receiver<Announced<E>>>,
    /// How many pages wait in the [`PageQueue`], as its one task last noted it, for metrics.
    pages: AtomicUsize,
}

impl<E> EventQueue<E> {
    pub(crate) fn new(options: RefreshOptions) -> Self {
        let (sender, receiver) = mpsc::channel(options.waiting.clamp(1, Semaphore::MAX_PERMITS));
        Self {
            sender,
            receiver: Mutex::new(receiver),
            pages: AtomicUsize::new(0),
        }
    }

    /// Adds an event. Returns whether there was room for it.
    pub(crate) fn push(&self, announcement: Announcement<E>, context: TaskContext) -> bool {
        self.sender.try_send((announcement, context)).is_ok()
    }

    /// The end that the one task takes events from.
    pub(crate) async fn receiver(&self) -> MutexGuard<'_, mpsc::Receiver<Announced<E>>> {
        self.receiver.lock().await
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    // Relaxed, here and below: nothing else is concluded from it.
    pub(crate) fn note_pages(&self, waiting: usize) {
        self.pages.store(waiting, Ordering::Relaxed);
    }

    /// How many pages wait, as of the last note.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }
}

/// The latest event of one entity.
pub(crate) struct LatestEvent<E> {
    pub(crate) source: SourceId,
    pub(crate) entity: E,
    pub(crate) position: Position,
    pub(crate) fragment: Option<EventFragment>,
}

/// One page's refresh.
pub(crate) struct DueRefresh<E> {
    /// The latest event of each entity: the newest state wins (rule 16).
    pub(crate) latest: Vec<LatestEvent<E>>,
    pub(crate) context: TaskContext,
}

impl<E: PartialEq> DueRefresh<E> {
    fn note(&mut self, event: LatestEvent<E>, context: TaskContext) {
        self.latest
            .retain(|older| (older.source, &older.entity) != (event.source, &event.entity));
        self.latest.push(event);
        self.context = context;
    }
}

/// The pages that wait to be refreshed, each once.
pub(crate) struct PageQueue<K, E> {
    order: VecDeque<K>,
    due: HashMap<K, DueRefresh<E>>,
    /// The pages that are being refreshed. None of them begins a second refresh before the first ends: otherwise one page that
    /// hangs could use all the capacity.
    refreshing: HashSet<K>,
}

impl<K: Hash + Eq + Clone, E: PartialEq> PageQueue<K, E> {
    pub(crate) fn new() -> Self {
        Self {
            order: VecDeque::new(),
            due: HashMap::new(),
            refreshing: HashSet::new(),
        }
    }

    /// Whether the page waits.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.due.contains_key(key)
    }

    /// How many pages wait.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds an event of a page; if the page waits already, notes the event with it. Returns whether there was room.
    pub(crate) fn push(
        &mut self,
        key: &K,
        event: LatestEvent<E>,
        context: TaskContext,
        limit: usize,
    ) -> bool {
        if let Some(due) = self.due.get_mut(key) {
            due.note(event, context);
        } else if self.order.len() < limit {
            self.order.push_back(key.clone());
            let latest = vec![event];
            self.due.insert(key.clone(), DueRefresh { latest, context });
        } else {
            return false;
        }
        true
    }

    /// The next page to be refreshed, if there is one and it may be.
    pub(crate) fn begin(&mut self, at_once: usize) -> Option<(K, DueRefresh<E>)> {
        if self.refreshing.len() >= at_once.max(1) {
            return None;
        }
        let next = self.order.iter().position(|key| !self.refreshing.contains(key))?;
        let key = self.order.remove(next)?;
        let due = self.due.remove(&key)?;
        self.refreshing.insert(key.clone());
        Some((key, due))
    }

    /// Notes that a page's refresh is over.
    pub(crate) fn end(&mut self, key: &K) {
        self.refreshing.remove(key);
    }
}
