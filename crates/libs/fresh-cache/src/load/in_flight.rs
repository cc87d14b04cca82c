//! Who loads and who waits: at most one load of a page in flight, at most one more waiting to start (rule 11).
//!
//! A mutex over a map, touched by readers that miss and by the loads themselves, never by the feed. Nothing is
//! awaited and nothing of the loader is called while it is held.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::plan::{FragmentPlan, LoadRequest, Plan};
use crate::answer::Fetch;
use crate::loader::Loader;
use crate::page::CachedPage;
use crate::task_context::{TaskContext, TaskScope};

/// What a load brought, or the message of the loader's panic.
pub(crate) type LoadResult<L> = Result<Loaded<L>, Arc<str>>;
type Sender<L> = watch::Sender<Option<LoadResult<L>>>;
type Receiver<L> = watch::Receiver<Option<LoadResult<L>>>;

/// What a load brought.
pub(crate) struct Loaded<L: Loader> {
    pub(crate) page: Arc<CachedPage<L>>,
    pub(crate) fetches: Arc<[Fetch]>,
    pub(crate) stored: bool,
}

impl<L: Loader> Clone for Loaded<L> {
    fn clone(&self) -> Self {
        let Self {
            page,
            fetches,
            stored,
        } = self;
        Self {
            page: Arc::clone(page),
            fetches: Arc::clone(fetches),
            stored: *stored,
        }
    }
}

/// A reader who waits for a load.
pub(crate) struct Waiter<L: Loader> {
    pub(crate) result: Receiver<L>,
    /// The span of the load, if another reader began it.
    pub(crate) begun_by: Option<Span>,
    /// Where the page's task is asked for what is known before the load ends.
    pub(crate) early: mpsc::UnboundedSender<EarlyRequest<L>>,
    /// What the page's new task needs, if nobody loads the page yet: the reader must start that task.
    pub(crate) first: Option<EarlyRequests<L>>,
}

/// The readers of one page whose time to wait is over. Each asks once, so there are no more than wait.
pub(crate) type EarlyRequests<L> = mpsc::UnboundedReceiver<EarlyRequest<L>>;

/// A reader whose time to wait is over.
pub(crate) struct EarlyRequest<L: Loader> {
    /// When the reader arrived, on the monotonic clock.
    pub(crate) arrived: Duration,
    /// Whether the reader accepts only what was requested after that.
    pub(crate) full: bool,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Loaded<L>>,
}

/// What a reader's wait brought.
pub(crate) enum Waited<L: Loader> {
    /// The load has ended.
    ToTheEnd(LoadResult<L>),
    /// The reader's time was over: this is what was known.
    Enough(Loaded<L>),
    /// The load was given up.
    InVain,
}

impl<L: Loader> Waiter<L> {
    /// Waits for the load's end, or until the reader's time is over and something is known.
    ///
    /// `arrived` and `full` are those of the [`EarlyRequest`].
    pub(crate) async fn wait(self, until: Option<Instant>, arrived: Duration, full: bool) -> Waited<L> {
        let Self {
            mut result, early, ..
        } = self;
        let mut ended = pin!(async {
            let ended = result.wait_for(Option::is_some).await;
            ended.map_or(Waited::InVain, |result| {
                Waited::ToTheEnd(result.clone().expect("waited until it is some"))
            })
        });
        let Some(until) = until else {
            return ended.await;
        };
        if let Ok(waited) = timeout_at(until, &mut ended).await {
            return waited;
        }
        let (reply, known) = oneshot::channel();
        let request = EarlyRequest { arrived, full, reply };
        // An error: the load has just ended.
        _ = early.send(request);
        tokio::select! {
            biased;
            waited = &mut ended => waited,
            Ok(loaded) = known => Waited::Enough(loaded),
        }
    }
}

/// A load that has just started.
pub(crate) struct StartedLoad<L: Loader> {
    pub(crate) plan: Plan<L::Body>,
    pub(crate) result: Sender<L>,
    /// Of the reader who began the load, so that its requests belong to that reader's trace, or to none.
    pub(crate) context: TaskContext,
}

/// The loads of all pages that are being composed.
pub(crate) struct InFlight<L: Loader> {
    pages: Mutex<HashMap<L::Key, PageLoads<L>>>,
    /// [`CacheOptions::capture`](crate::CacheOptions::capture).
    capture: fn() -> Option<TaskScope>,
}

/// One page's loads. Exists while a task runs them, so its memory is bounded by the pages being asked for.
struct PageLoads<L: Loader> {
    running: Option<Running<L>>,
    next: Option<NextLoad<L>>,
    early: mpsc::UnboundedSender<EarlyRequest<L>>,
}

