//! The cache itself: check what is resident, or wait for a load.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Answer, Fetch, Forward, Outcome};
use crate::clock::{Date, Moment};
use crate::consistency::{Consistency, Token};
use crate::dependency::{Dependency, place_of};
use crate::feed::ids::SourceId;
use crate::feed::reader::FeedReader;
use crate::feed::watermarks::Watermarks;
use crate::fragment::Fragment;
use crate::freshness::FreshnessCheck;
use crate::load::plan::LoadRequest;
use crate::loader::Loader;
use crate::options::CacheOptions;
use crate::page::CachedPage;
use crate::read_options::ReadOptions;
use crate::shared::Shared;
use crate::stats::Stats;
use crate::strategy::Verdict;

/// A cache of composed pages. Clones share the pages.
pub struct FreshCache<L: Loader> {
    pub(crate) shared: Arc<Shared<L>>,
}

/// Why the resident page cannot be the answer, and what to load.
pub(crate) struct NotFresh<L: Loader> {
    pub(crate) why: Forward,
    pub(crate) request: LoadRequest<L::Body>,
}

/// A page that is the answer, as it was found.
struct Resident<L: Loader> {
    page: Arc<CachedPage<L>>,
    checked: Checked,
    outcome: Outcome,
}

/// What is looked at before anything is loaded.
pub(crate) struct Looked<L: Loader> {
    pub(crate) watermarks: Watermarks,
    /// Needed this early only to find what the tokens name; a hit without tokens does without them.
    pub(crate) dependencies: Option<Arc<[Dependency<L::Entity>]>>,
}

