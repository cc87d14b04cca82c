//! One source listening to another: each change that the stream holds is handled at least once, across restarts.
//!
//! A change that the broker loses before it was delivered is noticed by the source's own count, as in the
//! [`Feed`](crate::Feed), for as long as the process lives: it is logged and counted. Of a stream that is lost, the source itself tells
//! again what it had ([`RelayOptions::everything`](crate::RelayOptions::everything)).
//!
//! How far a subscriber got belongs to its database. A second process with a copy would take messages that the first one never
//! gets, and a database that was set back lacks what was handled since. So only the process that publishes for its own source
//! subscribes, and a database with a new incarnation begins anew.

mod losses;
mod place;

use std::fmt::Display;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, Consumer, pull};
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt as _;
use group_commit::Database;
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use tokio_util::sync::CancellationToken;

use self::losses::{IN_FLIGHT, Losses};
pub use self::place::Place;
use crate::feed::process;
use crate::outage::{Outage, Seldom};
use crate::trouble::Stage;
use crate::{Broker, Cause, Event, Incarnation, Publishing, event, outbox};

/// Between attempts, at subscribing and at a change that could not be handled.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A durable subscription to one source's changes: the broker remembers how far it got.
#[derive(Debug)]
pub struct Subscription {
    broker: Broker,
    /// Where what was handled is kept.
    database: Database,
    publishing: Publishing,
    durable: String,
    source: String,
    /// It was once.
    subscribed: bool,
    /// Of the handling: what cannot be handled comes again twice a second.
    outage: Outage,
    seldom: Seldom,
    losses: Losses,
    lost: Counter<u64>,
}

