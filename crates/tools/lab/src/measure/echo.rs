//! The broker's share: the same rate of messages through a stream that nobody else uses.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::push;
use async_nats::jetstream::{self, stream};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::latency::Latency;

const NAME: &str = "LAB_MEASURE";
const SUBJECT: &str = "lab.measure";

/// A publisher, and a consumer like a feed's.
pub(super) struct Echo {
    jetstream: jetstream::Context,
    sent: mpsc::UnboundedSender<Instant>,
    receiver: JoinHandle<Result<Latency>>,
}

impl Echo {
    pub(super) async fn start(nats_url: &str) -> Result<Self> {
        let client = async_nats::connect(nats_url)
            .await
            .with_context(|| format!("connecting to {nats_url}"))?;
        let jetstream = jetstream::new(client.clone());
        let config = stream::Config {
            name: NAME.to_owned(),
            subjects: vec![SUBJECT.to_owned()],
            ..Default::default()
        };
        // One that an interrupted run left would bring its old messages.
        let _ = jetstream.delete_stream(NAME).await;
        let stream = jetstream.create_stream(config).await?;
        let consumer = push::OrderedConfig {
            deliver_subject: client.new_inbox(),
            ..Default::default()
        };
        let messages = stream.create_consumer(consumer).await?.messages().await?;
        let (sent, times) = mpsc::unbounded_channel();
        Ok(Self {
            jetstream,
            sent,
            receiver: tokio::spawn(receive(messages, times)),
        })
    }

    /// Publishes, and waits for the broker's word that it is stored.
    pub(super) async fn publish(&mut self) -> Result<()> {
        let _ = self.sent.send(Instant::now());
        self.jetstream.publish(SUBJECT, "x".into()).await?.await?;
        Ok(())
    }

    pub(super) async fn stop(self) -> Result<Latency> {
        drop(self.sent);
        let latency = timeout(Duration::from_secs(10), self.receiver).await??;
        self.jetstream.delete_stream(NAME).await?;
        latency
    }
}

/// Messages come in the order of the stream, and so do the times at which they were sent.
async fn receive(
    mut messages: push::Ordered,
    mut times: mpsc::UnboundedReceiver<Instant>,
) -> Result<Latency> {
    let mut latency = Latency::new();
    while let Some(sent) = times.recv().await {
        messages
            .next()
            .await
            .context("the broker ended the subscription")??;
        latency.record(sent.elapsed());
    }
    Ok(latency)
}
