//! How a reader waits for a load, to its end or until the reader's time is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::Span;

use crate::answer::{Answer, Forward, Outcome};
use crate::cache::{Checked, FreshCache, Looked, NotFresh, answer};
use crate::consistency::Consistency;
use crate::dependency::Dependency;
use crate::feed::watermarks::Watermarks;
use crate::fragment::Fragment;
use crate::freshness::FreshnessCheck;
use crate::load::in_flight::{Loaded, Waited};
use crate::load::plan::{FragmentPlan, LoadRequest, Planner};
use crate::load::task::LoadTask;
use crate::loader::Loader;
use crate::read_options::ReadOptions;
use crate::shared::Shared;

/// A reader's share in a load.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    /// Whether another reader had begun it.
    collapsed: bool,
    /// Whether the reader did not wait for its end.
    timed_out: bool,
    /// When the reader arrived, on the monotonic clock.
    arrived: Duration,
}

impl Share {
    /// Whether a fragment's source was asked after the reader arrived.
    fn asked_since<B>(self, fragment: &Fragment<B>) -> bool {
        fragment.started.is_some_and(|started| {
            let started = started.monotonic;
            // The clock is coarse: equal times do not tell which came first. If the reader waited for the load to end, the request
            // came after the reader. If it timed out, the load may have been in flight before.
            if self.timed_out {
                started > self.arrived
            } else {
                started >= self.arrived
            }
        })
    }
}

impl<L: Loader> FreshCache<L> {
    /// Loads the page in the background, unless it is being loaded (rule 27).
    pub(crate) fn renew(&self, key: &L::Key, dependencies: Option<&Arc<[Dependency<L::Entity>]>>) {
        if let Some(early) = self.shared.in_flight.begin(key) {
            self.shared.stats.renewals.add();
            let dependencies = dependencies.map_or_else(|| self.shared.dependencies(key), Arc::clone);
            tokio::spawn(LoadTask::new(Arc::clone(&self.shared), key.clone(), dependencies, early).run());
        }
    }

    /// Answers with what a load brings.
    pub(crate) async fn wait(
        &self,
        key: &L::Key,
        options: ReadOptions<'_, L::Entity>,
        not_fresh: NotFresh<L>,
        looked: Looked<L>,
    ) -> Answer<L> {
        let NotFresh { why, request } = not_fresh;
        let Looked {
            watermarks,
            dependencies,
        } = looked;
        let why = if request.full { Forward::Request } else { why };
        self.shared.stats.count_forward(why);
        let dependencies = dependencies.unwrap_or_else(|| self.shared.dependencies(key));
        // None also for a time that no clock reaches.
        let until = options.max_wait.and_then(|wait| Instant::now().checked_add(wait));
        let (loaded, share) = self.load(key, request, &dependencies, &watermarks, until).await;
        self.forward(loaded, why, share, options.consistency, &dependencies)
    }

    /// Answers a reader by a load of its own.
    pub(crate) async fn read_alone(
        &self,
        key: &L::Key,
        consistency: Consistency<'_, L::Entity>,
    ) -> Answer<L> {
        self.shared.stats.count_forward(Forward::Bypass);
        let dependencies = self.shared.dependencies(key);
        let (_, early) = mpsc::unbounded_channel();
        let task = LoadTask::new(
            Arc::clone(&self.shared),
            key.clone(),
            Arc::clone(&dependencies),
            early,
        );
        let loaded = task.run_alone().await;
        // Arrived at zero: all of it was asked for this reader.
        let share = Share::default();
        self.forward(loaded, Forward::Bypass, share, consistency, &dependencies)
    }

    /// Answers with what a load brought.
    fn forward(
        &self,
        loaded: Loaded<L>,
        why: Forward,
        share: Share,
        consistency: Consistency<'_, L::Entity>,
        dependencies: &[Dependency<L::Entity>],
    ) -> Answer<L> {
        let Shared {
            feed, policy, stats, ..
        } = &*self.shared;
        let Share {
            collapsed, timed_out, ..
        } = share;
        if collapsed {
            stats.collapsed.add();
        }
        if timed_out {
            stats.timed_out.add();
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
        let behind = self.behind(&page, consistency, Some(dependencies), |fragment| {
            share.asked_since(fragment)
        });
        Answer {
            timed_out,
            ..answer(page, checked, outcome, Box::from(&*fetches), behind)
        }
    }

    /// Joins a load that is fresh enough for a reader who arrived now, or starts one. Waits for its end, or until `until`.
    pub(crate) async fn load(
        &self,
        key: &L::Key,
        request: LoadRequest<L::Body>,
        dependencies: &Arc<[Dependency<L::Entity>]>,
        watermarks: &Watermarks,
        until: Option<Instant>,
    ) -> (Loaded<L>, Share) {
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
            let arrived = planner.check.monotonic();
            let since = arrived.saturating_sub(shared.feed.trust());
            let mut waiter = shared.in_flight.join(key, request.clone(), since, may_be_joined);
            if let Some(early) = waiter.first.take() {
                let task = LoadTask::new(Arc::clone(shared), key.clone(), Arc::clone(dependencies), early);
                tokio::spawn(task.run());
            }
            let collapsed = waiter.begun_by.is_some();
            if let Some(load) = waiter.begun_by.take() {
                link_to(load);
            }
            let (loaded, timed_out) = match waiter.wait(until, arrived, request.full).await {
                Waited::ToTheEnd(Ok(loaded)) => (loaded, false),
                Waited::ToTheEnd(Err(message)) => panic!("the loader panicked: {message}"),
                Waited::Enough(loaded) => (loaded, true),
                // The load's task was ended because its runtime shuts down. If that is our runtime too, this reader ends at
                // the yield; if not, it starts the load again on ours.
                Waited::InVain => {
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let share = Share {
                collapsed,
                timed_out,
                arrived,
            };
            return (loaded, share);
        }
    }
}

/// Links the reader's trace to the load that the reader waits for. Takes the span by value and drops it, so that it does not stay
/// open while the reader waits.
fn link_to(load: Span) {
    let reader = Span::current();
    // Never to itself: of two reads in one span, one may join the other's load.
    if reader.id() != load.id() {
        reader.follows_from(&load);
    }
    drop(load);
}
