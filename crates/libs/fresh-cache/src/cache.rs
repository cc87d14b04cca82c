//! The cache itself: check what is resident, or wait for a load.

use std::fmt;
use std::sync::Arc;

use telemetry::TaskContext;
use tracing::Span;

use crate::answer::{Answer, Fetch, Forward, Outcome};
use crate::clock::{Date, Moment};
use crate::consistency::{Consistency, Token};
use crate::dependency::{Dependency, place_of};
use crate::feed::ids::SourceId;
use crate::feed::reader::FeedReader;
use crate::feed::watermarks::Watermarks;
use crate::freshness::FreshnessCheck;
use crate::load::in_flight::{Loaded, Waiter};
use crate::load::plan::{FragmentPlan, LoadRequest, Planner};
use crate::load::task::LoadTask;
use crate::loader::Loader;
use crate::options::CacheOptions;
use crate::page::CachedPage;
use crate::shared::Shared;
use crate::stats::Stats;

/// A cache of composed pages. Clones share the pages.
pub struct FreshCache<L: Loader> {
    pub(crate) shared: Arc<Shared<L>>,
}

/// Why the resident page cannot be the answer, and what to load.
struct NotFresh<L: Loader> {
    why: Forward,
    request: LoadRequest<L::Body>,
}

/// Up to when a page was found to be complete, and when that was.
#[derive(Clone, Copy)]
struct Checked {
    complete_until: Moment,
    at: Date,
}

