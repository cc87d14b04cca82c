//! One source listening to another: each change that the stream holds is handled at least once, across restarts.
//!
//! A change that the broker loses before it was delivered is not noticed here, unlike in the [`Feed`](crate::Feed).

use std::fmt::Display;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{AckKind, Message};
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::feed::process_span;
use crate::outage::{Outage, Seldom};
use crate::trouble::Stage;
use crate::{Broker, Event, event};

/// Between attempts, at subscribing and at a change that could not be handled.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A durable subscription to one source's changes: the broker remembers how far it got.
#[derive(Debug)]
pub struct Subscription {
    broker: Broker,
    durable: String,
    source: String,
    /// It was once.
    subscribed: bool,
    /// Of the handling: what cannot be handled comes again twice a second.
    outage: Outage,
    seldom: Seldom,
}

#[derive(Debug, thiserror::Error)]
enum SubscriptionError {
    #[error("the stream cannot be read")]
    Stream(#[from] async_nats::jetstream::context::CreateStreamError),
    #[error("the consumer cannot be created")]
    Consumer(#[from] async_nats::jetstream::stream::ConsumerError),
    #[error("the consumer cannot be listened to")]
    Messages(#[from] async_nats::jetstream::consumer::StreamError),
    #[error("the subscription ended")]
    Ended,
}

impl Subscription {
    /// Subscribes to `source` under the name `durable`, which is this subscriber's for good.
    pub fn new(broker: Broker, durable: &str, source: &str) -> Self {
        Self {
            broker,
            durable: durable.to_owned(),
            source: source.to_owned(),
            subscribed: false,
            outage: Outage::default(),
            seldom: Seldom::default(),
        }
    }

    /// Hands every change to `handle` until stopped; acknowledges what it handled and repeats what it could not.
    pub async fn run<F, E>(mut self, stop: CancellationToken, handle: F)
    where
        F: AsyncFn(Event) -> Result<(), E>,
        E: Display,
    {
        loop {
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = self.listen(&handle) => result,
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
    async fn listen<F, E>(&mut self, handle: &F) -> Result<(), SubscriptionError>
    where
        F: AsyncFn(Event) -> Result<(), E>,
        E: Display,
    {
        self.broker.first_connection().await;
        let mut connections = self.broker.connections.clone();
        connections.mark_unchanged();
        let stream = self.broker.stream().await?;
        let consumer = stream
            .get_or_create_consumer(&self.durable, self.consumer())
            .await?;
        let mut messages = consumer.messages().await?;
        self.broker.trouble().clear(Stage::Subscription);
        if !std::mem::replace(&mut self.subscribed, true) {
            tracing::info!(source = self.source, "subscribed");
        }
        loop {
            let message = tokio::select! {
                biased;
                Ok(()) = connections.changed() => return Ok(()),
                message = messages.next() => message,
            };
            let Some(Ok(message)) = message else {
                return Err(SubscriptionError::Ended);
            };
            self.take(message, handle).await;
        }
    }

    fn consumer(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subject: self.broker.topology.pattern(&self.source),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(10),
            max_ack_pending: 64,
            ..pull::Config::default()
        }
    }

    async fn take<F, E>(&mut self, message: Message, handle: &F)
    where
        F: AsyncFn(Event) -> Result<(), E>,
        E: Display,
    {
        let entity = message.subject.rsplit('.').next().unwrap_or_default();
        let handled = match event::read(entity, message.headers.as_ref(), &message.payload) {
            Ok(event::Message::Watermark { .. } | event::Message::Claim { .. }) => Ok(()),
            Ok(event::Message::Change(event)) => {
                let span = process_span(
                    &self.broker.topology.pattern(&self.source),
                    &message.message,
                    &event,
                );
                handle(event)
                    .instrument(span)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => {
                if self.seldom.say("unreadable") {
                    tracing::warn!(subject = %message.subject, %error, "a message that cannot be read; skipped");
                }
                Ok(())
            }
        };
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
                        "a change could not be handled; it is repeated until it can"
                    );
                }
                message.ack_with(AckKind::Nak(Some(RETRY_AFTER))).await
            }
        };
        if let Err(error) = acknowledgement {
            tracing::debug!(%error, "an acknowledgement was lost; the change will be repeated");
        }
    }
}
