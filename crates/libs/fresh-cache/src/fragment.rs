//! One source's answer, and the evidence for it.

use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Date, Moment};
use crate::feed::state::{Position, SourceId};

/// Which state of an entity an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The life of the source's database; versions of two incarnations cannot be compared.
    pub incarnation: u128,
    /// A counter that the source bumps with every change of the entity.
    pub revision: u64,
    /// A random number that the change drew: a database that was set back gives out its revisions again, and never this.
    /// A source whose database cannot be set back unnoticed may leave it at 0.
    pub nonce: u64,
}

/// Who publishes for a source, as its messages and its answers state it.
///
/// What a publisher says of its source vouches only for the answers of the same publisher: of two processes with two
/// databases, the one may not know what the other has acknowledged. [`Claim::default`] is for a source of which there can be
/// only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claim(pub u64);

/// What a request notes before it goes out, and after any wait for a permit (rule 9).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) position: Position,
    pub(crate) started: Date,
}

/// What a fetch brought.
#[derive(Clone, Copy, Debug)]
pub enum Fetched<B> {
    /// An answer in full.
    New {
        /// The state that the body shows.
        version: Version,
        /// Whose feed vouches for the answer; `None` if nobody's does, because the source cannot tell that it is the one
        /// who publishes. Then it counts for a second, like every answer of a source that is not trusted.
        claim: Option<Claim>,
        /// The answer itself.
        body: B,
        /// How long the answer holds if nothing changes, counted from the start of the request; `None` if it does not
        /// depend on the clock.
        holds_for: Option<Duration>,
    },
    /// The part that was asked about still is the answer, word for word.
    NotModified {
        /// As in [`Fetched::New`].
        claim: Option<Claim>,
        /// As in [`Fetched::New`]; `None` leaves in force what was known of it.
        holds_for: Option<Duration>,
    },
}

/// What an event carries: its source's answer about the entity, made inside the mutation (rules 1 and 17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The state that the data shows.
    pub version: Version,
    /// Who published the event.
    pub claim: Option<Claim>,
    /// The answer as the source wrote it; [`Composer::read_carried`](crate::Composer::read_carried) makes a body of it.
    pub data: Bytes,
    /// When the mutation was committed, by the source's clock: everything committed before is in the data. It dates what was
    /// [remembered](crate::FreshCache::remember). An event that is heard dates nothing: how long ago a clock said so is not
    /// known, and the next watermark is near.
    pub committed: Moment,
}

/// What a proof looks at: a part without its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) position: Position,
    pub(crate) claim: Option<Claim>,
    pub(crate) started: Option<Date>,
    pub(crate) holds_until: Option<Duration>,
    pub(crate) complete_until: Date,
}

/// One source's answer, with the evidence by which a reader can prove that it still is the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part<B> {
    /// Who answered.
    pub source: SourceId,
    /// The state that the body shows.
    pub version: Version,
    /// Whose feed vouches for it: as the answer stated that brought or last confirmed it.
    pub claim: Option<Claim>,
    /// The answer itself.
    pub body: B,
    /// The body reflects every event up to this position.
    pub position: Position,
    /// The start of the latest request that confirmed the body; `None` if none did.
    pub started: Option<Date>,
    /// When, on the monotonic clock, the body stops to hold by itself; `None` if never.
    pub holds_until: Option<Duration>,
    /// The body reflects everything its source committed before this date: the latest one it was proven for.
    pub complete_until: Date,
}

impl<B> Part<B> {
    /// A part without any evidence: a body to ask about or to show marked stale, never a proof (rule 19).
    pub const fn unproven(source: SourceId, version: Version, body: B) -> Self {
        Self {
            source,
            version,
            claim: None,
            body,
            position: Position::ZERO,
            started: None,
            holds_until: None,
            complete_until: Date {
                monotonic: Duration::ZERO,
                moment: Moment::from_micros(0),
            },
        }
    }

