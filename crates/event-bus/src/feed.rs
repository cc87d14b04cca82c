//! What one hearer hears: every source's changes and watermarks, in the stream's order, and every loss.
//!
//! The client library's consumers resume silently over what a stream no longer holds, and over a stream made anew.
//! So the loop here subscribes afresh on every connection, from its own cursor, after comparing the stream with what
//! it knew of it; and each source's own sequence tells of whatever was lost within.

use std::time::Duration;

use async_nats::Message;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::stream;
use futures::StreamExt as _;
use jiff::Timestamp;
use opentelemetry::Context;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::sequence::{Cause, Heard as SequenceHeard, Order};
use crate::{Broker, Event, Headers, Incarnation, event};

/// Watermarks come four times a second: a longer silence means that the subscription, not the world, is still.
const SILENCE: Duration = Duration::from_secs(2);
/// Between attempts to subscribe.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// One thing heard, in the order of the stream. A loss comes before the message that revealed it.
#[derive(Debug)]
pub enum Heard {
    /// An entity of a source changed.
    Change(Change),
    /// A source said up to when it is complete.
    Watermark(Watermark),
    /// Something may have been missed.
    Loss(Loss),
}

/// An entity changed.
#[derive(Debug)]
pub struct Change {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// The event as published.
    pub event: Event,
    /// It was heard before.
    pub repeat: bool,
}

/// A source's word that everything it committed before a moment was published before this.
#[derive(Debug, Clone, Copy)]
pub struct Watermark {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// The moment, by the source's clock.
    pub complete_until: Timestamp,
}

/// Something may have been missed.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Index into the feed's list of sources; none: of every source.
    pub source: Option<usize>,
    /// What revealed it.
    pub cause: Cause,
}

/// A subscription to the whole stream that subscribes again by itself.
#[derive(Debug)]
pub struct Feed {
    broker: Broker,
    sources: Vec<String>,
    heard: Vec<SequenceHeard>,
    cursor: Option<Cursor>,
}