/// The load in flight.
struct Running<L: Loader> {
    plan: Plan<L::Body>,
    /// When it started, on the monotonic clock.
    started_at: Duration,
    result: Receiver<L>,
    span: Span,
}

/// The load that starts next. Whoever waits for it arrived before it starts.
struct NextLoad<L: Loader> {
    result: Sender<L>,
    request: LoadRequest<L::Body>,
    context: TaskContext,
}

impl<L: Loader> InFlight<L> {
    pub(crate) fn new(capture: fn() -> Option<TaskScope>) -> Self {
        Self {
            pages: Mutex::new(HashMap::new()),
            capture,
        }
    }

    /// Joins a load of this page: the one in flight if it `may_be_joined` and started after `since`, else the next.
    /// `since` is there because a load that hangs would give those who join it late an answer from the time when it started.
    pub(crate) fn join(
        &self,
        key: &L::Key,
        request: LoadRequest<L::Body>,
        since: Duration,
        may_be_joined: impl FnOnce(&[FragmentPlan<L::Body>]) -> bool,
    ) -> Waiter<L> {
        let mut pages = self.lock();
        let mut first = None;
        let loads = pages.entry(key.clone()).or_insert_with(|| {
            let (early, requests) = mpsc::unbounded_channel();
            first = Some(requests);
            PageLoads::new(early)
        });
        // A load that was in flight before the reader arrived cannot have fetched what the reader asks for.
        if let Some(running) = loads.running.as_ref().filter(|running| {
            request.asks_for_no_more() && running.started_at > since && may_be_joined(&running.plan)
        }) {
            return Waiter {
                result: running.result.clone(),
                begun_by: Some(running.span.clone()),
                early: loads.early.clone(),
                first,
            };
        }
        let begun_by = loads.next.as_ref().map(|next| next.context.span.clone());
        let next = loads.next.get_or_insert_with(|| NextLoad::new(self.capture));
        next.request.absorb(request);
        Waiter {
            result: next.result.subscribe(),
            begun_by,
            early: loads.early.clone(),
            first,
        }
    }

    /// Makes place for a load that nobody waits for, unless the page is being loaded; the caller must start its task.
    pub(crate) fn begin(&self, key: &L::Key) -> Option<EarlyRequests<L>> {
        let mut pages = self.lock();
        if pages.contains_key(key) {
            return None;
        }
        let (early, requests) = mpsc::unbounded_channel();
        let loads = PageLoads {
            next: Some(NextLoad::new(self.capture)),
            ..PageLoads::new(early)
        };
        pages.insert(key.clone(), loads);
        Some(requests)
    }

    /// Starts the next load. `plan` is made under the lock, after the last reader joined: what was applied before any of
    /// them arrived is seen by the plan.
    pub(crate) fn start(
        &self,
        key: &L::Key,
        started_at: Duration,
        plan: impl FnOnce(LoadRequest<L::Body>) -> Plan<L::Body>,
    ) -> StartedLoad<L> {
        let mut pages = self.lock();
        let loads = pages
            .get_mut(key)
            .expect("a page's loads exist as long as the task that runs them");
        let NextLoad {
            result,
            request,
            context,
        } = loads
            .next
            .take()
            .expect("the task runs only while somebody waits for a load");
        let plan = plan(request);
        loads.running = Some(Running {
            plan: Arc::clone(&plan),
            started_at,
            result: result.subscribe(),
            span: context.span.clone(),
        });
        StartedLoad {
            plan,
            result,
            context,
        }
    }

    /// Ends the load in flight. Returns whether another one waits; if not, the page's entry is removed.
    pub(crate) fn finish(&self, key: &L::Key) -> bool {
        let mut pages = self.lock();
        let loads = pages
            .get_mut(key)
            .expect("a page's loads exist as long as the task that runs them");
        loads.running = None;
        let more = loads.next.is_some();
        if !more {
            pages.remove(key);
        }
        more
    }

    /// Removes the loads of a page whose task was ended from outside. The closed channel tells those who wait.
    pub(crate) fn abandon(&self, key: &L::Key) {
        self.lock().remove(key);
    }

    /// How many pages are being composed.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<L::Key, PageLoads<L>>> {
        // No section above leaves the map half changed, so a panic inside of one spoils nothing.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Loader> PageLoads<L> {
    const fn new(early: mpsc::UnboundedSender<EarlyRequest<L>>) -> Self {
        Self {
            running: None,
            next: None,
            early,
        }
    }
}

impl<L: Loader> NextLoad<L> {
    fn new(capture: fn() -> Option<TaskScope>) -> Self {
        Self {
            result: watch::Sender::new(None),
            request: LoadRequest::any(),
            context: TaskContext::current(capture),
        }
    }
}

impl<L: Loader> fmt::Debug for InFlight<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InFlight")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