    /// The part that an event brought: proven by the event's own position, confirmed by no request (rule 17).
    pub(crate) fn carried(source: SourceId, position: Position, carried: &Carried, body: B) -> Self {
        Self {
            position,
            claim: carried.claim,
            ..Self::unproven(source, carried.version, body)
        }
    }

    pub(crate) const fn evidence(&self) -> Evidence {
        Evidence {
            position: self.position,
            claim: self.claim,
            started: self.started,
            holds_until: self.holds_until,
            complete_until: self.complete_until,
        }
    }

    /// The part that a full answer makes, with the evidence its request noted.
    pub(crate) fn answered(
        source: SourceId,
        stamp: Stamp,
        version: Version,
        claim: Option<Claim>,
        body: B,
        holds_for: Option<Duration>,
    ) -> Self {
        Self {
            source,
            version,
            claim,
            body,
            position: stamp.position,
            started: Some(stamp.started),
            holds_until: holds_for.map(|holds_for| stamp.started.monotonic.saturating_add(holds_for)),
            // The source answers from a snapshot begun after the request arrived (rule 9).
            complete_until: stamp.started,
        }
    }

    /// This part, the one that was asked about, confirmed by a "not modified" (rule 9).
    pub(crate) fn confirmed(self, stamp: Stamp, claim: Option<Claim>, holds_for: Option<Duration>) -> Self {
        let holds_until = holds_for.map(|holds_for| stamp.started.monotonic.saturating_add(holds_for));
        Self {
            position: stamp.position,
            claim,
            started: Some(stamp.started),
            holds_until: holds_until.or(self.holds_until),
            complete_until: self.complete_until.max(stamp.started),
            ..self
        }
    }

    /// Merges what two requests brought of one entity, by parts (rule 9).
    ///
    /// Within a history: the content of the higher revision (of equal ones, the body that holds longer), the higher position,
    /// the later start. That is sound because a higher revision reflects all that a lower one does, so the evidence for the
    /// lower one is evidence for the higher one. Between two histories nothing can be mixed: the one asked for later wins
    /// whole. Only answers that state the same claim are known to be of one history.
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

    /// What decides between histories; the last fields only make a tie come out the same from both sides.
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
        (self.version.revision, self.holds_until.unwrap_or(Duration::MAX))
    }
}

/// One part of a page, as its render sees it.
///
/// ```
/// use fresh_cache::{Part, PartState, SourceId, Version};
///
/// fn render(part: &PartState<String>) -> String {
///     match part {
///         PartState::Current(part) => part.body.clone(),
///         PartState::Stale { part, reason } => format!("{} (as last known: accounts {reason})", part.body),
///         PartState::Missing { reason } => format!("nothing to show: accounts {reason}"),
///     }
/// }
///
/// let part = Part::unproven(SourceId(0), Version { incarnation: 1, revision: 7, nonce: 0 }, "Ada".to_owned());
/// let stale = PartState::Stale { part, reason: "did not answer in time".into() };
/// assert_eq!(render(&stale), "Ada (as last known: accounts did not answer in time)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState<B> {
    /// The source's answer, proven when the page was composed, or fetched for it.
    Current(Part<B>),
    /// The source could not be asked: this is what it said last.
    Stale {
        /// What was known.
        part: Part<B>,
        /// Why it could not be renewed, for people to read.
        reason: String,
    },
    /// The source could not be asked, and nothing that may be shown is known.
    Missing {
        /// Why, for people to read.
        reason: String,
    },
}

impl Version {
    /// Whether a part of this version reflects what was asked for; nothing is known between incarnations, and one revision
    /// with two nonces is of two histories.
    pub const fn reflects(self, other: Self) -> bool {
        self.incarnation == other.incarnation
            && (self.revision > other.revision
                || (self.revision == other.revision && self.nonce == other.nonce))
    }
}

/// A version that a reader knows of, such as that of its own write (rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Whose version it is.
    pub source: SourceId,
    /// The version.
    pub version: Version,
    /// Who published for the source when it was told; `None` if nobody did for certain. It says how far the revisions of a part
    /// that is kept compare with it: a database may have been set back in between.
    pub claim: Option<Claim>,
}

