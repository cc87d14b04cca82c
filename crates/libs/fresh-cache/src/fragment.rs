//! One source's answer, and the evidence for it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Date, Moment};
use crate::feed::ids::{Claim, Position, SourceId};
use crate::feed::state::RequestStart;
use crate::version::Version;

/// What a fetch brought.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<B> {
    /// An answer in full.
    New {
        /// The state that the body shows.
        version: Version,
        /// The claim of the publisher that answered; `None` if the process is not certain that it is the publisher. Then no
        /// watermark counts for the answer, and it is fresh for a second, like every answer of a source that is not trusted.
        claim: Option<Claim>,
        /// The answer itself.
        body: B,
        /// How long the answer is valid if nothing changes, counted from the start of the request; `None` if it does not
        /// depend on the clock.
        valid_for: Option<Duration>,
    },
    /// The fragment that was asked about is still the answer, byte for byte.
    NotModified {
        /// As in [`Fetched::New`].
        claim: Option<Claim>,
        /// As in [`Fetched::New`]; `None` keeps what the fragment had before.
        valid_for: Option<Duration>,
    },
}

impl<B> Fetched<B> {
    /// A full answer of a source that has only one publisher; it is valid until something changes.
    pub fn new(version: Version, body: B) -> Self {
        Self::New {
            version,
            claim: Some(Claim::default()),
            body,
            valid_for: None,
        }
    }

    /// That the fragment that was asked about still is the answer, by a source that has only one publisher.
    pub fn not_modified() -> Self {
        Self::NotModified {
            claim: Some(Claim::default()),
            valid_for: None,
        }
    }
}

/// What an event carries: its source's answer about the entity, made inside the mutation (rules 1 and 17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFragment {
    /// The state that the data shows.
    pub version: Version,
    /// Who published the event.
    pub claim: Option<Claim>,
    /// The answer as the source wrote it; [`Loader::read_event`](crate::Loader::read_event) makes a body of it.
    pub data: Bytes,
    /// When the mutation was committed, by the source's clock: everything committed before is in the data. It dates what was
    /// [remembered](crate::FreshCache::remember). An event of the feed dates nothing: it may have been
    /// under way for an unknown time, and the next watermark gives a date soon.
    pub committed: Moment,
}

/// What a freshness check looks at: a fragment without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FragmentMeta {
    pub(crate) position: Position,
    pub(crate) claim: Option<Claim>,
    pub(crate) started: Option<Date>,
    pub(crate) valid_until: Option<Duration>,
    pub(crate) complete_until: Date,
}

/// One source's answer, with the evidence by which every read checks that it still is the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment<B> {
    /// Who answered.
    pub source: SourceId,
    /// The state that the body shows.
    pub version: Version,
    /// The claim that was stated by the answer that brought or last confirmed it: only watermarks of this claim count for it.
    pub claim: Option<Claim>,
    /// The answer itself.
    pub body: B,
    /// The body reflects every event up to this position.
    pub position: Position,
    /// The start of the latest request that confirmed the body; `None` if none did.
    pub started: Option<Date>,
    /// When, on the monotonic clock, the body ceases to be valid by itself; `None` if never.
    pub valid_until: Option<Duration>,
    /// The body reflects everything its source committed before this date: the latest one it was found fresh for.
    pub complete_until: Date,
}

impl<B> Fragment<B> {
    /// A fragment without any evidence: a body to ask about or to show marked stale, never fresh (rule 19).
    pub const fn without_evidence(source: SourceId, version: Version, body: B) -> Self {
        Self {
            source,
            version,
            claim: None,
            body,
            position: Position::ZERO,
            started: None,
            valid_until: None,
            complete_until: Date {
                monotonic: Duration::ZERO,
                moment: Moment::from_micros(0),
            },
        }
    }

    /// The fragment that an event brought: fresh by the event's own position, confirmed by no request (rule 17).
    pub(crate) fn from_event(source: SourceId, position: Position, event: &EventFragment, body: B) -> Self {
        Self {
            position,
            claim: event.claim,
            ..Self::without_evidence(source, event.version, body)
        }
    }

    pub(crate) const fn meta(&self) -> FragmentMeta {
        FragmentMeta {
            position: self.position,
            claim: self.claim,
            started: self.started,
            valid_until: self.valid_until,
            complete_until: self.complete_until,
        }
    }