/// Up to when a page was found to be complete, and when that was.
#[derive(Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) complete_until: Moment,
    pub(crate) at: Date,
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
    /// Must be called on a tokio runtime. A load runs there as a task of its own, in the `tracing` span of its reader (and with what
    /// [`CacheOptions::capture`] captures), and goes on if the reader goes away. The span of a reader who
    /// joins another reader's load follows from the span that the load runs in, which `tracing-opentelemetry` makes a link of.
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
    pub async fn read(
        &self,
        key: &L::Key,
        options: impl Into<ReadOptions<'_, L::Entity>> + Send,
    ) -> Answer<L> {
        let options = options.into();
        if !self.shared.policy.keeps_pages() {
            return Box::pin(self.read_alone(key, options.consistency)).await;
        }
        let (looked, found) = self.look(key, options);
        match found {
            Ok(resident) => {
                if resident.outcome == Outcome::StaleHit {
                    self.renew(key, looked.dependencies.as_ref());
                }
                self.show(resident, options.consistency, looked.dependencies.as_deref())
            }
            // Boxed: what only a miss needs would make the future of every hit large.
            Err(not_fresh) => Box::pin(self.wait(key, options, not_fresh, looked)).await,
        }
    }

    /// Answers with the resident page if that is an answer, and asks no source (`Cache-Control: only-if-cached`): it starts no
    /// load, not even in the background. A read that gets nothing is not counted in [`Stats`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/pages.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (feed, _writer) = feed::channel(1, FeedOptions::default());
    /// # let cache = FreshCache::new(Accounts::default(), feed, CacheOptions::default());
    /// assert!(cache.read_resident(&7, ReadOptions::default()).is_none());
    /// cache.get(&7).await;
    /// assert!(cache.read_resident(&7, ReadOptions::default()).is_some());
    /// # }
    /// ```
    pub fn read_resident<'a>(
        &self,
        key: &L::Key,
        options: impl Into<ReadOptions<'a, L::Entity>>,
    ) -> Option<Answer<L>>
    where
        L::Entity: 'a,
    {
        let options = options.into();
        let (looked, found) = self.look(key, options);
        let resident = found.ok()?;
        Some(self.show(resident, options.consistency, looked.dependencies.as_deref()))
    }

    /// Looks for the resident page, and whether it is the answer.
    #[inline]
    fn look(
        &self,
        key: &L::Key,
        options: ReadOptions<'_, L::Entity>,
    ) -> (Looked<L>, Result<Resident<L>, NotFresh<L>>) {
        let shared = &self.shared;
        let consistency = options.consistency;
        // The watermarks first, the page and its check second (rule 10).
        let watermarks = shared.feed.watermarks();
        let resident = shared.pages.get(key);
        let dependencies = (!consistency.tokens().is_empty()).then(|| shared.dependencies(key));
        let found = match resident {
            None => Err(NotFresh {
                why: Forward::Miss,
                request: request::<L>(consistency, None, dependencies.as_deref()),
            }),
            Some(page) => self
                .check(&page, options, dependencies.as_deref(), &watermarks)
                .map(|(checked, outcome)| Resident {
                    page,
                    checked,
                    outcome,
                }),
        };
        let looked = Looked {
            watermarks,
            dependencies,
        };
        (looked, found)
    }

    /// Answers with the resident page.
    #[inline]
    fn show(
        &self,
        resident: Resident<L>,
        consistency: Consistency<'_, L::Entity>,
        dependencies: Option<&[Dependency<L::Entity>]>,
    ) -> Answer<L> {
        let Resident {
            page,
            checked,
            outcome,
        } = resident;
        let behind = self.behind(&page, consistency, dependencies, |_| false);
        answer(page, checked, outcome, Box::default(), behind)
    }

    /// Checks the resident page: it is the answer if it is fresh and the reader asks for no more.
    #[inline]
    fn check(
        &self,
        page: &CachedPage<L>,
        options: ReadOptions<'_, L::Entity>,
        dependencies: Option<&[Dependency<L::Entity>]>,
        watermarks: &Watermarks,
    ) -> Result<(Checked, Outcome), NotFresh<L>> {
        let Shared {
            feed, policy, stats, ..
        } = &*self.shared;
        let check = FreshnessCheck::new(feed, watermarks);
        let request = request(options.consistency, Some((page, &check)), dependencies);
        let freshness = page.freshness(&check, &**policy);
        let young_enough = freshness.stale.is_some() && request.asks_for_no_more() && {
            let max_age = options.max_age.unwrap_or(self.shared.options.max_age);
            max_age > Duration::ZERO && page.is_young_enough(&check, freshness.complete_until, max_age)
        };
        if let Some(reason) = freshness.stale {
            stats.count_stale(reason);
        }
        let outcome = match policy.verdict(freshness.stale, young_enough) {
            Verdict::Load => {
                if page.reject() && policy.refreshes() {
                    stats.refreshes_wasted.add();
                }
                let why = Forward::Stale;
                return Err(NotFresh { why, request });
            }
            Verdict::Show if !request.asks_for_no_more() => {
                let why = Forward::Request;
                return Err(NotFresh { why, request });
            }
            Verdict::Show => {
                stats.hits.add();
                Outcome::Hit
            }
            Verdict::ShowAndRenew => {
                stats.stale_hits.add();
                Outcome::StaleHit
            }
        };
        page.touch();
        let checked = Checked {
            complete_until: freshness.complete_until,
            at: check.date(),
        };
        Ok((checked, outcome))
    }

    /// The entities of which the reader knows a later state than the page shows. `asked_since` tells whether a fragment was
    /// requested after the reader arrived. Only such a fragment certainly belongs to the history that the tokens name, or to a
    /// later one.
    #[inline]
    pub(crate) fn behind(
        &self,
        page: &CachedPage<L>,
        consistency: Consistency<'_, L::Entity>,
        dependencies: Option<&[Dependency<L::Entity>]>,
        asked_since: impl Fn(&Fragment<L::Body>) -> bool,
    ) -> Vec<(SourceId, L::Entity)> {
        let Some(dependencies) = dependencies else {
            return Vec::new();
        };
        let behind = page.short_of(consistency.tokens(), dependencies, asked_since);
        if !behind.is_empty() {
            self.shared.stats.behind.add();
        }
        behind
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
pub(crate) fn answer<L: Loader>(
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
        timed_out: false,
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