impl Token {
    /// The token of a source of which there can be only one publisher.
    pub const fn of(source: SourceId, version: Version) -> Self {
        Self {
            source,
            version,
            claim: Some(Claim(0)),
        }
    }

    /// Whether a part that was fetched before the token was shown to us reflects it.
    pub(crate) fn is_reflected_by_kept<B>(&self, part: &Part<B>) -> bool {
        part.version == self.version
            || (self.claim.is_some() && part.claim == self.claim && part.version.reflects(self.version))
    }
}

impl<B> PartState<B> {
    /// What there is to show.
    pub const fn part(&self) -> Option<&Part<B>> {
        match self {
            Self::Current(part) | Self::Stale { part, .. } => Some(part),
            Self::Missing { .. } => None,
        }
    }

    /// What is wrong with the part, if anything is.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Current(_) => None,
            Self::Stale { reason, .. } | Self::Missing { reason } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLAIM: Option<Claim> = Some(Claim(7));

    fn at(seconds: u64) -> Date {
        let monotonic = Duration::from_secs(seconds);
        Date {
            monotonic,
            moment: Moment::default().saturating_add(monotonic),
        }
    }

    fn part(incarnation: u128, revision: u64, position: u64) -> Part<String> {
        let stamp = Stamp {
            position: Position(position),
            started: at(position),
        };
        let version = Version {
            incarnation,
            revision,
            nonce: 0,
        };
        Part::answered(
            SourceId(0),
            stamp,
            version,
            CLAIM,
            format!("{incarnation}/{revision}"),
            None,
        )
    }

    #[test]
    fn the_higher_revision_takes_over_the_evidence_of_the_lower() {
        let merged = part(1, 6, 8).merge(part(1, 5, 10));
        assert_eq!(merged.body, "1/6");
        assert_eq!(merged.position, Position(10));
        assert_eq!(merged.started, Some(at(10)));
        assert_eq!(merged.complete_until, at(10));
    }

    #[test]
    fn of_one_revision_the_body_that_holds_longer_wins_with_its_end() {
        let short = Part {
            holds_until: Some(Duration::from_secs(5)),
            body: "short".into(),
            ..part(1, 6, 10)
        };
        let long = Part {
            holds_until: Some(Duration::from_secs(9)),
            body: "long".into(),
            ..part(1, 6, 8)
        };
        let merged = short.clone().merge(long);
        assert_eq!(
            (merged.body.as_str(), merged.holds_until),
            ("long", Some(Duration::from_secs(9)))
        );
        assert_eq!(merged.position, Position(10));
        let endless = part(1, 6, 1);
        assert_eq!(short.merge(endless.clone()).body, endless.body);
    }

    #[test]
    fn a_higher_revision_that_holds_for_less_time_wins_all_the_same() {
        let new = Part {
            holds_until: Some(Duration::from_secs(5)),
            ..part(1, 7, 8)
        };
        assert_eq!(part(1, 6, 9).merge(new.clone()).holds_until, new.holds_until);
    }

    #[test]
    fn nothing_is_mixed_between_incarnations() {
        let (old, new) = (part(1, 900, 8), part(2, 1, 10));
        assert_eq!(old.clone().merge(new.clone()), new);
        assert_eq!(new.clone().merge(old), new);
        // No event was heard between the two requests: the later request decides.
        let (earlier, later) = (
            part(9, 3, 8),
            Part {
                started: Some(at(9)),
                ..part(2, 1, 8)
            },
        );
        assert_eq!(earlier.clone().merge(later.clone()), later);
        assert_eq!(later.clone().merge(earlier), later);
    }

    #[test]
    fn nothing_is_mixed_between_claims() {
        let of = |claim, part| Part { claim, ..part };
        let other = Some(Claim(8));
        for (one, two) in [(CLAIM, other), (CLAIM, None), (None, None)] {
            // The higher revision is the older answer: the database of its publisher may have been set back since.
            let (earlier, later) = (of(one, part(1, 9, 8)), of(two, part(1, 2, 10)));
            assert_eq!(earlier.clone().merge(later.clone()), later, "{one:?} and {two:?}");
            assert_eq!(later.clone().merge(earlier), later, "{one:?} and {two:?}");
        }
    }

