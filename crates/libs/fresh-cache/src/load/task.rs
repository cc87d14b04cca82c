//! The task that loads a page: plans, fetches, merges, composes, stores (rules 11 and 12).
//!
//! One task per page at a time, and it alone stores that page. It goes on when its readers go away.

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;

use super::early::Arrived;
use super::fetch::{FragmentResult, message};
use super::in_flight::{EarlyRequest, EarlyRequests, Loaded, StartedLoad};
use super::plan::{FragmentPlan, LoadRequest, Planner, dated};
use crate::answer::{Brought, Fetch};
use crate::dependency::Dependency;
use crate::feed::ids::{FenceIndex, Position};
use crate::feed::watermarks::Watermarks;
use crate::fragment::{EventFragment, Fragment, FragmentState, merge_known};
use crate::freshness::FreshnessCheck;
use crate::loader::Loader;
use crate::page::{Backoff, CachedPage, NewPage};
use crate::shared::Shared;

/// Loads one page until nobody waits for it any more.
pub(crate) struct LoadTask<L: Loader> {
    pub(super) shared: Arc<Shared<L>>,
    pub(super) key: L::Key,
    pub(super) dependencies: Arc<[Dependency<L::Entity>]>,
    /// The merge of everything that this task has loaded. The page may be evicted between two loads, and the second load must
    /// not go back in time because of that (rule 11).
    pub(super) loaded: Vec<Option<Fragment<L::Body>>>,
    /// The requests of readers whose time to wait is over.
    pub(super) early: EarlyRequests<L>,
    /// Those of them for which nothing is known yet.
    pub(super) waiting: Vec<EarlyRequest<L>>,
    /// Whether the task ended its page's loads itself.
    ended: bool,
}

impl<L: Loader> LoadTask<L> {
    pub(crate) fn new(
        shared: Arc<Shared<L>>,
        key: L::Key,
        dependencies: Arc<[Dependency<L::Entity>]>,
        early: EarlyRequests<L>,
    ) -> Self {
        let loaded = dependencies.iter().map(|_| None).collect();
        Self {
            shared,
            key,
            dependencies,
            loaded,
            early,
            waiting: Vec::new(),
            ended: false,
        }
    }

    /// Runs one load after the other, as long as somebody waits for the next.
    pub(crate) async fn run(mut self) {
        while !self.ended {
            let StartedLoad {
                plan,
                result,
                context,
            } = self.start();
            let load = AssertUnwindSafe(context.run(self.load(&plan))).catch_unwind();
            let loaded = load.await.map_err(|panic| {
                self.shared.stats.panics.add();
                Arc::from(message(&*panic))
            });
            // `finish` before `send_replace`: a reader that gets this answer and reads again must not join this load.
            self.ended = !self.shared.in_flight.finish(&self.key);
            result.send_replace(Some(loaded));
        }
    }

    /// Loads a page for one reader, who joins no other load. Nothing is stored.
    pub(crate) async fn run_alone(mut self) -> Loaded<L> {
        self.ended = true; // nobody else knows of it
        let watermarks = self.shared.feed.watermarks();
        let nothing = self.dependencies.iter().map(|_| None).collect();
        let plan = self.planner(&watermarks).plan(nothing, None, LoadRequest::any());
        self.load(&plan).await
    }

    /// Starts the next load: decides which fragments are kept and which are fetched.
    fn start(&self) -> StartedLoad<L> {
        // The watermarks first, the page and its check second (rule 10).
        let watermarks = self.shared.feed.watermarks();
        let resident = self.resident();
        let known = self.known(resident.as_deref());
        let started_at = self.shared.feed.clock().monotonic();
        self.shared.in_flight.start(&self.key, started_at, |request| {
            self.planner(&watermarks)
                .plan(known, resident.as_deref(), request)
        })
    }

    pub(super) fn resident(&self) -> Option<Arc<CachedPage<L>>> {
        let resident = self.shared.pages.get(&self.key);
        resident.filter(|page| page.depends_on(&self.dependencies))
    }

    fn planner<'a>(&'a self, watermarks: &'a Watermarks) -> Planner<'a, L> {
        Planner {
            check: FreshnessCheck::new(&self.shared.feed, watermarks),
            policy: &*self.shared.policy,
            dependencies: &self.dependencies,
            scope: self.shared.options.refresh.scope,
            stats: &self.shared.stats,
        }
    }

    /// What is known of each fragment: from the page that is resident, from the loads before this one, or else from what was
    /// remembered of the past.
    fn known(&self, resident: Option<&CachedPage<L>>) -> Vec<Option<Fragment<L::Body>>> {
        let mut known = Vec::with_capacity(self.loaded.len());
        for (index, loaded) in self.loaded.iter().enumerate() {
            let fragment = merge_known(loaded.clone(), resident.and_then(|page| page.known(index)));
            known.push(match fragment {
                Some(fragment) => Some(fragment),
                None => self.shared.remembered(&self.key, &self.dependencies[index]),
            });
        }
        known
    }

