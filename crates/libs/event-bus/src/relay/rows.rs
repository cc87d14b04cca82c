//! How a row of the outbox goes out, and how its acknowledgement is awaited.

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use telemetry::TaskContext;

use super::claiming::error_code;
use super::options::FailPoint;
use super::tenure::Held;
use super::{Relay, RelayError};
use crate::HeadersMut;
use crate::event::{self, MessageOrigin};
use crate::outbox::{Acknowledged, Pending, Snapshot};

/// Names the subject whose last message an expectation is about, where it is not the message's own.
const EXPECTED_ABOUT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// A row under way.
pub(super) struct Sent {
    acknowledgement: PublishAckFuture,
    publish: TaskContext,
}

impl Relay {
    /// Awaits a row's acknowledgement.
    pub(super) async fn await_acknowledgement(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
        sent: Sent,
    ) -> Result<(), RelayError> {
        let Sent {
            acknowledgement,
            publish,
        } = sent;
        let answer = publish.clone().run(acknowledgement.into_future()).await;
        let repeat = match answer {
            Ok(taken) => taken.duplicate,
            // Rule 2: a row that cannot go out as it is goes out without its fragment; it never blocks those behind it.
            Err(error) if row.fragment.is_some() && is_too_large(&error) => {
                self.say_without_fragment(row);
                let headers = self.headers(snapshot, held, row, expected, &publish);
                let acknowledgement = self.hand_over(row, &headers, false).await?;
                acknowledgement.await?.duplicate
            }
            Err(error) => return Err(error.into()),
        };
        self.fail_at(FailPoint::BeforeDelete);
        self.progress.count(repeat);
        self.acknowledged.send_replace(Some(Acknowledged {
            incarnation: snapshot.incarnation,
            through: row.sequence,
        }));
        Ok(())
    }

    pub(super) async fn send(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
    ) -> Result<Sent, PublishError> {
        let publish = self.publish_context(self.origin(snapshot, held), row);
        let headers = self.headers(snapshot, held, row, expected, &publish);
        let acknowledgement = match self.hand_over(row, &headers, true).await {
            // The client itself refuses what the server said it would not take.
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.say_without_fragment(row);
                self.hand_over(row, &headers, false).await?
            }
            result => result?,
        };
        Ok(Sent {
            acknowledgement,
            publish,
        })
    }

    fn headers(
        &self,
        snapshot: &Snapshot,
        held: Held,
        row: &Pending,
        expected: Option<u64>,
        publish: &TaskContext,
    ) -> HeaderMap {
        let mut headers = self.origin(snapshot, held).change_headers(row);
        publish
            .clone()
            .enter(|| telemetry::inject_current(&mut HeadersMut(&mut headers)));
        if let Some(place) = expected {
            let subject = self
                .broker
                .topology
                .subject(self.options.source, event::WATERMARK);
            headers.insert(
                async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                place.to_string(),
            );
            headers.insert(EXPECTED_ABOUT, subject);
        }
        headers
    }

    pub(super) fn origin(&self, snapshot: &Snapshot, held: Held) -> MessageOrigin<'static> {
        MessageOrigin {
            source: self.options.source,
            claim: held.claim,
            incarnation: snapshot.incarnation,
        }
    }

    async fn hand_over(
        &self,
        row: &Pending,
        headers: &HeaderMap,
        carry: bool,
    ) -> Result<PublishAckFuture, PublishError> {
        let subject = self.broker.topology.subject(self.options.source, &row.entity);
        self.broker
            .jetstream()
            .publish_with_headers(subject, headers.clone(), row.body(carry).into())
            .await
    }

    /// A child of the mutation that wrote the row, however much later it is published. What it says of its trace goes out
    /// with the event, also if it is not traced, or nothing is recorded here.
    fn publish_context(&self, origin: MessageOrigin<'_>, row: &Pending) -> TaskContext {
        let Some(writer) = &row.trace else {
            return TaskContext::none();
        };
        let topology = &self.broker.topology;
        let pattern = topology.pattern(origin.source);
        TaskContext::below(writer, || {
            tracing::info_span!(
                "publish",
                otel.name = format!("publish {pattern}"),
                otel.kind = "producer",
                messaging.system = "nats",
                messaging.operation.name = "publish",
                messaging.operation.type = "send",
                messaging.destination.name = topology.subject(origin.source, &row.entity),
                messaging.destination.template = pattern,
                messaging.message.id = origin.id(row),
            )
        })
    }

    fn say_without_fragment(&self, row: &Pending) {
        if self.seldom.say("without its fragment") {
            tracing::warn!(
                sequence = row.sequence,
                "the broker takes no message as large as this one: it is published without its fragment, and readers ask. \
                 Others may follow"
            );
        }
    }
}

/// Whether the stream itself takes no message of that size. Any other refusal, such as of a stream that is full, is met by
/// trying again.
fn is_too_large(error: &PublishError) -> bool {
    error_code(error) == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}
