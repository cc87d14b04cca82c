//! What the rest of the system receives.

use std::time::Duration;

use async_nats::HeaderMap;
use futures::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::event_type;
use tokio::time::timeout;

use crate::app::{TestApp, header, sample, version};

/// One message: its subject, its headers, its body.
pub(crate) type Message = (String, HeaderMap, Value);

/// Receives what this service publishes, from the stream itself and from its beginning.
async fn messages(app: &TestApp) -> impl Stream<Item = Message> + use<> {
    use async_nats::jetstream::{self, consumer::push};
    let client = async_nats::connect(app.nats.url()).await.unwrap();
    let deliver_subject = client.new_inbox();
    let stream = test_support::eventually(Duration::from_secs(10), async || {
        jetstream::new(client.clone()).get_stream("EVENTS").await
    })
    .await;
    let config = push::OrderedConfig {
        deliver_subject,
        filter_subject: "events.metrics.*".to_owned(),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.unwrap();
    let received = consumer.messages().await.unwrap().map(Result::unwrap);
    received.map(|message| {
        let data = serde_json::from_slice(&message.payload).unwrap();
        (
            message.subject.to_string(),
            message.headers.clone().unwrap(),
            data,
        )
    })
}

/// The first `count` changes, watermarks left out.
pub(crate) async fn changes(app: &TestApp, count: usize) -> Vec<Message> {
    let received = messages(app).await;
    let received = received.filter(|(subject, ..)| std::future::ready(!subject.ends_with(".watermark")));
    timeout(Duration::from_secs(20), received.take(count).collect())
        .await
        .expect("the changes are published")
}

pub(crate) fn attribute<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {headers:?}"))
        .as_str()
}

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

    let received = changes(&app, 3).await;
    let subjects: Vec<_> = received.iter().map(|(subject, ..)| subject.as_str()).collect();
    assert_eq!(
        subjects,
        ["events.metrics.7", "events.metrics.7", "events.metrics.8"]
    );
    let (_, headers, data) = &received[1];
    assert_eq!(data, &json!({ "account_id": 7, "samples": 2 }));
    let message_id = format!("metrics:{incarnation}:2:{}", attribute(headers, "ce-nonce"));
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
        assert_eq!(attribute(headers, name), value, "{name}");
    }
}

#[tokio::test]
async fn a_watermark_follows_what_was_recorded_and_counts_it() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 1, 1)]).await;
    let acknowledged = Timestamp::now();
    let mut received = std::pin::pin!(messages(&app).await);
    let mut change_received = false;
    loop {
        let next = timeout(Duration::from_secs(20), received.next()).await;
        let (subject, headers, data) = next.expect("a message comes").unwrap();
        if subject == "events.metrics.7" {
            change_received = true;
            continue;
        }
        assert_eq!(subject, "events.metrics.watermark");
        if attribute(&headers, "ce-type") == event_type("metrics.claim") {
            continue;
        }
        assert_eq!(attribute(&headers, "ce-type"), event_type("metrics.watermark"));
        let until: Timestamp = data["complete_until"].as_str().unwrap().parse().unwrap();
        if until > acknowledged {
            assert!(change_received);
            assert_eq!(data["sequence"], 1);
            return;
        }
    }
}

#[tokio::test]
async fn without_a_broker_batches_are_answered_and_they_are_published_when_it_is_back() {
    let mut app = TestApp::spawn().await;
    app.record(7, &[sample(1, 3, 1)]).await;
    changes(&app, 1).await;
    app.nats.kill();
    let batch = json!({ "samples": [sample(1, 2, 1)] });
    let answered = timeout(Duration::from_secs(2), app.post(7, &batch)).await;
    assert_eq!(answered.expect("at once").status(), 201);
    let read = timeout(Duration::from_secs(2), app.metrics(7, "24h")).await;
    assert_eq!(read.expect("at once")["endpoints"][0]["samples"], 2);
    app.nats.restart();
    let received = changes(&app, 2).await;
    assert_eq!(attribute(&received[1].1, "ce-revision"), "2");
}

#[tokio::test]
async fn a_clock_that_is_set_back_on_purpose_dates_what_is_announced() {
    let app = TestApp::spawn().await;
    let app = app.respawn(&["--inject-clock-offset-ms", "-3600000"]).await;
    let before = Timestamp::now();
    app.record(7, &[sample(1, 1, 1)]).await;
    let received = changes(&app, 1).await;
    let time: Timestamp = attribute(&received[0].1, "ce-time").parse().unwrap();
    assert!(time < before - SignedDuration::from_mins(59), "{time}");
}
