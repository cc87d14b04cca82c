//! One publisher per source: when a relay may claim its source, and when it must not publish (rule 20). Pure.
//!
//! The messages on the watermark's subject form a chain: each is published with the expectation that the one before it is
//! the last, which the broker checks. Whoever finds another's message there has been replaced, or is about to replace.

use std::time::{Duration, Instant};

use crate::Claim;
use crate::outbox::Relation;

/// Silence after which a claim of this very database is taken for one of a process that has ended. A living one says
/// something every 250 ms.
const SILENCE: Duration = Duration::from_millis(600);
/// The same of another database's, which to replace is a decision that cannot be undone.
const LONG_SILENCE: Duration = Duration::from_secs(2);

/// A relay's right to publish.
#[derive(Debug)]
pub(super) struct Tenure {
    state: State,
    /// The claim that this process minted last.
    mine: Option<Claim>,
    /// Whether the database had claims when this process began.
    claimed_before: bool,
    /// The operator decided that this database replaces whatever publishes; until the first claim.
    takes_over: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is known of the subject since the last connection, or the last refusal.
    Lost,
    /// Another claim is there. It is seen whether its publisher is alive.
    Watching(Watch),
    Held(Held),
    /// Another publisher is alive. Only a new start can change that: two that take turns would undo each other's work.
    Refused,
}

/// A claim that holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) claim: Claim,
    /// Where in the stream the last message of the subject is, which is ours.
    pub(super) last: u64,
    /// The connection it was claimed on.
    pub(super) connection: u64,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    /// Where in the stream the last message of the subject was.
    last: u64,
    since: Instant,
    /// How long it must stay the last.
    silence: Duration,
    /// How many came while it was watched.
    words: u8,
}

/// The last message of the watermark's subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastWord {
    /// Where in the stream it is.
    pub(super) place: u64,
    pub(super) claim: Option<Claim>,
    pub(super) relation: Relation,
}

/// What to do about the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Claim,
    /// This database was set back or replaced: take a new incarnation, then claim.
    RenewAndClaim,
    Watch,
    Refuse,
}

impl Tenure {
    pub(super) fn new(takes_over: bool) -> Self {
        Self {
            state: State::Lost,
            mine: None,
            claimed_before: false,
            takes_over,
        }
    }

