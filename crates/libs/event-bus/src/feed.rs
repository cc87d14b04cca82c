//! What one consumer receives: every source's changes and watermarks, in the stream's order, and every loss.
//!
//! The client library's consumers resume silently over what a stream no longer holds, and over a stream made anew.
//! So the loop here subscribes again on every connection, from its own cursor, after comparing the stream with what
//! it knew of it; and each source's own sequence tells of whatever was lost within.

mod cursor;
mod item;

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::stream;
use async_nats::{HeaderMap, Message};
use futures::StreamExt as _;
use telemetry::TaskContext;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::cursor::Cursor;
pub use self::item::{Change, ChangeKind, Claimed, FeedItem, Loss, Watermark};
use crate::outage::Seldom;
use crate::outbox::Count;
use crate::sequence::{Cause, Order, PublisherStatus, SourceSequence};
use crate::trouble::Stage;
use crate::{Broker, Claim, Event, Headers, event};

/// Watermarks come four times a second. After a longer silence the stream is asked whether it, or the subscription, is still.
const SILENCE: Duration = Duration::from_secs(2);
/// Between attempts to subscribe.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A subscription to the whole stream that subscribes again by itself.
#[derive(Debug)]
pub struct Feed {
    broker: Broker,
    sources: Vec<String>,
    sequences: Vec<SourceSequence>,
    cursor: Option<Cursor>,
    /// Whether this connection's subscription works.
    receiving: bool,
    /// Limits the log: every message may be unreadable, or reveal a loss.
    seldom: Seldom,
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
    #[error("the stream goes on, and the subscription receives nothing")]
    Deaf,
}

impl Feed {
    /// A feed of `sources`; what it consumes refers to them by index. Other sources on the stream are not its concern.
    pub fn new(broker: Broker, sources: &[&str]) -> Self {
        Self {
            broker,
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            sequences: sources.iter().map(|_| SourceSequence::default()).collect(),
            cursor: None,
            receiving: false,
            seldom: Seldom::default(),
        }
    }

    /// Tells `apply` everything, in order, until stopped. `apply` must not wait (rule 5): what it delays is everybody's
    /// freshness.
    pub async fn run(mut self, stop: CancellationToken, mut apply: impl FnMut(FeedItem) + Send) {
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.listen(&mut apply) => result,
            };
            self.receiving = false;
            let Err(error) = result else { continue };
            self.broker.trouble().set(Stage::Feed, &error);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Listens until the connection is a new one, or something is wrong with this one.
    async fn listen(&mut self, apply: &mut (impl FnMut(FeedItem) + Send)) -> Result<(), FeedError> {
        self.broker.first_connection().await;
        let mut connections = self.broker.connections.clone();
        connections.mark_unchanged();
        // Raced from the first question on: what was asked on a connection that is gone is never answered.
        tokio::select! {
            biased;
            Ok(()) = connections.changed() => Ok(()),
            result = self.listen_here(apply) => result,
        }
    }

    /// Subscribes from the cursor and listens.
    async fn listen_here(&mut self, apply: &mut (impl FnMut(FeedItem) + Send)) -> Result<(), FeedError> {
        let stream = self.broker.stream().await?;
        let mut cursor = self.find_place(stream.cached_info(), apply);
        let mut messages = stream
            .create_consumer(self.consumer_from(cursor))
            .await?
            .messages()
            .await?;
        loop {
            let Ok(message) = timeout(SILENCE, messages.next()).await else {
                self.check_silence(cursor).await?;
                continue;
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
            self.log_receiving(cursor);
            cursor.sequence = sequence;
            self.cursor = Some(cursor);
            self.take(&message.message, apply);
        }
    }

    /// Silence is right where the stream ends. Elsewhere the subscription is dead, as it is when the broker forgot it: the
    /// client library would notice after ten seconds.
    async fn check_silence(&mut self, cursor: Cursor) -> Result<(), FeedError> {
        if Cursor::end_of(self.broker.stream().await?.cached_info()) != cursor {
            return Err(FeedError::Deaf);
        }
        self.log_receiving(cursor);
        Ok(())
    }

    /// Where to go on. A stream that is not the one left behind, or no longer holds what comes next, is a loss of
    /// unknown extent: everything known is void, and receiving starts at its end.
    fn find_place(&mut self, info: &stream::Info, apply: &mut impl FnMut(FeedItem)) -> Cursor {
        let end = Cursor::end_of(info);
        let place = match self.cursor {
            Some(known) if known.continues_in(end, info.state.first_sequence) => known,
            Some(_) => {
                if self.seldom.say("another stream") {
                    tracing::warn!("the stream is not the one of before; asking every source again");
                }
                apply(FeedItem::Loss(Loss {
                    source: None,
                    cause: Cause::Stream,
                }));
                end
            }
            // The first time there is nothing to lose; each source's first message says that it is the first.
            None => end,
        };
        self.cursor = Some(place);
        place
    }

    fn consumer_from(&self, cursor: Cursor) -> push::OrderedConfig {
        push::OrderedConfig {
            deliver_subject: self.broker.client().new_inbox(),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: cursor.sequence + 1,
            },
            ..push::OrderedConfig::default()
        }
    }