    async fn load(&mut self, plan: &[FragmentPlan<L::Body>]) -> Loaded<L> {
        self.shared.stats.loads.add();
        let mut arrived = Arrived::none_of(plan.len());
        self.carry_out(plan, plan.iter().enumerate(), &mut arrived).await;
        let fragments = arrived.results.iter().flatten().map(FragmentResult::fragment);
        if !self.conflicts(fragments).is_empty() {
            self.fetch_what_was_kept(plan, &mut arrived).await;
        }
        self.finish(arrived.results.into_iter().flatten().collect())
    }

    /// The fragments that contradict the others.
    fn conflicts<'a>(
        &self,
        fragments: impl Iterator<Item = Option<&'a Fragment<L::Body>>>,
    ) -> Vec<(usize, &'static str)> {
        let fragments: Vec<_> = fragments.collect();
        let Shared { loader, .. } = &*self.shared;
        let conflicts = self.shared.guard(|| loader.conflicts(&self.key, &fragments));
        conflicts.unwrap_or_default()
    }

    /// If fragments contradict each other, one may be older than its source although it is fresh: its event is still under way.
    async fn fetch_what_was_kept(&mut self, plan: &[FragmentPlan<L::Body>], arrived: &mut Arrived<L>) {
        let conditional = self.shared.policy.asks_about_known();
        let position = self.shared.feed.position();
        let again = |(index, plan): (usize, &FragmentPlan<L::Body>)| match plan {
            FragmentPlan::Keep(fragment) => Some((
                index,
                FragmentPlan::Fetch {
                    known: Some(fragment.clone()),
                    conditional,
                    position,
                },
            )),
            FragmentPlan::Fetch { .. } | FragmentPlan::BackOff { .. } => None,
        };
        let again: Vec<_> = plan.iter().enumerate().filter_map(again).collect();
        let planned = again.iter().map(|(index, planned)| (*index, planned));
        self.carry_out(plan, planned, arrived).await;
    }

    /// Merges what was fetched with what is known, composes the page and stores it.
    fn finish(&mut self, results: Vec<FragmentResult<L::Body>>) -> Loaded<L> {
        let fetches: Arc<[Fetch]> = results.iter().filter_map(|result| result.fetch).collect();
        let watermarks = self.shared.feed.watermarks();
        let resident = self.resident();
        let check = FreshnessCheck::new(&self.shared.feed, &watermarks);
        let mut states = Vec::with_capacity(results.len());
        let mut backoffs: Vec<_> = results.iter().map(|result| result.backoff.clone()).collect();
        for (index, result) in results.into_iter().enumerate() {
            let resident = resident.as_ref().and_then(|page| page.known(index));
            let known = merge_known(result.known, resident);
            let state = self.state_of(
                self.dependencies[index].fence,
                known.clone(),
                result.fragment,
                &check,
            );
            self.loaded[index] = state.fragment().cloned().or(known);
            states.push(state);
        }
        self.leave_out_conflicts(&mut states, &mut backoffs, &check);
        for state in &states {
            self.shared.stats.count_state(state);
        }
        self.count_overtaken(&states);
        let nothing_new = fetches.iter().all(|fetch| fetch.brought != Brought::New);
        let same = resident
            .as_deref()
            .filter(|page| nothing_new && page.shows(&states));
        let page = self.make(states, backoffs, resident.as_deref(), same, &check);
        let stored = self.shared.store(&self.key, &page);
        Loaded {
            page,
            fetches,
            stored,
        }
    }

    /// A fragment that contradicts the others is not shown. It is in backoff until an event of it is applied.
    pub(super) fn leave_out_conflicts(
        &self,
        states: &mut [FragmentState<L::Body>],
        backoffs: &mut [Option<Backoff>],
        check: &FreshnessCheck<'_>,
    ) {
        for (index, reason) in self.conflicts(states.iter().map(FragmentState::fragment)) {
            let Some(fragment) = states.get(index).and_then(FragmentState::fragment) else {
                continue;
            };
            backoffs[index] = Some(Backoff {
                reason: reason.into(),
                until: check.monotonic().saturating_add(self.shared.options.retry_after),
                position: fragment.position,
            });
            states[index] = FragmentState::Missing {
                reason: reason.to_owned(),
            };
        }
    }

    /// Counts a load if one of its fragments is stale already when the load ends.
    fn count_overtaken(&self, states: &[FragmentState<L::Body>]) {
        let overtaken = |(state, dependency): (&FragmentState<_>, &Dependency<_>)| match state {
            FragmentState::Current(fragment) => {
                self.shared.feed.overtaken(dependency.fence, fragment.position)
            }
            FragmentState::Stale { .. } | FragmentState::Missing { .. } => false,
        };
        if states.iter().zip(&*self.dependencies).any(overtaken) {
            self.shared.stats.overtaken.add();
        }
    }

    pub(super) fn state_of(
        &self,
        fence: FenceIndex,
        known: Option<Fragment<L::Body>>,
        fetched: Result<Fragment<L::Body>, String>,
        check: &FreshnessCheck<'_>,
    ) -> FragmentState<L::Body> {
        match (fetched, known) {
            (Ok(fragment), Some(known)) => FragmentState::Current(fragment.merge(known)),
            (Ok(fragment), None) => FragmentState::Current(fragment),
            (Err(reason), None) => FragmentState::Missing { reason },
            (Err(reason), Some(known)) => self.fall_back(fence, known, reason, check),
        }
    }

    /// What is shown of a fragment whose source gave no answer (rule 12).
    pub(super) fn fall_back(
        &self,
        fence: FenceIndex,
        known: Fragment<L::Body>,
        reason: String,
        check: &FreshnessCheck<'_>,
    ) -> FragmentState<L::Body> {
        let fragment = match dated(known, fence, check, &*self.shared.policy) {
            // The feed came back while the source was gone.
            (fragment, None) => return FragmentState::Current(fragment),
            (fragment, Some(_)) => fragment,
        };
        self.mark_stale(fence, fragment, reason, check)
    }

    /// The fragment, marked, under the limits of what may be shown stale (rule 12).
    pub(super) fn mark_stale(
        &self,
        fence: FenceIndex,
        fragment: Fragment<L::Body>,
        reason: String,
        check: &FreshnessCheck<'_>,
    ) -> FragmentState<L::Body> {
        if self.shared.feed.deleted(fence, fragment.position) {
            return FragmentState::Missing {
                reason: format!("{reason}; what was known is deleted"),
            };
        }
        let complete_until = check.tell(fragment.complete_until);
        if check.now().saturating_since(complete_until) >= self.shared.options.max_stale {
            return FragmentState::Missing {
                reason: format!("{reason}; what was known is too old"),
            };
        }
        FragmentState::Stale { fragment, reason }
    }

    /// Composes the page, or keeps the content of one that shows the same.
    pub(super) fn make(
        &self,
        states: Vec<FragmentState<L::Body>>,
        backoffs: Vec<Option<Backoff>>,
        resident: Option<&CachedPage<L>>,
        same: Option<&CachedPage<L>>,
        check: &FreshnessCheck<'_>,
    ) -> Arc<CachedPage<L>> {
        let Shared { loader, stats, .. } = &*self.shared;
        let (content, weight) = if let Some(page) = same {
            (page.shared_content(), page.weight())
        } else {
            stats.compositions.add();
            let content = loader.compose(&self.key, &states);
            let weight = loader.weight(&content);
            (Arc::new(content), weight)
        };
        Arc::new(CachedPage::new(NewPage {
            content,
            fragments: states,
            dependencies: &self.dependencies,
            composed: check.date(),
            backoffs,
            read: resident.is_some_and(CachedPage::was_read),
            weight,
        }))
    }
}