    /// The claim, if it still holds on this connection. Every new connection claims anew: what was sent on the one before may
    /// still arrive.
    pub(super) fn held(&self, connection: u64) -> Option<Held> {
        match self.state {
            State::Held(held) if held.connection == connection => Some(held),
            _ => None,
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// Whether this process has never claimed: then [`begin`](Self::begin) tells what its database did before.
    pub(super) fn is_new(&self) -> bool {
        self.mine.is_none()
    }

    pub(super) fn begin(&mut self, claimed_before: bool) {
        self.claimed_before = claimed_before;
    }

    pub(super) fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// A claim is about to be published. Whether it is accepted may never be known.
    pub(super) fn minted(&mut self, claim: Claim) {
        self.mine = Some(claim);
    }

    /// The claim was accepted.
    pub(super) fn hold(&mut self, held: Held) {
        self.takes_over = false;
        self.state = State::Held(held);
    }

    /// Another publisher is alive.
    pub(super) fn refuse(&mut self) {
        self.state = State::Refused;
    }

    /// The broker refused a message, because ours is not the last one any more, or was stored though its acknowledgement
    /// was lost.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// A message of ours is the last one of the subject.
    pub(super) fn advance(&mut self, place: u64) {
        if let State::Held(held) = &mut self.state {
            held.last = place;
        }
    }

    pub(super) fn decide(&mut self, last: Option<LastWord>, now: Instant) -> Step {
        let Some(last) = last else {
            return self.decide_on_silence(now);
        };
        let claim = if last.relation.has_the_count {
            Step::Claim
        } else {
            Step::RenewAndClaim
        };
        if last.claim.is_some() && last.claim == self.mine {
            return claim;
        }
        if self.takes_over {
            return Step::Claim;
        }
        let own = last.relation.own;
        let watch = self.watch();
        let alive = watch.is_some_and(|watch| watch.last != last.place);
        // One word more may be the last one of a process that was killed while it was on its way.
        let lives = alive && watch.is_some_and(|watch| watch.words > 0);
        if !own && (lives || self.mine.is_some()) {
            return Step::Refuse;
        }
        let silent = watch.filter(|watch| watch.last == last.place && now - watch.since >= watch.silence);
        if silent.is_some() {
            return if own { claim } else { Step::RenewAndClaim };
        }
        if watch.is_none() || alive {
            self.state = State::Watching(Watch {
                last: last.place,
                since: now,
                silence: if own && !alive { SILENCE } else { LONG_SILENCE },
                words: watch.map_or(0, |watch| watch.words.saturating_add(1)),
            });
        }
        Step::Watch
    }

    fn watch(&self) -> Option<Watch> {
        match self.state {
            State::Watching(watch) => Some(watch),
            _ => None,
        }
    }

    /// Nothing is on the subject. Of a database that claimed before, the stream is gone: whoever published last is given the
    /// time to claim again, so that one who was replaced and starts just now does not come first.
    fn decide_on_silence(&mut self, now: Instant) -> Step {
        let first = !self.claimed_before || self.mine.is_some() || self.takes_over;
        if first
            || self
                .watch()
                .is_some_and(|watch| now - watch.since >= watch.silence)
        {
            return Step::Claim;
        }
        if self.watch().is_none() {
            self.state = State::Watching(Watch {
                last: 0,
                since: now,
                silence: SILENCE,
                words: 0,
            });
        }
        Step::Watch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Claim = Claim(1);
    const OTHER: Claim = Claim(2);
    const OWN: Relation = Relation {
        own: true,
        has_the_count: true,
        stream_lost_some: false,
    };
    const SET_BACK: Relation = Relation {
        own: true,
        has_the_count: false,
        stream_lost_some: false,
    };
    const FOREIGN: Relation = Relation {
        own: false,
        has_the_count: false,
        stream_lost_some: false,
    };

    fn word(place: u64, claim: Claim, relation: Relation) -> LastWord {
        LastWord {
            place,
            claim: Some(claim),
            relation,
        }
    }

    fn held_before() -> Tenure {
        Tenure {
            mine: Some(MINE),
            ..Tenure::new(false)
        }
    }

    #[test]
    fn an_empty_subject_is_claimed_and_so_is_one_whose_last_word_is_ours() {
        let now = Instant::now();
        assert_eq!(Tenure::new(false).decide(None, now), Step::Claim);
        assert_eq!(held_before().decide(Some(word(7, MINE, OWN)), now), Step::Claim);
        assert_eq!(
            held_before().decide(Some(word(7, MINE, SET_BACK)), now),
            Step::RenewAndClaim,
            "the process was set back together with its database"
        );
    }

    #[test]
    fn on_a_stream_that_is_gone_whoever_published_last_comes_first() {
        let (mut tenure, start) = (Tenure::new(false), Instant::now());
        tenure.claimed_before = true;
        assert_eq!(tenure.decide(None, start), Step::Watch);
        assert_eq!(tenure.decide(None, start + SILENCE), Step::Claim);
        let mut tenure = Tenure::new(false);
        tenure.claimed_before = true;
        tenure.decide(None, start);
        assert_eq!(
            tenure.decide(Some(word(1, OTHER, FOREIGN)), start + SILENCE),
            Step::Watch
        );
        assert_eq!(
            tenure.decide(Some(word(2, OTHER, FOREIGN)), start + 2 * SILENCE),
            Step::Refuse
        );
    }

    #[test]
    fn a_claim_of_this_database_is_replaced_after_a_short_silence() {
        let (mut tenure, start) = (Tenure::new(false), Instant::now());
        assert_eq!(tenure.decide(Some(word(7, OTHER, OWN)), start), Step::Watch);
        let almost = start + SILENCE.mul_f64(0.9);
        assert_eq!(tenure.decide(Some(word(7, OTHER, OWN)), almost), Step::Watch);
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, OWN)), start + SILENCE),
            Step::Claim
        );
    }

    #[test]
    fn of_a_database_that_was_set_back_the_incarnation_is_renewed() {
        let (mut tenure, start) = (Tenure::new(false), Instant::now());
        assert_eq!(tenure.decide(Some(word(7, OTHER, SET_BACK)), start), Step::Watch);
        let silent = start + SILENCE;
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, SET_BACK)), silent),
            Step::RenewAndClaim
        );
    }

    #[test]
    fn a_second_process_of_this_database_stands_by_until_the_first_is_silent_for_long() {
        let (mut tenure, start) = (Tenure::new(false), Instant::now());
        tenure.decide(Some(word(7, OTHER, OWN)), start);
        assert_eq!(
            tenure.decide(Some(word(8, OTHER, OWN)), start + SILENCE),
            Step::Watch
        );
        let silent = start + SILENCE + SILENCE;
        assert_eq!(tenure.decide(Some(word(8, OTHER, OWN)), silent), Step::Watch);
        let silent = start + SILENCE + LONG_SILENCE;
        assert_eq!(tenure.decide(Some(word(8, OTHER, OWN)), silent), Step::Claim);
    }

    #[test]
    fn a_foreign_claim_is_replaced_after_a_long_silence_and_never_while_it_lives() {
        let (mut tenure, start) = (Tenure::new(false), Instant::now());
        tenure.decide(Some(word(7, OTHER, FOREIGN)), start);
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, FOREIGN)), start + SILENCE),
            Step::Watch
        );
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, FOREIGN)), start + LONG_SILENCE),
            Step::RenewAndClaim
        );
        let mut tenure = Tenure::new(false);
        tenure.decide(Some(word(7, OTHER, FOREIGN)), start);
        assert_eq!(
            tenure.decide(Some(word(8, OTHER, FOREIGN)), start + SILENCE),
            Step::Watch,
            "it may have been under way when its process was killed"
        );
        assert_eq!(
            tenure.decide(Some(word(9, OTHER, FOREIGN)), start + 2 * SILENCE),
            Step::Refuse
        );
    }

    #[test]
    fn who_was_replaced_by_another_database_does_not_come_back() {
        let mut tenure = held_before();
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, FOREIGN)), Instant::now()),
            Step::Refuse
        );
    }

    #[test]
    fn an_operator_who_renewed_the_incarnation_has_decided() {
        let mut tenure = Tenure::new(true);
        assert_eq!(
            tenure.decide(Some(word(7, OTHER, FOREIGN)), Instant::now()),
            Step::Claim
        );
    }
}
