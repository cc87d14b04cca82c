//! One part's share of a flight: the request, and what is believed of its answer (rules 9 and 15).

use std::any::Any;
use std::error::Error;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::cache::Inner;
use crate::feed::state::{Position, Slot};
use crate::fragment::{Claim, Fetched, Part, Version};
use crate::loader::Composer;
use crate::page::{Brought, Fetch, Rest};

/// What a flight does about one part of its page.
pub(crate) enum Leg<B> {
    /// The part was proven when the flight began.
    Keep(Part<B>),
    /// The source is asked.
    Ask {
        /// What is known of the part by then.
        known: Option<Part<B>>,
        /// Whether to ask about it, or for a full answer.
        conditional: bool,
        /// The answer will reflect the events up to this position at the least.
        position: Position,
    },
    /// The source has just failed, and is not asked again yet.
    Rest {
        /// What is known of the part.
        known: Option<Part<B>>,
        /// How it failed, and for how long it rests.
        rest: Rest,
    },
}

/// How one leg ended.
pub(crate) struct Arrival<B> {
    /// What was known of the part when the flight began.
    pub(crate) known: Option<Part<B>>,
    /// The part, or why there is none.
    pub(crate) part: Result<Part<B>, String>,
    /// The request, if one was made.
    pub(crate) fetch: Option<Fetch>,
    /// How long the source is not to be asked again for this page, if it failed.
    pub(crate) rest: Option<Rest>,
}

impl<B> Arrival<B> {
    /// What there is to show, for now.
    pub(crate) fn part(&self) -> Option<&Part<B>> {
        self.part.as_ref().ok().or(self.known.as_ref())
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

impl<C: Composer> Inner<C> {
    /// Flies one leg, whatever happens on it.
    pub(crate) async fn arrive(&self, key: &C::Key, leg: &Leg<C::Body>, slot: Slot) -> Arrival<C::Body> {
        match leg {
            Leg::Keep(part) => Arrival {
                known: None,
                part: Ok(part.clone()),
                fetch: None,
                rest: None,
            },
            Leg::Rest { known, rest } => Arrival {
                known: known.clone(),
                part: Err(rest.reason.to_string()),
                fetch: None,
                rest: Some(rest.clone()),
            },
            Leg::Ask {
                known,
                conditional,
                position,
            } => {
                self.fly_leg(key, slot, known.clone(), *conditional, *position)
                    .await
            }
        }
    }

    async fn fly_leg(
        &self,
        key: &C::Key,
        slot: Slot,
        known: Option<Part<C::Body>>,
        conditional: bool,
        position: Position,
    ) -> Arrival<C::Body> {
        let clock = self.ledger.clock();
        let began = clock.monotonic();
        let asked = AssertUnwindSafe(self.ask(key, slot, known.as_ref(), conditional))
            .catch_unwind()
            .await;
        let asked = asked.unwrap_or_else(|panic| {
            self.stats.panics.add();
            Err(Failure::of_a_request(format!("panicked: {}", message(&*panic))))
        });
        let (part, brought, rest) = match asked {
            Ok((part, brought)) => (Ok(part), brought, None),
            Err(Failure { reason, asked }) => {
                self.stats.failures.add();
                // Who was not let through has cost the source nothing, and may try again soon.
                let share = if asked { 1 } else { 10 };
                let until = began.saturating_add(self.options.retry_after / share);
                let rest = Rest {
                    reason: reason.as_str().into(),
                    until,
                    position,
                };
                (Err(reason), Brought::Failure, Some(rest))
            }
        };
        let fetch = Fetch {
            source: slot.source(),
            took: clock.monotonic().saturating_sub(began),
            brought,
        };
        Arrival {
            known,
            part,
            fetch: Some(fetch),
            rest,
        }
    }

    async fn ask(
        &self,
        key: &C::Key,
        slot: Slot,
        known: Option<&Part<C::Body>>,
        conditional: bool,
    ) -> Result<(Part<C::Body>, Brought), Failure> {
        let Inner {
            composer,
            ledger,
            stats,
            ..
        } = self;
        let source = slot.source();
        let _permit = composer.admit(source, known).await.map_err(|error| Failure {
            reason: chain(&error),
            asked: false,
        })?;
        // Position and time after the wait for a permit, before the request goes out (rule 9).
        let stamp = ledger.stamp();
        stats.fetches.add();
        let asked_about = known.filter(|_| conditional);
        let fetched = composer
            .fetch(key, source, asked_about)
            .await
            .map_err(|error| Failure::of_a_request(chain(&error)))?;
        match fetched {
            Fetched::New {
                version,
                claim,
                body,
                holds_for,
            } => {
                self.believe(key, known, version, claim)
                    .map_err(Failure::of_a_request)?;
                Ok((
                    Part::answered(source, stamp, version, claim, body, holds_for),
                    Brought::New,
                ))
            }
            // It confirms the part that was asked about, not what may be resident by now (rule 9).
            Fetched::NotModified { claim, holds_for } => {
                let unasked =
                    || "said that nothing was modified, though it was not asked about anything".to_owned();
                let known = asked_about
                    .ok_or_else(|| Failure::of_a_request(unasked()))?
                    .clone();
                stats.not_modified.add();
                Ok((known.confirmed(stamp, claim, holds_for), Brought::NotModified))
            }
        }
    }

    /// A source answers from its primary: what was known before the request began is in the answer. If it is not, the
    /// answer is not believed (rule 15). From another publisher it is: its database may have been set back.
    fn believe(
        &self,
        key: &C::Key,
        known: Option<&Part<C::Body>>,
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