impl<L: Loader> FreshCache<L> {
    /// A cache over what is applied to this feed.
    pub fn new(loader: L, feed: FeedReader<L::Entity>, options: CacheOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(loader, feed, options)),
        }
    }

    /// [Reads](Self::read) a page that is fresh by the feed, or composed for this read.
    pub async fn get(&self, key: &L::Key) -> Answer<L> {
        self.read(key, Consistency::MinimizeLatency).await
    }

    /// Answers with a page, and with the moment up to which it is complete.
    ///
    /// Must be called on a tokio runtime; a load runs there as a task of its own, in the reader's tracing span or
    /// [without a trace](TaskContext) as the reader, and goes on if the reader goes away. The span of a reader who joins a load
    /// of somebody else follows from the span that the load runs in, which `tracing-opentelemetry` makes a link of.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (feed, mut writer) = feed::channel(1, FeedOptions::default());
    /// let cache = FreshCache::new(Accounts::default(), feed, CacheOptions::default());
    ///
    /// let answer = cache.read(&7, Consistency::MinimizeLatency).await;
    /// assert_eq!(answer.page.content(), "account 7: revision 0");
    /// assert_eq!(answer.degraded().count(), 0, "no fragment is stale or missing");
    /// println!("complete until {}, {:?}", answer.fresh_as_of, answer.outcome);
    ///
    /// assert_eq!(cache.read(&7, Consistency::MinimizeLatency).await.outcome, Outcome::Hit);
    /// writer.changed(ACCOUNTS, &7);
    /// assert_ne!(cache.read(&7, Consistency::MinimizeLatency).await.outcome, Outcome::Hit);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the loader panics while it composes the page, or lists its dependencies.
    pub async fn read(&self, key: &L::Key, consistency: Consistency<'_, L::Entity>) -> Answer<L> {
        let shared = &self.shared;
        if !shared.policy.keeps_pages() {
            return Box::pin(self.read_alone(key, consistency)).await;
        }
        // The watermarks first, the page and its check second (rule 10).
        let watermarks = shared.feed.watermarks();
        let resident = shared.pages.get(key);
        // Needed this early only to find what the tokens name; a hit without tokens does without them.
        let dependencies = (!consistency.tokens().is_empty()).then(|| shared.dependencies(key));
        let not_fresh = match resident {
            None => NotFresh {
                why: Forward::Miss,
                request: request::<L>(consistency, None, dependencies.as_deref()),
            },
            Some(page) => match self.check(&page, consistency, dependencies.as_deref(), &watermarks) {
                Ok(checked) => {
                    let behind = self.behind(&page, consistency, dependencies.as_deref());
                    return answer(page, checked, Outcome::Hit, Box::default(), behind);
                }
                Err(not_fresh) => not_fresh,
            },
        };
        let dependencies = dependencies.unwrap_or_else(|| shared.dependencies(key));
        // Boxed: what only a miss needs would make the future of every hit large.
        Box::pin(self.wait(key, consistency, not_fresh, dependencies, &watermarks)).await
    }

    /// Checks the resident page: it is the answer if it is fresh and the reader asks for no more.
    #[inline]
    fn check(
        &self,
        page: &CachedPage<L>,
        consistency: Consistency<'_, L::Entity>,
        dependencies: Option<&[Dependency<L::Entity>]>,
        watermarks: &Watermarks,
    ) -> Result<Checked, NotFresh<L>> {
        let Shared {
            feed, policy, stats, ..
        } = &*self.shared;
        let check = FreshnessCheck::new(feed, watermarks);
        let request = request(consistency, Some((page, &check)), dependencies);
        let freshness = page.freshness(&check, &**policy);
        let why = match freshness.stale {
            None if !request.asks_for_no_more() => Forward::Request,
            None => {
                page.touch();
                stats.hits.add();
                return Ok(Checked {
                    complete_until: freshness.complete_until,
                    at: check.date(),
                });
            }
            Some(reason) => {
                stats.count_stale(reason);
                if page.reject() && policy.refreshes() {
                    stats.refreshes_wasted.add();
                }
                Forward::Stale
            }
        };
        Err(NotFresh { why, request })
    }

    /// The entities of which the reader knows a later state than the page shows.
    #[inline]
    fn behind(
        &self,
        page: &CachedPage<L>,
        consistency: Consistency<'_, L::Entity>,
        dependencies: Option<&[Dependency<L::Entity>]>,
    ) -> Vec<(SourceId, L::Entity)> {
        let Some(dependencies) = dependencies else {
            return Vec::new();
        };
        let behind = page.short_of(consistency.tokens(), dependencies);
        if !behind.is_empty() {
            self.shared.stats.behind.add();
        }
        behind
    }

    /// Answers with what a load brings.
    async fn wait(
        &self,
        key: &L::Key,
        consistency: Consistency<'_, L::Entity>,
        not_fresh: NotFresh<L>,
        dependencies: Arc<[Dependency<L::Entity>]>,
        watermarks: &Watermarks,
    ) -> Answer<L> {
        let NotFresh { why, request } = not_fresh;
        let why = if request.full { Forward::Request } else { why };
        self.shared.stats.count_forward(why);
        let (loaded, collapsed) = self.load(key, request, &dependencies, watermarks).await;
        self.forward(loaded, why, collapsed, consistency, &dependencies)
    }

    /// Answers a reader by a load of its own.
    async fn read_alone(&self, key: &L::Key, consistency: Consistency<'_, L::Entity>) -> Answer<L> {
        self.shared.stats.count_forward(Forward::Bypass);
        let dependencies = self.shared.dependencies(key);
        let task = LoadTask::new(Arc::clone(&self.shared), key.clone(), Arc::clone(&dependencies));
        let loaded = task.run_alone().await;
        self.forward(loaded, Forward::Bypass, false, consistency, &dependencies)
    }

    /// Answers with what a load brought.
    fn forward(
        &self,
        loaded: Loaded<L>,
        why: Forward,
        collapsed: bool,
        consistency: Consistency<'_, L::Entity>,
        dependencies: &[Dependency<L::Entity>],
    ) -> Answer<L> {
        let Shared {
            feed, policy, stats, ..
        } = &*self.shared;
        if collapsed {
            stats.collapsed.add();
        }
        let Loaded {
            page,
            fetches,
            stored,
        } = loaded;
        page.touch();
        // Dated by the same check as a hit: a fence that moved during the load leaves a fragment its start (rule 11).
        let watermarks = feed.watermarks();
        let check = FreshnessCheck::new(feed, &watermarks);
        let checked = Checked {
            complete_until: page.freshness(&check, &**policy).complete_until,
            at: check.date(),
        };
        let outcome = Outcome::Forwarded {
            why,
            collapsed,
            stored,
        };
        let behind = self.behind(&page, consistency, Some(dependencies));
        answer(page, checked, outcome, Box::from(&*fetches), behind)
    }

    /// Joins a load that is fresh enough for a reader who arrived now, or starts one; returns whether it joined another
    /// reader's.
    pub(crate) async fn load(
        &self,
        key: &L::Key,
        request: LoadRequest<L::Body>,
        dependencies: &Arc<[Dependency<L::Entity>]>,
        watermarks: &Watermarks,
    ) -> (Loaded<L>, bool) {
        let shared = &self.shared;
        loop {
            let planner: Planner<'_, L> = Planner {
                check: FreshnessCheck::new(&shared.feed, watermarks),
                policy: &*shared.policy,
                dependencies,
                scope: shared.options.refresh.scope,
                stats: &shared.stats,
            };
            let may_be_joined = |plan: &[FragmentPlan<L::Body>]| planner.may_be_joined(plan);
            let since = planner.check.monotonic().saturating_sub(shared.feed.trust());
            let Waiter {
                mut result,
                begun_by,
                first,
            } = shared.in_flight.join(key, request.clone(), since, may_be_joined);
            if first {
                let task = LoadTask::new(Arc::clone(shared), key.clone(), Arc::clone(dependencies));
                tokio::spawn(task.run());
            }
            let collapsed = begun_by.is_some();
            if let Some(load) = begun_by {
                link_to(load);
            }
            let loaded = result
                .wait_for(Option::is_some)
                .await
                .map(|result| result.clone());
            match loaded {
                Ok(result) => match result.expect("waited until it is some") {
                    Ok(loaded) => return (loaded, collapsed),
                    Err(message) => panic!("the loader panicked: {message}"),
                },
                // The load's task was ended because its runtime shuts down. If that is our runtime too, this reader ends at
                // the yield; if not, it starts the load again on ours.
                Err(_closed) => tokio::task::yield_now().await,
            }
        }
    }

    /// Drops a resident page, as the store does for want of room. A load of it goes on.
    ///
    /// Not needed for freshness: an event does that by the feed. It is for repairs by hand.
    pub fn evict(&self, key: &L::Key) {
        self.shared.pages.invalidate(key);
    }

    /// What happened in this cache since it was made.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// The number of resident pages, as of moka's last maintenance.
    pub fn page_count(&self) -> u64 {
        self.shared.pages.entry_count()
    }

    /// The memory of the resident pages in bytes, as of moka's last maintenance.
    pub fn weighted_size(&self) -> u64 {
        self.shared.pages.weighted_size()
    }

    /// The number of pages being loaded right now.
    pub fn loads_in_flight(&self) -> usize {
        self.shared.in_flight.len()
    }
}

