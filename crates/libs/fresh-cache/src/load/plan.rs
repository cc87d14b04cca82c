//! What a load does about each fragment of its page: keep it, fetch it, or back off from its source.

use std::sync::Arc;

use crate::dependency::Dependency;
use crate::feed::ids::{FenceIndex, Position};
use crate::fragment::{Fragment, merge_known};
use crate::freshness::{FreshnessCheck, StaleReason};
use crate::loader::Loader;
use crate::options::RefreshScope;
use crate::page::{Backoff, CachedPage};
use crate::stats::Stats;
use crate::strategy::Policy;

/// What a reader or an event asks of a load beyond a fresh page.
#[derive(Clone)]
pub(crate) struct LoadRequest<B> {
    /// That every source is asked, for a full answer.
    pub(crate) full: bool,
    /// The fragments, by their index on the page, that are fetched even if they are fresh (rule 13).
    pub(crate) fetch: Vec<usize>,
    /// The fragments that events brought, by their index on the page (rule 17).
    pub(crate) events: Vec<(usize, Fragment<B>)>,
}

impl<B> LoadRequest<B> {
    /// Asks for nothing beyond a page that is fresh, or composed from now on.
    pub(crate) const fn any() -> Self {
        Self {
            full: false,
            fetch: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Adds what another reader or event asks for.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.full |= other.full;
        self.fetch.extend(other.fetch);
        self.fetch.sort_unstable();
        self.fetch.dedup();
        self.events.extend(other.events);
    }

    /// Whether a load that is in flight may be enough.
    pub(crate) const fn asks_for_no_more(&self) -> bool {
        !self.full && self.fetch.is_empty()
    }
}

/// What a load does about one fragment of its page.
pub(crate) enum FragmentPlan<B> {
    /// The fragment was fresh when the load began.
    Keep(Fragment<B>),
    /// The source is asked.
    Fetch {
        /// What is known of the fragment by then.
        known: Option<Fragment<B>>,
        /// Whether to ask about it, or for a full answer.
        conditional: bool,
        /// The answer will reflect the events up to this position at the least.
        position: Position,
    },
    /// The source has just failed, and is not called again yet.
    BackOff {
        /// What is known of the fragment.
        known: Option<Fragment<B>>,
        /// How it failed, and until when it is not called.
        backoff: Backoff,
    },
}

/// What a load does about each fragment, in the order of the page's fragments.
pub(crate) type Plan<B> = Arc<[FragmentPlan<B>]>;

/// What plans are made by.
pub(crate) struct Planner<'a, L: Loader> {
    /// Made while the plan is: what was applied before any of its readers arrived is seen by the plan.
    pub(crate) check: FreshnessCheck<'a>,
    pub(crate) policy: &'a dyn Policy,
    pub(crate) dependencies: &'a [Dependency<L::Entity>],
    pub(crate) scope: RefreshScope,
    pub(crate) stats: &'a Stats,
}

impl<L: Loader> Planner<'_, L> {
    /// Plans a load, given what is known of each fragment and the page that is resident.
    pub(crate) fn plan(
        &self,
        mut known: Vec<Option<Fragment<L::Body>>>,
        resident: Option<&CachedPage<L>>,
        request: LoadRequest<L::Body>,
    ) -> Plan<L::Body> {
        let LoadRequest { full, fetch, events } = request;
        for (index, fragment) in events {
            // None only if the loader named other dependencies before, which it must not.
            let Some(known) = known.get_mut(index) else {
                continue;
            };
            let fragment = self.believe_event(known.as_ref(), fragment);
            *known = merge_known(known.take(), Some(fragment));
        }
        let plan = |(index, known): (usize, Option<Fragment<L::Body>>)| {
            let asked = full || fetch.contains(&index);
            let known = known
                .map(|fragment| dated(fragment, self.dependencies[index].fence, &self.check, self.policy));
            let known = match known {
                Some((fragment, None)) if !asked => return FragmentPlan::Keep(fragment),
                known => known.map(|(fragment, _)| fragment),
            };
            let failed = resident
                .filter(|_| !asked)
                .and_then(|page| page.failed(index, &self.check));
            if let Some(backoff) = failed {
                return FragmentPlan::BackOff { known, backoff };
            }
            FragmentPlan::Fetch {
                known,
                conditional: !full && self.policy.asks_about_known(),
                position: self.check.feed().position(),
            }
        };
        known.into_iter().enumerate().map(plan).collect()
    }

    /// Whether a load in flight is fresh enough for a reader who arrives now (rule 11): nothing was applied that it may
    /// not reflect, and what it did not fetch is still fresh.
    pub(crate) fn may_be_joined(&self, plan: &[FragmentPlan<L::Body>]) -> bool {
        let feed = self.check.feed();
        let fences = self.dependencies.iter().map(|dependency| dependency.fence);
        plan.iter().zip(fences).all(|(plan, fence)| match plan {
            FragmentPlan::Keep(fragment) => {
                let freshness = self.policy.freshness(&self.check, fence, fragment.meta());
                freshness.stale.is_none()
            }
            FragmentPlan::Fetch { position, .. } => self.policy.may_join(feed, fence, *position),
            FragmentPlan::BackOff { backoff, .. } => !feed.overtaken(fence, backoff.position),
        })
    }

    /// How far an event's fragment counts (rule 17). A load may know a new publisher before the feed does: then the event's
    /// fragment gets position 0, and the source is asked about it.
    fn believe_event<B>(&self, known: Option<&Fragment<B>>, mut event: Fragment<B>) -> Fragment<B> {
        let asked_for = known.filter(|known| known.position > Position::ZERO);
        let counts = match asked_for {
            Some(known) => {
                known.claim == event.claim && known.version.incarnation == event.version.incarnation
            }
            // Nothing was fetched yet, so there is no claim to compare with. Only `All`, which shows what that costs, counts it.
            None => self.scope == RefreshScope::All,
        };
        if counts {
            self.stats.event_fragments.add();
        } else {
            event.position = Position::ZERO;
        }
        event
    }
}

/// The fragment, dated by this check, and why it is stale.
pub(crate) fn dated<B>(
    mut fragment: Fragment<B>,
    fence: FenceIndex,
    check: &FreshnessCheck<'_>,
    policy: &dyn Policy,
) -> (Fragment<B>, Option<StaleReason>) {
    let freshness = policy.freshness(check, fence, fragment.meta());
    fragment.complete_until = freshness.complete_until;
    (fragment, freshness.stale)
}
