//! What is announced is received, whatever the broker does meanwhile.

use group_commit::{Connection, params};
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use test_support::NatsServer;
use tokio::time::timeout;

use crate::stack::{Consumer, Source, jetstream, make_stream_of_small_messages};

#[tokio::test]
async fn what_is_announced_is_received_in_order_and_then_forgotten() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    for revision in 1..=600 {
        source.announce(revision).await;
    }
    for revision in 1..=600 {
        let (event, repeat) = consumer.change().await;
        assert_eq!(
            (event.revision, event.sequence, repeat),
            (revision, revision, false)
        );
    }
    source.until_published().await;
}

#[tokio::test]
async fn mutations_during_an_outage_are_answered_and_applied_after_it() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    assert_eq!(consumer.change().await.0.revision, 1);
    nats.kill();
    timeout(Duration::from_secs(2), source.announce(2))
        .await
        .expect("answered at once");
    source.announce(3).await;
    assert!(source.pending().await >= 2);
    nats.restart();
    assert_eq!(consumer.change().await.0.revision, 2);
    assert_eq!(consumer.change().await.0.revision, 3);
}

#[tokio::test]
async fn a_fragment_is_carried_when_small_and_left_out_when_large() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source
        .announce_carrying(1, serde_json::json!({ "name": "small" }))
        .await;
    source
        .announce_carrying(2, serde_json::json!({ "name": "x".repeat(70_000) }))
        .await;
    let body = |event: event_bus::Event| serde_json::from_slice::<serde_json::Value>(&event.data).unwrap();
    let small = body(consumer.change().await.0);
    assert_eq!(
        small,
        serde_json::json!({ "thing": 7, "fragment": { "name": "small" } })
    );
    assert_eq!(body(consumer.change().await.0), serde_json::json!({ "thing": 7 }));
}

#[tokio::test]
async fn a_fragment_arrives_byte_for_byte() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let fragment = r#"{"z": 1.50, "a": "\u00fc"}"#;
    source
        .announce_text(1, RawValue::from_string(fragment.to_owned()).unwrap())
        .await;
    let data = consumer.change().await.0.data;
    let data: BTreeMap<String, &RawValue> = serde_json::from_slice(&data).unwrap();
    assert_eq!((data["thing"].get(), data["fragment"].get()), ("7", fragment));
}

#[tokio::test]
async fn a_row_that_the_stream_refuses_goes_out_without_its_fragment_and_blocks_nothing() {
    let nats = NatsServer::start();
    make_stream_of_small_messages(&nats).await;
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source
        .announce_carrying(1, serde_json::json!({ "name": "x".repeat(3000) }))
        .await;
    source.until_published().await; // else both would be on their way at once, and the second be received first
    source.announce(2).await;
    let (first, second) = (consumer.change().await.0, consumer.change().await.0);
    assert_eq!((first.revision, &first.data[..]), (1, &br#"{"thing":7}"#[..]));
    assert_eq!(second.revision, 2);
}

#[tokio::test]
async fn what_was_published_but_not_forgotten_is_not_applied_twice() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.publish(7, 1).await;
    assert_eq!(consumer.change().await.0.revision, 1);
    // A process that is killed between the acknowledgement and the deletion finds the row again, and publishes it again.
    let not_forgotten = |c: &Connection<'_>| {
        let row = "INSERT INTO outbox (sequence, kind, entity, revision, nonce, time, data)
             SELECT 1, 'test.changed.v1', '7', 1, nonce, '2026-01-01T00:00:00Z', '{}' FROM outbox_state";
        c.execute(row, params![]).map(drop)
    };
    let folder = source.stop_after(not_forgotten).await;
    let source = Source::start_in(folder, &nats).await;
    source.publish(7, 2).await;
    let (event, repeat) = consumer.change().await;
    assert_eq!((event.revision, repeat), (2, false));
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_made_anew_by_whoever_publishes() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    source.publish(7, 1).await;
    let jetstream = jetstream(&nats).await;
    jetstream.delete_stream("EVENTS").await.unwrap();
    timeout(Duration::from_secs(5), source.publish(7, 2))
        .await
        .expect("published, though nobody listens who would make the stream");
    jetstream.get_stream("EVENTS").await.unwrap();
}