/// Links the reader's trace to the load that the reader waits for. Takes the context by value and drops it, so that the load's
/// span does not stay open while the reader waits.
fn link_to(load: TaskContext) {
    let reader = Span::current();
    // Never to itself: of two reads in one span, one may join the other's load.
    if let Some(span) = load.span()
        && reader.id() != span.id()
    {
        reader.follows_from(span);
    }
    drop(load);
}

/// What a reader wants beyond a fresh page: the fragments that fall short of its tokens. One in backoff is not asked for,
/// whatever the token says.
#[inline]
fn request<L: Loader>(
    consistency: Consistency<'_, L::Entity>,
    resident: Option<(&CachedPage<L>, &FreshnessCheck<'_>)>,
    dependencies: Option<&[Dependency<L::Entity>]>,
) -> LoadRequest<L::Body> {
    let short = |token: &Token<L::Entity>| {
        let place = place_of(dependencies?, token.source, &token.entity)?;
        let no_need = resident
            .is_some_and(|(page, check)| page.backoff(place, check).is_some() || page.has(place, token));
        (!no_need).then_some(place)
    };
    match consistency {
        Consistency::MinimizeLatency => LoadRequest::any(),
        Consistency::FullyConsistent(_) => LoadRequest {
            full: true,
            ..LoadRequest::any()
        },
        Consistency::AtLeastAsFresh(tokens) => LoadRequest {
            fetch: tokens.iter().filter_map(short).collect(),
            ..LoadRequest::any()
        },
    }
}

#[inline]
fn answer<L: Loader>(
    page: Arc<CachedPage<L>>,
    checked: Checked,
    outcome: Outcome,
    fetches: Box<[Fetch]>,
    behind: Vec<(SourceId, L::Entity)>,
) -> Answer<L> {
    let composed = page.composed();
    Answer {
        page,
        fresh_as_of: checked.complete_until,
        outcome,
        fetches,
        composed: composed.told_at(checked.at.moment, checked.at.monotonic),
        age: checked.at.monotonic.saturating_sub(composed.monotonic),
        behind,
    }
}

impl<L: Loader> Clone for FreshCache<L> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<L: Loader> fmt::Debug for FreshCache<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FreshCache")
            .field("options", &self.shared.options)
            .field("in_flight", &self.shared.in_flight)
            .field("stats", &self.shared.stats)
            .finish_non_exhaustive()
    }
}
