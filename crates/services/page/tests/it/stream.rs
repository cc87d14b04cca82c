//! The stream behind the feed, touched without our own publisher: what is on it, and what a broker may do to it.

use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context, message::StreamMessage};
use jiff::Timestamp;
use test_support::NatsServer;

const STREAM: &str = "EVENTS";

async fn jetstream(nats: &NatsServer) -> Context {
    jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

async fn last(nats: &NatsServer, subject: &str) -> StreamMessage {
    let stream = jetstream(nats).await.get_stream(STREAM).await.unwrap();
    stream.get_last_raw_message_by_subject(subject).await.unwrap()
}

/// When the last change of account 1 at a source was committed.
pub(crate) async fn committed(nats: &NatsServer, source: &str) -> Timestamp {
    let message = last(nats, &format!("events.{source}.1")).await;
    let time = message.headers.get("ce-time").unwrap().as_str();
    time.parse().unwrap()
}

/// Publishes the last change of account 1 at a source again, as a relay does that crashed before it noted the first time;
/// late enough for the broker not to know it any more.
pub(crate) async fn repeat(nats: &NatsServer, source: &str) {
    let time = committed(nats, source).await;
    repeat_dated(nats, source, time).await;
}

/// The same, with another time of the commit.
pub(crate) async fn repeat_dated(nats: &NatsServer, source: &str, time: Timestamp) {
    let message = last(nats, &format!("events.{source}.1")).await;
    let mut headers = HeaderMap::new();
    for (name, values) in message.headers.iter() {
        if !name.to_string().starts_with("Nats-") {
            headers.insert(name.clone(), values[0].clone());
        }
    }
    headers.insert("ce-time", format!("{time:.6}"));
    let jetstream = jetstream(nats).await;
    let published = jetstream.publish_with_headers(message.subject, headers, message.payload);
    published.await.unwrap().await.unwrap();
}