    fn take(&mut self, message: &Message, apply: &mut impl FnMut(FeedItem)) {
        let Some((source, entity)) = self.broker.topology.parse(&message.subject) else {
            if self.seldom.say("whose") {
                tracing::warn!(subject = %message.subject, "a message whose subject names no source");
            }
            return apply(FeedItem::Loss(Loss {
                source: None,
                cause: Cause::Unreadable,
            }));
        };
        let Some(source) = self.sources.iter().position(|known| known == source) else {
            return;
        };
        match event::read(entity, message.headers.as_ref(), &message.payload) {
            Ok(event::Message::Change(event)) => self.take_change(source, event, message, apply),
            Ok(event::Message::Claim { claim, .. }) => {
                self.take_claim(source, Some(claim), apply);
            }
            Ok(event::Message::Watermark {
                claim,
                count,
                complete_until,
            }) => {
                let watermark = Watermark {
                    source,
                    complete_until,
                };
                self.take_watermark(watermark, claim, count, apply);
            }
            Err(error) => {
                if self.seldom.say("unreadable") {
                    tracing::warn!(subject = %message.subject, %error, "a message that cannot be read");
                }
                apply(FeedItem::Loss(Loss {
                    source: Some(source),
                    cause: Cause::Unreadable,
                }));
            }
        }
    }

    fn take_change(
        &mut self,
        source: usize,
        event: Event,
        message: &Message,
        apply: &mut impl FnMut(FeedItem),
    ) {
        let (loss, order) = self.sequences[source].change(event.claim, event.incarnation, event.sequence);
        let kind = match order {
            Order::Next => ChangeKind::New,
            Order::Repeat => ChangeKind::Repeat,
            Order::Foreign => ChangeKind::Foreign,
        };
        let mut process = process(
            &self.broker.topology.pattern(&self.sources[source]),
            message,
            &event,
        );
        process.enter(|| {
            self.tell_loss(source, loss, apply);
            apply(FeedItem::Change(Change { source, event, kind }));
        });
    }

    /// Who publishes for the source from here on.
    fn take_claim(
        &mut self,
        source: usize,
        claim: Option<Claim>,
        apply: &mut impl FnMut(FeedItem),
    ) -> PublisherStatus {
        let publisher = self.sequences[source].claim(claim);
        match publisher {
            PublisherStatus::Current => {}
            PublisherStatus::New => {
                tracing::debug!(
                    source = self.sources[source],
                    ?claim,
                    "a publisher claims the source"
                );
                apply(FeedItem::Claimed(Claimed { source, claim }));
            }
            PublisherStatus::Retired => {
                self.warn_of(source, claim);
                apply(FeedItem::Foreign { source });
            }
        }
        publisher
    }

    /// Only after the loss that it reveals may a watermark count (rule 7).
    fn take_watermark(
        &mut self,
        watermark: Watermark,
        claim: Option<Claim>,
        count: Count,
        apply: &mut impl FnMut(FeedItem),
    ) {
        let source = watermark.source;
        if self.take_claim(source, claim, apply) == PublisherStatus::Retired {
            return;
        }
        let loss = self.sequences[source].watermark(count);
        self.tell_loss(source, loss, apply);
        apply(FeedItem::Watermark(watermark));
    }

    /// Seldom: it may go on four times a second.
    fn warn_of(&mut self, source: usize, claim: Option<Claim>) {
        if self.seldom.say("retired") {
            let claim = claim.map(|claim| claim.to_string());
            tracing::warn!(
                source = self.sources[source],
                claim,
                "a publisher that another one replaced still publishes; it is not believed. Stop it, or restart it"
            );
        }
    }

    fn log_receiving(&mut self, cursor: Cursor) {
        if self.receiving {
            return;
        }
        self.receiving = true;
        self.broker.trouble().clear(Stage::Feed);
        // At the start, and after that where a loss is told: elsewhere it goes on where it was.
        if self.seldom.say("receiving") {
            tracing::info!(from = cursor.sequence + 1, "receiving the feed");
        }
    }

    fn tell_loss(&self, source: usize, loss: Option<Cause>, apply: &mut impl FnMut(FeedItem)) {
        let Some(cause) = loss else { return };
        let name = &self.sources[source];
        if cause == Cause::FirstMessage {
            // At every start, once per source: what came before could not be received.
            tracing::debug!(source = name, "first message of this source");
        } else if cause == Cause::NewPublisher {
            // At every start of a source and at each of its new connections.
            tracing::info!(
                source = name,
                "another publisher took over the source; asking it again"
            );
        } else if self.seldom.say(&format!("{name}: {cause:?}")) {
            tracing::warn!(
                source = name,
                ?cause,
                "changes may have been missed; asking the source again"
            );
        }
        apply(FeedItem::Loss(Loss {
            source: Some(source),
            cause,
        }));
    }
}

/// The hop over the broker: a child of the publish, and so of the mutation, in the writer's trace.
pub(crate) fn process(pattern: &str, message: &Message, event: &Event) -> TaskContext {
    let nothing = HeaderMap::new();
    let headers = Headers(message.headers.as_ref().unwrap_or(&nothing));
    TaskContext::below(&headers, || {
        tracing::info_span!(
            "process",
            otel.name = format!("process {pattern}"),
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.operation.name = "process",
            messaging.operation.type = "process",
            messaging.destination.name = message.subject.as_str(),
            messaging.destination.template = pattern,
            messaging.message.id = event.id,
        )
    })
}