#[derive(Debug, thiserror::Error)]
enum SubscriptionError {
    #[error("the stream cannot be read")]
    Stream(#[from] async_nats::jetstream::context::CreateStreamError),
    #[error("the consumer cannot be created")]
    Consumer(#[from] async_nats::jetstream::stream::ConsumerError),
    #[error("the consumer of another database cannot be deleted")]
    Delete(#[source] async_nats::jetstream::stream::ConsumerError),
    #[error("the database does not say which one it is")]
    Database(#[from] group_commit::Error),
    #[error("the consumer cannot be listened to")]
    Messages(#[from] async_nats::jetstream::consumer::StreamError),
    #[error("the subscription ended")]
    Ended,
    #[error("the stream cannot be asked how it is")]
    Info(#[from] async_nats::jetstream::stream::InfoError),
    #[error("the stream was created again")]
    AnotherStream,
    #[error("the beginning could not be handled: {0}")]
    Begin(String),
}

impl Subscription {
    /// Subscribes to `source` under the name `durable`, which is this subscriber's for good, while the subscriber's own relay
    /// publishes from this database.
    pub fn new(
        broker: Broker,
        database: Database,
        publishing: Publishing,
        durable: &str,
        source: &str,
    ) -> Self {
        Self {
            broker,
            database,
            publishing,
            durable: durable.to_owned(),
            source: source.to_owned(),
            subscribed: false,
            outage: Outage::default(),
            seldom: Seldom::default(),
            losses: Losses::default(),
            lost: count_losses(source),
        }
    }

    /// Hands every change to `handle`, with its place, until stopped; acknowledges what it handled and repeats what it could
    /// not. Whenever it subscribes, it first hands the place of the stream's end to `begin`: everything up to there was
    /// published before, though it may still be delivered, also again.
    pub async fn run<B, F, E>(mut self, stop: CancellationToken, begin: B, handle: F)
    where
        B: AsyncFn(Place) -> Result<(), E>,
        F: AsyncFn(Event, Place) -> Result<(), E>,
        E: Display,
    {
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.listen(&begin, &handle) => result,
            };
            if let Err(error) = &result {
                self.broker.trouble().set(Stage::Subscription, error);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    /// Listens until the connection is a new one: a pull consumer would wait 15 s before it noticed.
    async fn listen<B, F, E>(&mut self, begin: &B, handle: &F) -> Result<(), SubscriptionError>
    where
        B: AsyncFn(Place) -> Result<(), E>,
        F: AsyncFn(Event, Place) -> Result<(), E>,
        E: Display,
    {
        self.publishing.until_live().await;
        let mut connections = self.broker.connections.clone();
        connections.mark_unchanged();
        let (mut consumer, end) = self.subscribe().await?;
        let loss = self.losses.subscribed(end);
        self.tell_loss(loss);
        let result = begin(end).await;
        result.map_err(|error| SubscriptionError::Begin(error.to_string()))?;
        let mut messages = consumer.messages().await?;
        self.broker.trouble().clear(Stage::Subscription);
        if !std::mem::replace(&mut self.subscribed, true) {
            tracing::info!(source = self.source, "subscribed");
        }
        loop {
            let message = tokio::select! {
                biased;
                Ok(()) = connections.changed() => return Ok(()),
                () = self.publishing.until_refused() => return Ok(()),
                message = messages.next() => message,
            };
            let Some(Ok(message)) = message else {
                return Err(SubscriptionError::Ended);
            };
            let Some(sequence) = message.info().ok().map(|info| info.stream_sequence) else {
                continue;
            };
            self.take(message, end.with_sequence(sequence), handle).await;
            self.confirm(&mut consumer).await;
        }
    }

    /// The consumer, and the end of the stream that it is of.
    async fn subscribe(&self) -> Result<(Consumer<pull::Config>, Place), SubscriptionError> {
        let stream = self.broker.stream().await?;
        let asked = Place::end_of(stream.cached_info());
        let wanted = self.consumer(self.database.read(outbox::incarnation).await?);
        let mut consumer = stream
            .get_or_create_consumer(&self.durable, wanted.clone())
            .await?;
        if consumer.cached_info().config.description != wanted.description {
            tracing::info!(
                source = self.source,
                "the database is another one; consuming everything again"
            );
            let deleted = stream.delete_consumer(&self.durable).await;
            deleted.map_err(SubscriptionError::Delete)?;
            consumer = stream.create_consumer(wanted).await?;
        }
        let end = Place::end_of(&stream.get_info().await?);
        if end.stream != asked.stream {
            return Err(SubscriptionError::AnotherStream);
        }
        Ok((consumer, end))
    }

    /// It is described by the database that it is for.
    fn consumer(&self, incarnation: Incarnation) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.clone()),
            description: Some(format!("of the database {incarnation}")),
            filter_subject: self.broker.topology.pattern(&self.source),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(10),
            max_ack_pending: IN_FLIGHT.into(),
            ..pull::Config::default()
        }
    }

    async fn take<F, E>(&mut self, message: Message, place: Place, handle: &F)
    where
        F: AsyncFn(Event, Place) -> Result<(), E>,
        E: Display,
    {
        let entity = message.subject.rsplit('.').next().unwrap_or_default();
        let read = event::read(entity, message.headers.as_ref(), &message.payload);
        let loss = match &read {
            Ok(read) => self.losses.take(read, place),
            Err(_) => self.losses.take_unreadable(place),
        };
        self.tell_loss(loss);
        let handled = match read {
            Ok(event::Message::Watermark { .. } | event::Message::Claim { .. }) => Ok(()),
            Ok(event::Message::Change(event)) => {
                let pattern = self.broker.topology.pattern(&self.source);
                let process = process(&pattern, &message.message, &event);
                let handled = process.run(handle(event, place)).await;
                handled.map_err(|error| error.to_string())
            }
            Err(error) => {
                if self.seldom.say("unreadable") {
                    tracing::warn!(subject = %message.subject, %error, "skipped a message that cannot be read");
                }
                Ok(())
            }
        };
        self.acknowledge(&message, handled).await;
    }

    async fn acknowledge(&mut self, message: &Message, handled: Result<(), String>) {
        let acknowledgement = match handled {
            Ok(()) => {
                if self.outage.over() {
                    tracing::info!(source = self.source, "changes are handled again");
                }
                message.ack().await
            }
            Err(error) => {
                if self.outage.failed(&error, Instant::now()) {
                    tracing::warn!(
                        error,
                        source = self.source,
                        "a change could not be handled; it is retried until it can"
                    );
                }
                message.ack_with(AckKind::Nak(Some(RETRY_AFTER))).await
            }
        };
        if let Err(error) = acknowledgement {
            tracing::debug!(%error, "an acknowledgement was lost; the change will be repeated");
        }
    }

    /// Asks the broker whether what is missing is still on its way. An answer that does not come is asked for again at the
    /// next message: watermarks come four times a second.
    async fn confirm(&mut self, consumer: &mut Consumer<pull::Config>) {
        let Some(before) = self.losses.suspected() else {
            return;
        };
        if let Ok(info) = consumer.info().await
            && info.ack_floor.stream_sequence >= before
        {
            let loss = self.losses.confirmed();
            self.tell_loss(loss);
        }
    }

    fn tell_loss(&self, loss: Option<Cause>) {
        let Some(cause) = loss else { return };
        self.lost.add(1, &cause_labels(&self.source, cause));
        if self.seldom.say(cause.as_str()) {
            tracing::warn!(
                source = self.source,
                cause = cause.as_str(),
                to_do = "see the metric subscription.losses in docs/metrics.md",
                "changes may have been missed: the broker did not deliver what the source counts"
            );
        }
    }
}

fn count_losses(source: &str) -> Counter<u64> {
    let lost = global::meter("event-bus")
        .u64_counter("subscription.losses")
        .with_description("Times changes of another source may have been missed. Was a deletion missed?")
        .build();
    // From zero on: what appears at its first increment has no increase.
    for cause in Cause::LOSSES {
        lost.add(0, &cause_labels(source, cause));
    }
    lost
}

fn cause_labels(source: &str, cause: Cause) -> [KeyValue; 2] {
    [
        KeyValue::new("source", source.to_owned()),
        KeyValue::new("cause", cause.as_str()),
    ]
}