/// Where in which stream this hearer stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cursor {
    /// When the stream was made, in nanoseconds: another time is another stream, whatever its name.
    created: i128,
    /// Sequence of the last message taken, in the stream's count.
    sequence: u64,
}

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error("the stream cannot be read")]
    Stream(#[from] async_nats::jetstream::context::CreateStreamError),
    #[error("the consumer cannot be created")]
    Consumer(#[from] async_nats::jetstream::stream::ConsumerError),
    #[error("the consumer cannot be listened to")]
    Messages(#[from] async_nats::jetstream::consumer::StreamError),
    #[error("the subscription ended")]
    Ended,
    #[error("nothing was heard for two seconds")]
    Silent,
}

impl Feed {
    /// A feed of `sources`; what it hears refers to them by index. Other sources on the stream are not its concern.
    pub fn new(broker: Broker, sources: &[&str]) -> Self {
        Self {
            broker,
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            heard: sources.iter().map(|_| SequenceHeard::default()).collect(),
            cursor: None,
        }
    }

    /// Tells `hear` everything, in order, until stopped. `hear` must not wait (rule 5): what it delays is everybody's
    /// freshness.
    pub async fn run(mut self, stop: CancellationToken, mut hear: impl FnMut(Heard) + Send) {
        let mut failing = false;
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.listen(&mut hear) => result,
            };
            match &result {
                Err(error) if !failing => {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "not hearing the feed; subscribing again"
                    );
                }
                _ => {}
            }
            failing = result.is_err();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Subscribes from the cursor and listens until the connection is a new one, or something is wrong with this one.
    async fn listen(&mut self, hear: &mut (impl FnMut(Heard) + Send)) -> Result<(), FeedError> {
        self.broker.first_connection().await;
        let mut connections = self.broker.connections.clone();
        connections.mark_unchanged();
        let stream = self.broker.stream().await?;
        let mut cursor = self.find_place(stream.cached_info(), hear);
        let mut messages = stream
            .create_consumer(self.consumer_from(cursor))
            .await?
            .messages()
            .await?;
        tracing::info!(from = cursor.sequence + 1, "hearing the feed");
        loop {
            let message = tokio::select! {
                biased;
                Ok(()) = connections.changed() => return Ok(()),
                message = timeout(SILENCE, messages.next()) => message.map_err(|_| FeedError::Silent)?,
            };
            let Some(Ok(message)) = message else {
                return Err(FeedError::Ended);
            };
            let Some(sequence) = message.info().ok().map(|info| info.stream_sequence) else {
                continue;
            };
            if sequence <= cursor.sequence {
                // The client's consumer made itself anew, from somewhere else. Subscribe again from where we stand.
                return Err(FeedError::Ended);
            }
            cursor.sequence = sequence;
            self.cursor = Some(cursor);
            self.take(&message.message, hear);
        }
    }

    /// Where to go on. A stream that is not the one left behind, or no longer holds what comes next, is a loss of
    /// unknown extent: everything known is void, and hearing starts at its end.
    fn find_place(&mut self, info: &stream::Info, hear: &mut impl FnMut(Heard)) -> Cursor {
        let end = Cursor {
            created: info.created.unix_timestamp_nanos(),
            sequence: info.state.last_sequence,
        };
        let place = match self.cursor {
            Some(known) if continues(known, end, info.state.first_sequence) => known,
            Some(_) => {
                hear(Heard::Loss(Loss {
                    source: None,
                    cause: Cause::Stream,
                }));
                end
            }
            // The first time there is nothing to lose; each source's first word says that it is the first.
            None => end,
        };
        self.cursor = Some(place);
        place
    }

    fn consumer_from(&self, cursor: Cursor) -> push::OrderedConfig {
        push::OrderedConfig {
            deliver_subject: self.broker.client.new_inbox(),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: cursor.sequence + 1,
            },
            ..push::OrderedConfig::default()
        }
    }

    fn take(&mut self, message: &Message, hear: &mut impl FnMut(Heard)) {
        let Some((source, entity)) = self.broker.topology.parse(&message.subject) else {
            // It does not even say whose it is.
            return hear(Heard::Loss(Loss {
                source: None,
                cause: Cause::Unreadable,
            }));
        };
        let Some(source) = self.sources.iter().position(|known| known == source) else {
            return;
        };
        match event::read(entity, message.headers.as_ref(), &message.payload) {
            Ok(event::Message::Change(event)) => self.take_change(source, event, message, hear),
            Ok(event::Message::Watermark {
                incarnation,
                complete_until,
                sequence,
            }) => {
                self.take_watermark(
                    Watermark {
                        source,
                        complete_until,
                    },
                    incarnation,
                    sequence,
                    hear,
                );
            }
            Err(error) => {
                tracing::warn!(subject = %message.subject, %error, "a message that cannot be read");
                hear(Heard::Loss(Loss {
                    source: Some(source),
                    cause: Cause::Unreadable,
                }));
            }
        }
    }

    fn take_change(&mut self, source: usize, event: Event, message: &Message, hear: &mut impl FnMut(Heard)) {
        let (loss, order) = self.heard[source].change(event.incarnation, event.sequence);
        let span = process_span(
            &self.broker.topology.pattern(&self.sources[source]),
            message,
            &event,
        );
        span.in_scope(|| {
            self.tell_loss(source, loss, hear);
            hear(Heard::Change(Change {
                source,
                event,
                repeat: order == Order::Repeat,
            }));
        });
    }

    /// Only after the loss that it reveals may a watermark count (rule 7).
    fn take_watermark(
        &mut self,
        watermark: Watermark,
        incarnation: Incarnation,
        sequence: u64,
        hear: &mut impl FnMut(Heard),
    ) {
        let loss = self.heard[watermark.source].watermark(incarnation, sequence);
        self.tell_loss(watermark.source, loss, hear);
        hear(Heard::Watermark(watermark));
    }

    fn tell_loss(&self, source: usize, loss: Option<Cause>, hear: &mut impl FnMut(Heard)) {
        let Some(cause) = loss else { return };
        let name = &self.sources[source];
        if cause == Cause::FirstHeard {
            // At every start, once per source: what came before could not be heard.
            tracing::debug!(source = name, "heard for the first time");
        } else {
            tracing::warn!(
                source = name,
                ?cause,
                "something may have been missed; asking again"
            );
        }
        hear(Heard::Loss(Loss {
            source: Some(source),
            cause,
        }));
    }
}

/// Whether the stream, whose end and first message are given, still holds everything after `known`.
fn continues(known: Cursor, end: Cursor, first: u64) -> bool {
    known.created == end.created && known.sequence <= end.sequence && first <= known.sequence + 1
}

/// The hop over the broker: a child of the publish, and so of the mutation, in the writer's trace.
pub(crate) fn process_span(pattern: &str, message: &Message, event: &Event) -> tracing::Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {pattern}"),
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.type = "process",
        messaging.destination.template = pattern,
        messaging.message.id = event.id,
    );
    let context = message
        .headers
        .as_ref()
        .map_or_else(Context::new, |headers| telemetry::context_from(&Headers(headers)));
    // An error says that the span is not recorded; then there is nothing to join.
    let _ = span.set_parent(context);
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_continues_only_in_the_same_unbroken_stream() {
        let known = Cursor {
            created: 1,
            sequence: 10,
        };
        let end = |created, sequence| Cursor { created, sequence };
        assert!(continues(known, end(1, 10), 1));
        assert!(continues(known, end(1, 50), 11), "the next one is still there");
        assert!(!continues(known, end(1, 50), 12), "the next one was deleted");
        assert!(!continues(known, end(2, 50), 1), "made anew");
        assert!(!continues(known, end(1, 9), 1), "set back");
    }
}
