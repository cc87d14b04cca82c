//! One fragment's share of a load: the request, and what is believed of its answer (rules 9 and 15).

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use super::plan::FragmentPlan;
use crate::answer::{Brought, Fetch};
use crate::dependency::Dependency;
use crate::feed::ids::{Claim, Position};
use crate::fragment::{Fetched, Fragment};
use crate::loader::Loader;
use crate::page::Backoff;
use crate::shared::Shared;
use crate::version::Version;

/// What came of one fragment's plan.
pub(crate) struct FragmentResult<B> {
    /// What was known of the fragment when the load started.
    pub(crate) known: Option<Fragment<B>>,
    /// The fragment, or why there is none.
    pub(crate) fragment: Result<Fragment<B>, String>,
    /// The request, if one was made.
    pub(crate) fetch: Option<Fetch>,
    /// Until when the source is not called again for this page, if it failed.
    pub(crate) backoff: Option<Backoff>,
}

impl<B> FragmentResult<B> {
    /// What there is to show, for now.
    pub(crate) fn fragment(&self) -> Option<&Fragment<B>> {
        self.fragment.as_ref().ok().or(self.known.as_ref())
    }
}

/// Why a source gave nothing.
struct Failure {
    reason: String,
    /// Whether it was asked at all.
    asked: bool,
}

impl Failure {
    fn of_a_request(reason: String) -> Self {
        Self { reason, asked: true }
    }
}

impl<L: Loader> Shared<L> {
    /// Carries out the plan for one fragment, whatever comes of it.
    pub(crate) async fn carry_out(
        &self,
        key: &L::Key,
        plan: &FragmentPlan<L::Body>,
        dependency: &Dependency<L::Entity>,
    ) -> FragmentResult<L::Body> {
        match plan {
            FragmentPlan::Keep(fragment) => FragmentResult {
                known: None,
                fragment: Ok(fragment.clone()),
                fetch: None,
                backoff: None,
            },
            FragmentPlan::BackOff { known, backoff } => FragmentResult {
                known: known.clone(),
                fragment: Err(backoff.reason.to_string()),
                fetch: None,
                backoff: Some(backoff.clone()),
            },
            FragmentPlan::Fetch {
                known,
                conditional,
                position,
            } => {
                self.fetch_fragment(key, dependency, known.clone(), *conditional, *position)
                    .await
            }
        }
    }

    async fn fetch_fragment(
        &self,
        key: &L::Key,
        dependency: &Dependency<L::Entity>,
        known: Option<Fragment<L::Body>>,
        conditional: bool,
        position: Position,
    ) -> FragmentResult<L::Body> {
        let clock = self.feed.clock();
        let began = clock.monotonic();
        let asked = AssertUnwindSafe(self.ask(key, dependency, known.as_ref(), conditional))
            .catch_unwind()
            .await;
        let asked = asked.unwrap_or_else(|panic| {
            self.stats.panics.add();
            Err(Failure::of_a_request(format!("panicked: {}", message(&*panic))))
        });
        let (fragment, brought, backoff) = match asked {
            Ok((fragment, brought)) => (Ok(fragment), brought, None),
            Err(Failure { reason, asked }) => {
                self.stats.failures.add();
                // A request that `admit` refused has cost the source nothing: it is tried again after a tenth of the time.
                let share = if asked { 1 } else { 10 };
                let until = began.saturating_add(self.options.retry_after / share);
                let backoff = Backoff {
                    reason: reason.as_str().into(),
                    until,
                    position,
                };
                (Err(reason), Brought::Failure, Some(backoff))
            }
        };
        let fetch = Fetch {
            source: dependency.fence.source(),
            took: clock.monotonic().saturating_sub(began),
            brought,
        };
        FragmentResult {
            known,
            fragment,
            fetch: Some(fetch),
            backoff,
        }
    }

    async fn ask(
        &self,
        key: &L::Key,
        dependency: &Dependency<L::Entity>,
        known: Option<&Fragment<L::Body>>,
        conditional: bool,
    ) -> Result<(Fragment<L::Body>, Brought), Failure> {
        let Shared {
            loader, feed, stats, ..
        } = self;
        let source = dependency.fence.source();
        let _permit = loader.admit(source, known).await.map_err(|error| Failure {
            reason: chain(&error),
            asked: false,
        })?;
        // Position and time after the wait for a permit, before the request goes out (rule 9).
        let start = feed.start_request();
        stats.fetches.add();
        let asked_about = known.filter(|_| conditional);
        let fetched = loader
            .fetch(key, source, &dependency.entity, asked_about)
            .await
            .map_err(|error| Failure::of_a_request(chain(&error)))?;
        match fetched {
            Fetched::New {
                version,
                claim,
                body,
                valid_for,
            } => {
                self.believe(key, known, version, claim)
                    .map_err(Failure::of_a_request)?;
                Ok((
                    Fragment::answered(source, start, version, claim, body, valid_for),
                    Brought::New,
                ))
            }
            // It confirms the fragment that was asked about, not what may be resident by now (rule 9).
            Fetched::NotModified { claim, valid_for } => {
                let unasked =
                    || "said that nothing was modified, though it was not asked about anything".to_owned();
                let known = asked_about
                    .ok_or_else(|| Failure::of_a_request(unasked()))?
                    .clone();
                stats.not_modified.add();
                Ok((known.confirmed(start, claim, valid_for), Brought::NotModified))
            }
        }
    }

    /// A source answers from its primary: what was known before the request began is in the answer. If it is not, the
    /// answer is not believed (rule 15). Another publisher's answer is: its database may have been set back.
    fn believe(
        &self,
        key: &L::Key,
        known: Option<&Fragment<L::Body>>,
        answered: Version,
        claim: Option<Claim>,
    ) -> Result<(), String> {
        let Some(Version {
            incarnation,
            revision,
            ..
        }) = known
            .filter(|known| claim.is_some() && known.claim == claim)
            .map(|known| known.version)
        else {
            return Ok(());
        };
        if incarnation != answered.incarnation || revision <= answered.revision {
            return Ok(());
        }
        self.stats.regressions.add();
        tracing::warn!(key = ?key, known = revision, answered = answered.revision, "revision went back");
        Err(format!(
            "answered with revision {}, after revision {revision}",
            answered.revision
        ))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(line, ": {error}").expect("a string takes whatever is written to it");
        cause = error.source();
    }
    line
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_causes_is_one_line() {
        let cause = std::io::Error::other("no route");
        let error = std::io::Error::other(Outer(cause));
        assert_eq!(chain(&error), "no answer: no route");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no answer")]
    struct Outer(#[source] std::io::Error);
}
