//! One publisher per source: a relay claims the source before it publishes, and finds out when it must not (rule 20).
//!
//! The messages on the watermark's subject form a chain: each is published with the expectation that the one before it is
//! the last, which the broker checks. Whoever finds another's message there has been replaced, or is about to replace.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};

use super::publishing::Standing;
use super::{Relay, RelayError};
use crate::event::{self, Message, Speaker};
use crate::outbox::{self, Count, Relation};
use crate::{Claim, Incarnation};

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
    connection: u64,
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
struct LastWord {
    /// Where in the stream it is.
    place: u64,
    claim: Option<Claim>,
    relation: Relation,
}

/// What the stream says of the source.
#[derive(Debug)]
struct OnStream {
    /// None: nothing is on the watermark's subject.
    last: Option<LastWord>,
    /// [`Relation::stream_lost_some`].
    lost_some: bool,
}

/// What to do about the last word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
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
    fn held(&self, connection: u64) -> Option<Held> {
        match self.state {
            State::Held(held) if held.connection == connection => Some(held),
            _ => None,
        }
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

    fn decide(&mut self, last: Option<LastWord>, now: Instant) -> Step {
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
}

impl Tenure {
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

impl Relay {
    /// The right to publish, claimed if that is to be done; none while it is not to be had.
    pub(super) async fn hold(&mut self) -> Result<Option<Held>, RelayError> {
        let connection = *self.broker.connections.borrow();
        if matches!(self.tenure.state, State::Refused) {
            return Ok(None);
        }
        if let Some(held) = self.tenure.held(connection) {
            return Ok(Some(held));
        }
        self.standing.send_replace(Standing::Waiting);
        if self.tenure.mine.is_none() {
            self.tenure.claimed_before = outbox::has_claimed(&self.database).await?;
        }
        let OnStream { last, lost_some } = self.on_stream().await?;
        match self.tenure.decide(last, Instant::now()) {
            Step::Claim => {
                if lost_some {
                    self.say_that_the_stream_lost_some();
                }
                if lost_some || self.tenure.takes_over {
                    self.announce_again().await?;
                }
            }
            Step::RenewAndClaim => {
                self.renew_incarnation().await?;
                self.announce_again().await?;
            }
            Step::Watch => return Ok(None),
            Step::Refuse => {
                self.refuse(last.and_then(|last| last.claim));
                return Ok(None);
            }
        }
        self.claim(last.map_or(0, |last| last.place), connection).await
    }

    /// What the stream says last, and how this database relates to it. The stream is created if it is not there.
    async fn on_stream(&self) -> Result<OnStream, RelayError> {
        let acknowledged = *self.acknowledged.borrow();
        let topology = &self.broker.topology;
        let stream = self.broker.stream().await?;
        let subject = topology.subject(self.options.source, event::WATERMARK);
        let Some(last) = last_message(&stream, &subject).await? else {
            let relation = outbox::relation(&self.database, None, Vec::new(), acknowledged).await?;
            return Ok(OnStream {
                last: None,
                lost_some: relation.stream_lost_some,
            });
        };
        let (claim, count) = match event::read(event::WATERMARK, Some(&last.headers), &last.payload) {
            Ok(Message::Claim { claim, count }) => (Some(claim), count),
            Ok(Message::Watermark { claim, count, .. }) => (claim, count),
            // Nobody's word: as if another database had said it.
            Ok(Message::Change(_)) | Err(_) => (None, NOBODYS),
        };
        let mut counts = vec![count];
        // An event may have come behind it, of which this database knows nothing if it was set back since.
        let newest = last_message(&stream, &topology.pattern(self.options.source)).await?;
        if let Some(newest) = newest.filter(|newest| newest.sequence > last.sequence)
            && let Ok(Message::Change(event)) = event::read("", Some(&newest.headers), &newest.payload)
        {
            counts.push(event.count());
        }
        let relation = outbox::relation(&self.database, claim, counts, acknowledged).await?;
        Ok(OnStream {
            last: Some(LastWord {
                place: last.sequence,
                claim,
                relation,
            }),
            lost_some: relation.stream_lost_some,
        })
    }

    /// Stores a claim, then publishes it: published and not stored, it would be taken for another database's after a crash.
    async fn claim(&mut self, last: u64, connection: u64) -> Result<Option<Held>, RelayError> {
        let claim = Claim(getrandom::u64().map_err(|_| RelayError::NoRandomNumbers)?);
        outbox::store_claim(&self.database, claim).await?;
        let snapshot = outbox::pending_after(&self.database, None, 0).await?;
        let speaker = Speaker {
            source: self.options.source,
            claim,
            incarnation: snapshot.incarnation,
        };
        let (kind, now) = (self.options.claim_kind, self.options.clock.now());
        let (headers, body) = speaker.claim(kind, now, snapshot.sequence, snapshot.nonce);
        let sent = Instant::now();
        self.tenure.mine = Some(claim);
        let place = match self.publish_in_chain(headers, body, last).await {
            Ok(place) => place,
            Err(error) if is_refusal(&error) => {
                self.tenure.lose();
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        self.tenure.takes_over = false;
        let held = Held {
            claim,
            last: place,
            connection,
        };
        self.tenure.state = State::Held(held);
        self.standing.send_replace(Standing::Live { claim, sent });
        tracing::debug!(source = self.options.source, %claim, "claimed");
        Ok(Some(held))
    }

    async fn renew_incarnation(&mut self) -> Result<(), RelayError> {
        self.database
            .write(|transaction| outbox::renew_incarnation(transaction).map_err(group_commit::Error::from))
            .await?;
        self.progress.count_renewal();
        tracing::warn!(
            source = self.options.source,
            "the stream tells of a history that this database does not have: it was restored, set back or replaced. It gets \
             a new incarnation, and everybody asks it anew; what was written since the backup is lost"
        );
        Ok(())
    }

    /// Subscribers may have missed what the stream lost, and what a database that was set back has is news to them. So they get
    /// the last change of everything. It is in the outbox before the claim is published: a crash loses none of it.
    async fn announce_again(&self) -> Result<(), RelayError> {
        if let Some(everything) = self.options.everything {
            let acknowledged = *self.acknowledged.borrow();
            outbox::announce_again(&self.database, acknowledged, everything).await?;
        }
        Ok(())
    }

    fn say_that_the_stream_lost_some(&self) {
        self.progress.count_stream_loss();
        if self.seldom.say("the stream lost some") {
            tracing::warn!(
                source = self.options.source,
                "the stream lost changes that it had acknowledged: it was deleted, or lost its end. This source lost nothing: caches ask \
                 it, and services that subscribe to it are told again. Look at the disks and the limits of the broker"
            );
        }
    }

    fn refuse(&mut self, by: Option<Claim>) {
        self.tenure.state = State::Refused;
        self.standing.send_replace(Standing::Refused);
        let by = by.map(|claim| claim.to_string());
        tracing::error!(
            source = self.options.source,
            by,
            "another publisher of this source is alive, with another database. This process publishes nothing and refuses \
             writes. Stop one of the two. To have this database replace the other one, start it with --renew-incarnation"
        );
    }
}

async fn last_message(stream: &Stream, subject: &str) -> Result<Option<StreamMessage>, LastRawMessageError> {
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The count of a message that says nothing.
const NOBODYS: Count = Count {
    incarnation: Incarnation(0),
    sequence: 0,
    nonce: None,
};

/// Whether the broker refused a message because another one is the last of the subject, or may be.
pub(super) fn is_refusal(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        // In a cluster, while another message that names the subject is under way.
        || error_code(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// What the broker itself answered, if it did.
pub(super) fn error_code(error: &PublishError) -> Option<ErrorCode> {
    let source = std::error::Error::source(error)?;
    let answered = source.downcast_ref::<jetstream::Error>()?;
    Some(answered.error_code())
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
