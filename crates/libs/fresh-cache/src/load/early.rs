//! Answers before a load has ended, for readers whose time to wait is over (rule 26).
//!
//! The page's task makes them, because it alone knows what has arrived. It stores that first: a later reader must not get an
//! older page than this one.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::fetch::FragmentResult;
use super::in_flight::{EarlyRequest, Loaded};
use super::plan::{FragmentPlan, dated};
use super::task::LoadTask;
use crate::answer::Fetch;
use crate::fragment::{Fragment, FragmentState, merge_known};
use crate::freshness::FreshnessCheck;
use crate::loader::Loader;
use crate::page::{Backoff, CachedPage};

/// The reason of a fragment that has not arrived, in words that follow its source's name.
const NOT_IN_TIME: &str = "did not answer within the reader's wait";

/// What has arrived of a load, by the fragments' places.
pub(super) struct Arrived<L: Loader> {
    pub(super) results: Vec<Option<FragmentResult<L::Body>>>,
    /// The last page that was made for a reader, and the number of results that it was made of.
    shown: Option<(usize, Arc<CachedPage<L>>)>,
}

impl<L: Loader> Arrived<L> {
    pub(super) fn none_of(fragments: usize) -> Self {
        Self {
            results: (0..fragments).map(|_| None).collect(),
            shown: None,
        }
    }

    fn count(&self) -> usize {
        self.results.iter().flatten().count()
    }

    fn fetches(&self) -> Arc<[Fetch]> {
        let results = self.results.iter().flatten();
        results.filter_map(|result| result.fetch).collect()
    }
}

impl<L: Loader> LoadTask<L> {
    /// Carries out what is `planned`, all of it at once. Meanwhile it answers the readers whose time to wait is over.
    pub(super) async fn carry_out(
        &mut self,
        plan: &[FragmentPlan<L::Body>],
        planned: impl Iterator<Item = (usize, &FragmentPlan<L::Body>)>,
        arrived: &mut Arrived<L>,
    ) {
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let dependencies = Arc::clone(&self.dependencies);
        let carry_out = async |index: usize, planned: &FragmentPlan<L::Body>| {
            (index, shared.carry_out(&key, planned, &dependencies[index]).await)
        };
        let mut carried_out: FuturesUnordered<_> = planned
            .map(|(index, planned)| carry_out(index, planned))
            .collect();
        while !carried_out.is_empty() {
            tokio::select! {
                biased;
                Some((index, result)) = carried_out.next() => {
                    arrived.results[index] = Some(result);
                    for waiting in std::mem::take(&mut self.waiting) {
                        self.answer_early(waiting, plan, arrived);
                    }
                }
                Some(request) = self.early.recv() => self.answer_early(request, plan, arrived),
            }
        }
    }

    /// Answers with what is known. As long as nothing is known, the reader goes on waiting.
    fn answer_early(
        &mut self,
        request: EarlyRequest<L>,
        plan: &[FragmentPlan<L::Body>],
        arrived: &mut Arrived<L>,
    ) {
        if request.reply.is_closed() {
            return;
        }
        self.store_arrived(plan, arrived);
        let watermarks = self.shared.feed.watermarks();
        let resident = self.resident();
        let check = FreshnessCheck::new(&self.shared.feed, &watermarks);
        let mut states: Vec<_> = (0..plan.len())
            .map(|index| {
                let known = self.known_now(index, resident.as_deref(), plan, arrived);
                let result = arrived.results[index].as_ref();
                self.early_state(index, known, result, &request, &check)
            })
            .collect();
        self.leave_out_conflicts(&mut states, &mut vec![None; plan.len()], &check);
        if states.iter().all(|state| state.fragment().is_none()) {
            self.waiting.push(request);
            return;
        }
        let count = arrived.count();
        let shown = arrived.shown.take();
        let same = shown.filter(|(of, page)| *of == count && page.shows(&states));
        let same = same.map(|(_, page)| page);
        let page = self.make(
            states,
            vec![None; plan.len()],
            resident.as_deref(),
            same.as_deref(),
            &check,
        );
        arrived.shown = Some((count, Arc::clone(&page)));
        let loaded = Loaded {
            page,
            fetches: arrived.fetches(),
            stored: false,
        };
        // An error: the reader is gone.
        _ = request.reply.send(loaded);
    }