    #[test]
    fn nothing_is_mixed_between_two_histories_that_gave_out_one_revision() {
        let of = |nonce, part: Part<String>| Part {
            version: Version {
                nonce,
                ..part.version
            },
            ..part
        };
        let earlier = Part {
            holds_until: None,
            ..of(1, part(1, 6, 8))
        };
        let later = Part {
            holds_until: Some(Duration::from_secs(11)),
            ..of(2, part(1, 6, 10))
        };
        assert_eq!(earlier.clone().merge(later.clone()), later);
        assert_eq!(later.clone().merge(earlier), later);
    }

    #[test]
    fn a_confirmation_gives_the_known_body_a_new_position_start_and_end() {
        let known = Part {
            holds_until: Some(Duration::from_secs(6)),
            ..part(1, 6, 5)
        };
        let stamp = Stamp {
            position: Position(20),
            started: at(20),
        };
        let confirmed = known
            .clone()
            .confirmed(stamp, CLAIM, Some(Duration::from_secs(3)));
        assert_eq!((confirmed.body.as_str(), confirmed.version.revision), ("1/6", 6));
        assert_eq!(
            (confirmed.position, confirmed.started),
            (Position(20), Some(at(20)))
        );
        assert_eq!(confirmed.holds_until, Some(Duration::from_secs(23)));
        assert_eq!(confirmed.complete_until, at(20));
        assert_eq!(
            known.clone().confirmed(stamp, CLAIM, None).holds_until,
            known.holds_until
        );
    }

    #[test]
    fn a_confirmation_gives_its_evidence_to_a_newer_revision_but_not_to_another_incarnation() {
        let confirmed = part(1, 6, 20);
        assert_eq!(part(1, 7, 12).merge(confirmed.clone()).position, Position(20));
        assert_eq!(part(2, 1, 12).merge(confirmed.clone()), confirmed);
        assert_eq!(part(2, 1, 21).merge(confirmed), part(2, 1, 21));
    }

    prop_compose! {
        /// Any part of one incarnation; the body is what its source would have answered, so it follows from the rest.
        fn any_part()(
            revision in 0..4_u64,
            position in 0..6_u64,
            started in proptest::option::of(0..6_u64),
            holds in proptest::option::of(0..3_u64),
            complete_until in 0..6_u64,
        ) -> Part<String> {
            Part {
                body: format!("{revision} until {holds:?}"),
                position: Position(position),
                started: started.map(at),
                holds_until: holds.map(Duration::from_secs),
                complete_until: at(complete_until),
                ..part(1, revision, 0)
            }
        }
    }

    proptest! {
        #[test]
        fn merging_is_idempotent(a in any_part()) {
            prop_assert_eq!(a.clone().merge(a.clone()), a);
        }

        #[test]
        fn merging_is_commutative(a in any_part(), b in any_part()) {
            prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
        }

        #[test]
        fn merging_is_associative(a in any_part(), b in any_part(), c in any_part()) {
            prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.merge(b.merge(c)));
        }

        #[test]
        fn merging_never_loses_evidence_nor_content(a in any_part(), b in any_part()) {
            let merged = a.clone().merge(b.clone());
            for one in [&a, &b] {
                prop_assert!(merged.version.revision >= one.version.revision);
                prop_assert!(merged.position >= one.position);
                prop_assert!(merged.started >= one.started);
                prop_assert!(merged.complete_until >= one.complete_until);
            }
        }

        #[test]
        fn between_incarnations_both_sides_agree(a in any_part(), b in any_part(), other in 0..3_u128) {
            let b = Part { version: Version { incarnation: other, ..b.version }, ..b };
            prop_assert_eq!(a.clone().merge(b.clone()), b.merge(a));
        }
    }
}
