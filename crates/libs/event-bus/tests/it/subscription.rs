//! What a subscription is not given is counted, and nothing else is.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};

use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::{Consumer, pull};
use clap::Parser as _;
use event_bus::{Broker, Subscription};
use futures::StreamExt as _;
use telemetry::{Telemetry, TelemetryConfig, prometheus_text};
use test_support::{NatsServer, eventually};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::stack::{LONG, Source, jetstream, topology};

/// More than the broker sends before the first is acknowledged.
const MANY: u64 = 200;

#[derive(Debug, clap::Parser)]
struct Settings {
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

/// Once in a process.
fn count() {
    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();
    TELEMETRY.get_or_init(|| telemetry::start("test", &Settings::parse_from(["test"]).telemetry).unwrap());
}

/// A subscriber that handles nothing until it is let.
struct Subscriber {
    source: &'static str,
    handled: Arc<Mutex<BTreeSet<u64>>>,
    gate: Arc<Semaphore>,
    /// Its own database and relay.
    _itself: Source,
    _stop: DropGuard,
}

impl Subscriber {
    async fn start(nats: &NatsServer, source: &'static str) -> Self {
        count();
        let broker = Broker::connect(&nats.url(), "subscriber", topology())
            .await
            .unwrap();
        let handled = Arc::new(Mutex::new(BTreeSet::new()));
        let gate = Arc::new(Semaphore::new(0));
        let stop = CancellationToken::new();
        let (note, wait) = (handled.clone(), gate.clone());
        let handle = move |event: event_bus::Event, _| {
            let (note, wait) = (note.clone(), wait.clone());
            async move {
                wait.acquire().await.unwrap().forget();
                note.lock().unwrap().insert(event.revision);
                Ok::<_, Infallible>(())
            }
        };
        let itself = Source::start_as("subscribers", tempfile::tempdir().unwrap(), nats).await;
        let (database, publishing) = (itself.database.clone(), itself.publishing.clone());
        let subscription = Subscription::new(broker, database, publishing, "subscriber", source);
        tokio::spawn(subscription.run(stop.clone(), async |_| Ok(()), handle));
        Self {
            source,
            handled,
            gate,
            _itself: itself,
            _stop: stop.drop_guard(),
        }
    }

    fn open(&self) {
        self.gate.add_permits(10_000);
    }

    async fn until_handled(&self, count: usize) {
        eventually(2 * LONG, async || {
            let handled = self.handled.lock().unwrap().len();
            (handled == count).then_some(()).ok_or(handled)
        })
        .await;
    }

    /// The losses by cause, where there are any.
    fn losses(&self) -> Vec<(String, u64)> {
        let text = prometheus_text();
        let of_source = format!("source=\"{}\"", self.source);
        text.lines()
            .filter(|line| line.starts_with("subscription_losses_total") && line.contains(&of_source))
            .map(|line| {
                let cause = line.split("cause=\"").nth(1).unwrap().split('"').next().unwrap();
                let value = line.rsplit(' ').next().unwrap().parse().unwrap();
                (cause.to_owned(), value)
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    async fn until_lost(&self, wanted: &str) {
        eventually(LONG, async || {
            let losses = self.losses();
            let there = losses.iter().any(|(cause, _)| cause == wanted);
            there.then_some(()).ok_or(format!("{losses:?}"))
        })
        .await;
    }
}

async fn announce_many(source: &Source) {
    for number in 1..=MANY {
        source.announce_of(i64::try_from(number).unwrap(), number).await;
    }
    source.until_published().await;
}

/// Waits until so many, or more, were sent and not acknowledged.
async fn until_sent(nats: &NatsServer, count: usize) {
    let stream = jetstream(nats).await.get_stream("EVENTS").await.unwrap();
    eventually(LONG, async || {
        let info = stream.consumer_info("subscriber").await;
        let pending = info.map_err(|error| error.to_string())?.num_ack_pending;
        (pending >= count).then_some(()).ok_or(pending.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_change_that_the_broker_lost_is_counted_once() {
    let nats = NatsServer::start();
    let source = Source::start_as("lossy", tempfile::tempdir().unwrap(), &nats).await;
    let subscriber = Subscriber::start(&nats, "lossy").await;
    announce_many(&source).await;
    until_sent(&nats, 64).await;
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    let lost = stream.get_last_raw_message_by_subject("events.lossy.150").await;
    stream.delete_message(lost.unwrap().sequence).await.unwrap();
    subscriber.open();
    subscriber.until_handled(199).await;
    subscriber.until_lost("gap").await;
    source.publish(7, 1000).await;
    subscriber.until_handled(200).await;
    assert_eq!(subscriber.losses(), [("gap".to_owned(), 1)]);
}

#[tokio::test]
async fn what_comes_late_is_no_loss() {
    let nats = NatsServer::start();
    let source = Source::start_as("late", tempfile::tempdir().unwrap(), &nats).await;
    let subscriber = Subscriber::start(&nats, "late").await;
    subscriber.open();
    source.publish(7, 1).await;
    subscriber.until_handled(1).await;
    // As on a connection that breaks: some of the messages are sent to somebody who does not handle them.
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    let consumer: Consumer<pull::Config> = stream.get_consumer("subscriber").await.unwrap();
    let batch = consumer.batch().max_messages(10).messages().await.unwrap();
    for number in 2..=30 {
        source.publish(7, number).await;
    }
    let taken: Vec<_> = batch.map(Result::unwrap).collect().await;
    let changes = taken.iter().filter(|message| message.subject.ends_with(".7"));
    let missing = changes.count();
    assert!(missing > 0);
    source.publish(7, 31).await;
    subscriber.until_handled(31 - missing).await;
    for message in taken {
        message.ack_with(AckKind::Nak(None)).await.unwrap();
    }
    subscriber.until_handled(31).await;
    source.publish(7, 32).await;
    subscriber.until_handled(32).await;
    assert_eq!(subscriber.losses(), []);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_counted_and_a_replay_is_not() {
    let nats = NatsServer::start();
    let source = Source::start_as("gone", tempfile::tempdir().unwrap(), &nats).await;
    let subscriber = Subscriber::start(&nats, "gone").await;
    subscriber.open();
    source.publish(7, 1).await;
    subscriber.until_handled(1).await;
    let jetstream = jetstream(&nats).await;
    let stream = jetstream.get_stream("EVENTS").await.unwrap();
    stream.delete_consumer("subscriber").await.unwrap();
    source.publish(7, 2).await;
    subscriber.until_handled(2).await;
    assert_eq!(subscriber.losses(), []);
    jetstream.delete_stream("EVENTS").await.unwrap();
    subscriber.until_lost("stream").await;
}

#[tokio::test]
async fn a_database_that_is_another_one_is_told_everything_again() {
    let nats = NatsServer::start();
    let accounts = Source::start_as("retold", tempfile::tempdir().unwrap(), &nats).await;
    for revision in 1..=3 {
        accounts.publish(7, revision).await;
    }
    let first = Subscriber::start(&nats, "retold").await;
    first.open();
    first.until_handled(3).await;
    drop(first);
    // The broker knows that all was handled; a database with another incarnation does not have it.
    let second = Subscriber::start(&nats, "retold").await;
    second.open();
    second.until_handled(3).await;
}
