//! Claiming a source: what the stream says last, and what follows from it for this database (rule 20).

use std::time::Instant;

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{self, LastRawMessageError, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, ErrorCode};

use super::publishing::Standing;
use super::tenure::{Held, LastWord, Step};
use super::{Relay, RelayError};
use crate::event::{self, Message, MessageOrigin};
use crate::outbox::{self, Count};
use crate::{Claim, Incarnation};

/// What the stream says of the source.
#[derive(Debug)]
struct OnStream {
    /// None: nothing is on the watermark's subject.
    last: Option<LastWord>,
    /// [`Relation::stream_lost_some`].
    lost_some: bool,
}

impl Relay {
    /// The right to publish, claimed if that is to be done; none while it is not to be had.
    pub(super) async fn hold(&mut self) -> Result<Option<Held>, RelayError> {
        let connection = *self.broker.connections.borrow();
        if self.tenure.is_refused() {
            return Ok(None);
        }
        if let Some(held) = self.tenure.held(connection) {
            return Ok(Some(held));
        }
        self.standing.send_replace(Standing::Waiting);
        if self.tenure.is_new() {
            self.tenure.begin(outbox::has_claimed(&self.database).await?);
        }
        let OnStream { last, lost_some } = self.on_stream().await?;
        match self.tenure.decide(last, Instant::now()) {
            Step::Claim => {
                if lost_some {
                    self.say_that_the_stream_lost_some();
                }
                if lost_some || self.tenure.takes_over() {
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
    async fn on_stream(&mut self) -> Result<OnStream, RelayError> {
        let acknowledged = *self.acknowledged.borrow();
        let stream = self.broker.stream().await?;
        self.note_retention(&stream.cached_info().config);
        let topology = &self.broker.topology;
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
        let origin = MessageOrigin {
            source: self.options.source,
            claim,
            incarnation: snapshot.incarnation,
        };
        let (kind, now) = (self.options.claim_kind, self.options.clock.now());
        let (headers, body) = origin.claim(kind, now, snapshot.sequence, snapshot.nonce);
        let sent = Instant::now();
        self.tenure.minted(claim);
        let place = match self.publish_in_chain(headers, body, last, None).await {
            Ok(place) => place,
            Err(error) if is_refusal(&error) => {
                self.tenure.lose();
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let held = Held {
            claim,
            last: place,
            connection,
        };
        self.tenure.hold(held);
        self.standing.send_replace(Standing::Live { claim, sent });
        tracing::debug!(source = self.options.source, %claim, "claimed");
        Ok(Some(held))
    }

    fn note_retention(&mut self, config: &stream::Config) {
        self.retention.of_stream(config.allow_message_ttl);
        if !config.allow_message_ttl && self.seldom.say("watermarks are kept") {
            tracing::warn!(
                stream = config.name,
                to_do = "allow it, with nats-server 2.11 or newer: nats stream edit --allow-msg-ttl",
                "the stream allows no time to live for messages, so it keeps every watermark as long as an event: about 160 MB a day for each source"
            );
        }
    }

    async fn renew_incarnation(&mut self) -> Result<(), RelayError> {
        self.database.write(outbox::renew_incarnation).await?;
        self.progress.count_renewal();
        tracing::warn!(
            source = self.options.source,
            "the stream tells of a history that this database does not have: it was restored, set back or replaced. It gets \
             a new incarnation, and everybody asks it anew; what was written since the backup is lost"
        );
        Ok(())
    }

    /// Subscribers may have missed what the stream lost, or what a database that was set back has. So the relay announces the last
    /// change of every entity. The rows are in the outbox before the claim is published, so a crash loses none of them.
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
        self.tenure.refuse();
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
