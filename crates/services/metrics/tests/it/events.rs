//! What the rest of the system receives.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::json;
use source_tests::{header, version};
use test_support::event_type;
use tokio::time::timeout;

use crate::app::{TestApp, sample};

#[tokio::test]
async fn a_batch_is_announced_by_one_event_that_carries_no_summary() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 3, 1)]).await;
    let batch = json!({ "samples": [sample(1, 2, 1), sample(2, 2, 1)] });
    let recorded = app.post(7, &batch).await;
    let (incarnation, revision, _) = version(header(&recorded, "etag"));
    assert_eq!(revision, 2);
    // Neither a repeated batch nor one that was refused is announced.
    app.post(7, &batch).await;
    app.post(7, &json!({ "samples": [{}] })).await;
    app.record(8, &[sample(1, 1, 1)]).await;

    let received = app.changes(3).await;
    let subjects: Vec<_> = received.iter().map(|change| change.subject.as_str()).collect();
    assert_eq!(
        subjects,
        ["events.metrics.7", "events.metrics.7", "events.metrics.8"]
    );
    let second = &received[1];
    assert_eq!(second.data, json!({ "account_id": 7, "samples": 2 }));
    let message_id = format!("metrics:{incarnation}:2:{}", second.attribute("ce-nonce"));
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-type", &event_type("samples.recorded")),
        ("ce-source", "metrics"),
        ("ce-subject", "7"),
        ("ce-sequence", "00000000000000000002"),
        ("ce-revision", "2"),
        ("ce-incarnation", &incarnation),
        ("ce-id", &message_id),
        ("Nats-Msg-Id", &message_id),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        assert_eq!(second.attribute(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_watermark_follows_what_was_recorded_and_counts_it() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 1, 1)]).await;
    let acknowledged = Timestamp::now();
    let mut received = std::pin::pin!(app.messages().await);
    let mut change_received = false;
    loop {
        let next = timeout(Duration::from_secs(20), received.next()).await;
        let message = next.expect("a message comes").unwrap();
        if message.subject == "events.metrics.7" {
            change_received = true;
            continue;
        }
        assert_eq!(message.subject, "events.metrics.watermark");
        if message.attribute("ce-type") == event_type("metrics.claim") {
            continue;
        }
        assert_eq!(message.attribute("ce-type"), event_type("metrics.watermark"));
        let until: Timestamp = message.data["complete_until"].as_str().unwrap().parse().unwrap();
        if until > acknowledged {
            assert!(change_received);
            assert_eq!(message.data["sequence"], 1);
            return;
        }
    }
}

#[tokio::test]
async fn without_a_broker_batches_are_answered_and_they_are_published_when_it_is_back() {
    let mut app = TestApp::spawn().await;
    app.record(7, &[sample(1, 3, 1)]).await;
    app.changes(1).await;
    app.nats.kill();
    let batch = json!({ "samples": [sample(1, 2, 1)] });
    let answered = timeout(Duration::from_secs(2), app.post(7, &batch)).await;
    assert_eq!(answered.expect("at once").status(), 201);
    let read = timeout(Duration::from_secs(2), app.metrics(7, "24h")).await;
    assert_eq!(read.expect("at once")["endpoints"][0]["samples"], 2);
    app.nats.restart();
    let received = app.changes(2).await;
    assert_eq!(received[1].attribute("ce-revision"), "2");
}