    /// The fragment that a full answer makes, with the evidence its request noted.
    pub(crate) fn answered(
        source: SourceId,
        start: RequestStart,
        version: Version,
        claim: Option<Claim>,
        body: B,
        valid_for: Option<Duration>,
    ) -> Self {
        Self {
            source,
            version,
            claim,
            body,
            position: start.position,
            started: Some(start.started),
            valid_until: valid_for.map(|valid_for| start.started.monotonic.saturating_add(valid_for)),
            // The source answers from a snapshot begun after the request arrived (rule 9).
            complete_until: start.started,
        }
    }

    /// This fragment, the one that was asked about, confirmed by a "not modified" (rule 9).
    pub(crate) fn confirmed(
        self,
        start: RequestStart,
        claim: Option<Claim>,
        valid_for: Option<Duration>,
    ) -> Self {
        let valid_until = valid_for.map(|valid_for| start.started.monotonic.saturating_add(valid_for));
        Self {
            position: start.position,
            claim,
            started: Some(start.started),
            valid_until: valid_until.or(self.valid_until),
            complete_until: self.complete_until.max(start.started),
            ..self
        }
    }

    /// Merges what two requests brought of one entity, field by field (rule 9).
    ///
    /// Within a history: the content of the higher revision (of equal ones, the body that is valid longer), the higher position,
    /// the later start. That is sound because a higher revision reflects all that a lower one does, so the evidence for the
    /// lower one is evidence for the higher one. Two histories are never mixed: the fragment that was requested later replaces the
    /// other. Only answers that state the same claim are known to be of one history.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if !self.shares_history(&other) {
            return if self.recency() >= other.recency() {
                self
            } else {
                other
            };
        }
        let position = self.position.max(other.position);
        let started = self.started.max(other.started);
        let complete_until = self.complete_until.max(other.complete_until);
        let content = if self.content() >= other.content() {
            self
        } else {
            other
        };
        Self {
            position,
            started,
            complete_until,
            ..content
        }
    }

    /// Whether the two are answers of one publisher about one history of its database.
    fn shares_history(&self, other: &Self) -> bool {
        let (one, two) = (self.version, other.version);
        self.claim.is_some()
            && self.claim == other.claim
            && one.incarnation == two.incarnation
            && (one.revision != two.revision || one.nonce == two.nonce)
    }

    /// What decides between histories. The last fields only break ties, so that the order of the two does not matter.
    fn recency(&self) -> impl Ord {
        let Version {
            incarnation,
            revision,
            nonce,
        } = self.version;
        let claim = self.claim.map(|claim| claim.0);
        (self.position, self.started, incarnation, revision, nonce, claim)
    }

    /// What decides between contents of one history.
    fn content(&self) -> (u64, Duration) {
        (self.version.revision, self.valid_until.unwrap_or(Duration::MAX))
    }
}

/// One fragment of a page, as [`Loader::compose`](crate::Loader::compose) sees it.
///
/// ```
/// use fresh_cache::{Fragment, FragmentState, SourceId, Version};
///
/// fn show(fragment: &FragmentState<String>) -> String {
///     match fragment {
///         FragmentState::Current(fragment) => fragment.body.clone(),
///         FragmentState::Stale { fragment, reason } => format!("{} (as last known: accounts {reason})", fragment.body),
///         FragmentState::Missing { reason } => format!("nothing to show: accounts {reason}"),
///     }
/// }
///
/// let fragment = Fragment::without_evidence(SourceId(0), Version { incarnation: 1, revision: 7, nonce: 0 }, "Ada".to_owned());
/// let stale = FragmentState::Stale { fragment, reason: "did not answer in time".into() };
/// assert_eq!(show(&stale), "Ada (as last known: accounts did not answer in time)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FragmentState<B> {
    /// The source's answer, fresh when the page was composed, or fetched for it.
    Current(Fragment<B>),
    /// The source gave no answer: this is the last one known.
    Stale {
        /// What was known.
        fragment: Fragment<B>,
        /// Why it could not be renewed, for people to read.
        reason: String,
    },
    /// The source gave no answer, and no earlier one may be shown.
    Missing {
        /// Why, for people to read.
        reason: String,
    },
}

impl<B> FragmentState<B> {
    /// What there is to show.
    pub const fn fragment(&self) -> Option<&Fragment<B>> {
        match self {
            Self::Current(fragment) | Self::Stale { fragment, .. } => Some(fragment),
            Self::Missing { .. } => None,
        }
    }

    /// What is wrong with the fragment, if anything is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Current(_) => None,
            Self::Stale { reason, .. } | Self::Missing { reason } => Some(reason),
        }
    }
}

/// Merges what is known of one entity from two places.
pub(crate) fn merge_known<B>(one: Option<Fragment<B>>, other: Option<Fragment<B>>) -> Option<Fragment<B>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.merge(other)),
        (one, other) => one.or(other),
    }
}