impl<L: Loader> Shared<L> {
    /// Stores the page. Returns whether it was stored.
    pub(super) fn store(&self, key: &L::Key, page: &Arc<CachedPage<L>>) -> bool {
        if !self.policy.keeps_pages() {
            return false;
        }
        let stored = u64::from(page.weight()) <= self.options.max_bytes;
        if stored {
            self.pages.insert(key.clone(), Arc::clone(page));
        } else {
            // The former page must go nevertheless: it may be older than this answer, and still fresh (I2).
            self.pages.invalidate(key);
        }
        stored
    }

    /// What was remembered of one fragment of a page: a body, and no evidence (rule 19).
    fn remembered(&self, key: &L::Key, dependency: &Dependency<L::Entity>) -> Option<Fragment<L::Body>> {
        let entity = (dependency.fence.source(), dependency.entity.clone());
        let event = self.remembered.get(&entity)?;
        let mut fragment = self.fragment_of(key, dependency, Position::ZERO, &event)?;
        fragment.complete_until = self.feed.believable(event.committed);
        Some(fragment)
    }

    /// The fragment that an event brought, for one page.
    pub(crate) fn fragment_of(
        &self,
        key: &L::Key,
        dependency: &Dependency<L::Entity>,
        position: Position,
        event: &EventFragment,
    ) -> Option<Fragment<L::Body>> {
        let source = dependency.fence.source();
        let body = self.guard(|| self.loader.read_event(key, source, &dependency.entity, event))??;
        Some(Fragment::from_event(source, position, event, body))
    }
}

impl<L: Loader> Drop for LoadTask<L> {
    fn drop(&mut self) {
        // The runtime ended the task: without this the page could never be loaded again.
        if !self.ended {
            self.shared.in_flight.abandon(&self.key);
        }
    }
}