    /// What is known of a fragment by now.
    fn known_now(
        &self,
        index: usize,
        resident: Option<&CachedPage<L>>,
        plan: &[FragmentPlan<L::Body>],
        arrived: &Arrived<L>,
    ) -> Option<Fragment<L::Body>> {
        let planned = match &plan[index] {
            FragmentPlan::Keep(fragment) => Some(fragment),
            FragmentPlan::Fetch { known, .. } | FragmentPlan::BackOff { known, .. } => known.as_ref(),
        };
        let answered = arrived.results[index]
            .as_ref()
            .and_then(|result| result.fragment.as_ref().ok());
        let before = merge_known(
            self.loaded[index].clone(),
            resident.and_then(|page| page.known(index)),
        );
        merge_known(merge_known(answered.cloned(), planned.cloned()), before)
    }

    /// A fragment for this reader: unmarked if its source was asked after the reader arrived, or if it is fresh.
    fn early_state(
        &self,
        index: usize,
        known: Option<Fragment<L::Body>>,
        result: Option<&FragmentResult<L::Body>>,
        request: &EarlyRequest<L>,
        check: &FreshnessCheck<'_>,
    ) -> FragmentState<L::Body> {
        let failed = result.and_then(|result| result.fragment.as_ref().err());
        let reason = failed.map_or_else(|| NOT_IN_TIME.to_owned(), Clone::clone);
        let Some(known) = known else {
            return FragmentState::Missing { reason };
        };
        // Not "at the same time": by a coarse clock that may be before.
        let asked_since = known
            .started
            .is_some_and(|started| started.monotonic > request.arrived);
        if asked_since {
            return FragmentState::Current(known);
        }
        let fence = self.dependencies[index].fence;
        match dated(known, fence, check, &*self.shared.policy) {
            (fragment, None) if !request.full => FragmentState::Current(fragment),
            (fragment, _) => self.mark_stale(fence, fragment, reason, check),
        }
    }

    /// Stores what has arrived. A fragment of which nothing has arrived keeps the state that it had in the resident page.
    fn store_arrived(&mut self, plan: &[FragmentPlan<L::Body>], arrived: &Arrived<L>) {
        let watermarks = self.shared.feed.watermarks();
        let resident = self.resident();
        let check = FreshnessCheck::new(&self.shared.feed, &watermarks);
        let mut backoffs: Vec<Option<Backoff>> = vec![None; plan.len()];
        let mut states = Vec::with_capacity(plan.len());
        for (index, backoff) in backoffs.iter_mut().enumerate() {
            let known = self.known_now(index, resident.as_deref(), plan, arrived);
            let fence = self.dependencies[index].fence;
            let state = match &arrived.results[index] {
                Some(result) => {
                    backoff.clone_from(&result.backoff);
                    self.state_of(fence, known.clone(), result.fragment.clone(), &check)
                }
                None => self.unanswered(index, known.clone(), resident.as_deref(), &check),
            };
            self.loaded[index] = state.fragment().cloned().or(known);
            states.push(state);
        }
        self.leave_out_conflicts(&mut states, &mut vec![None; plan.len()], &check);
        if resident.as_ref().is_some_and(|page| page.shows(&states)) {
            return;
        }
        let page = self.make(states, backoffs, resident.as_deref(), None, &check);
        self.shared.store(&self.key, &page);
    }

    /// A fragment of which nothing has arrived yet, for the page that is stored.
    fn unanswered(
        &self,
        index: usize,
        known: Option<Fragment<L::Body>>,
        resident: Option<&CachedPage<L>>,
        check: &FreshnessCheck<'_>,
    ) -> FragmentState<L::Body> {
        let before = resident.and_then(|page| page.fragments().get(index));
        match (known, before) {
            (Some(known), Some(FragmentState::Current(_))) => FragmentState::Current(known),
            (Some(known), Some(FragmentState::Stale { reason, .. })) => FragmentState::Stale {
                fragment: known,
                reason: reason.clone(),
            },
            (Some(known), _) => self.fall_back(
                self.dependencies[index].fence,
                known,
                NOT_IN_TIME.to_owned(),
                check,
            ),
            (None, _) => FragmentState::Missing {
                reason: NOT_IN_TIME.to_owned(),
            },
        }
    }
}
