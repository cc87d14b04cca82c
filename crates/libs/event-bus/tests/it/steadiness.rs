//! The feed subscribes once, and again only where something is wrong.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use test_support::NatsServer;
use tokio::time::timeout;

use crate::stack::{Consumer, LONG, Source, jetstream};

/// What anybody asks of the broker's streams and consumers from now on.
async fn questions(nats: &NatsServer) -> async_nats::Subscriber {
    let client = async_nats::connect(nats.url()).await.unwrap();
    let questions = client.subscribe("$JS.API.*.>").await.unwrap();
    client.flush().await.unwrap();
    questions
}

#[tokio::test]
async fn a_feed_that_receives_asks_nothing_of_the_broker_and_tells_no_loss() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let mut questions = questions(&nats).await;
    for revision in 1..=3 {
        source.announce(revision).await;
        assert_eq!(consumer.change().await.0.revision, revision);
        consumer.nothing_lost_for(4).await;
    }
    let asked = timeout(Duration::ZERO, questions.next()).await;
    assert!(asked.is_err(), "{asked:?}");
}

#[tokio::test]
async fn a_feed_of_silent_sources_stays_subscribed_and_receives_the_first_that_publishes() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let folder = source.stop().await;
    consumer.until_silent().await;
    let mut questions = questions(&nats).await;
    // Three silences: it asks whether the stream has ended, once for each. To subscribe anew takes two questions more.
    for _ in 0..3 {
        let asked = timeout(LONG, questions.next()).await.unwrap().unwrap();
        assert_eq!(asked.subject.as_str(), "$JS.API.STREAM.INFO.EVENTS");
    }
    let source = Source::start_in(folder, &nats).await;
    source.announce(1).await;
    assert_eq!(consumer.change().await.0.revision, 1); // a loss would panic
}

#[tokio::test]
async fn a_feed_whose_subscription_the_broker_forgot_subscribes_anew_and_misses_nothing() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    let mut consumers = stream.consumer_names();
    while let Some(consumer) = consumers.next().await {
        stream.delete_consumer(&consumer.unwrap()).await.unwrap();
    }
    let forgotten = Instant::now();
    source.announce(1).await;
    assert_eq!(consumer.change().await.0.revision, 1); // a loss would panic
    // Left to the client library's heartbeats it takes ten seconds.
    assert!(
        forgotten.elapsed() < Duration::from_secs(6),
        "took {:?}",
        forgotten.elapsed()
    );
}
