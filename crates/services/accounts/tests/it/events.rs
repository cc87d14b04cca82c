//! What the rest of the system receives.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Message;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use test_support::event_type;
use tokio::time::timeout;

use crate::app::{TestApp, header, version};

/// Receives the next `count` changes from the stream itself, watermarks left out.
async fn messages(app: &TestApp, count: usize) -> Vec<Message> {
    use async_nats::jetstream::{self, consumer::push};
    let client = async_nats::connect(app.nats.url()).await.unwrap();
    let deliver_subject = client.new_inbox();
    let stream = test_support::eventually(Duration::from_secs(10), async || {
        jetstream::new(client.clone()).get_stream("EVENTS").await
    })
    .await;
    let consumer = stream
        .create_consumer(push::OrderedConfig {
            deliver_subject,
            ..Default::default()
        })
        .await
        .unwrap();
    let received = consumer.messages().await.unwrap().map(Result::unwrap);
    let received = received.filter(|message| std::future::ready(!message.subject.ends_with(".watermark")));
    timeout(Duration::from_secs(20), received.take(count).collect())
        .await
        .expect("the changes are published")
}

/// The same, read.
async fn changes(app: &TestApp, count: usize) -> Vec<(String, HeaderMap, Value)> {
    let read = |message: &Message| {
        let data = serde_json::from_slice(&message.payload).unwrap();
        (
            message.subject.to_string(),
            message.headers.clone().unwrap(),
            data,
        )
    };
    messages(app, count).await.iter().map(read).collect()
}

fn attribute<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {headers:?}"))
        .as_str()
}

#[tokio::test]
async fn each_change_is_published_with_the_account_as_it_then_is() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    app.patch(id, &json!({ "name": "b" })).await;
    let current: Value = app.get("/accounts/1").await.json().await.unwrap();
    let deleted = app.delete(id).await;
    let (incarnation, revision, _) = version(header(&deleted, "etag"));
    assert_eq!(revision, 3);
    let life = current["life"].clone();

    let received = changes(&app, 3).await;
    let kinds: Vec<_> = received
        .iter()
        .map(|(_, headers, _)| attribute(headers, "ce-type"))
        .collect();
    let expected = ["account.created", "account.updated", "account.deleted"].map(event_type);
    assert_eq!(kinds, expected);

    let (subject, headers, data) = &received[1];
    assert_eq!(subject, "events.accounts.1");
    let expected = json!({ "account_id": 1, "life": life, "form": 1, "fragment": current });
    assert_eq!(data, &expected);
    let nonce = attribute(headers, "ce-nonce");
    let id = format!("accounts:{incarnation}:2:{nonce}");
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-source", "accounts"),
        ("ce-subject", "1"),
        ("ce-sequence", "00000000000000000002"),
        ("ce-revision", "2"),
        ("ce-incarnation", &incarnation),
        ("ce-id", &id),
        ("Nats-Msg-Id", &id),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        assert_eq!(attribute(headers, name), value, "{name}");
    }
    assert_eq!(received[2].2, json!({ "account_id": 1, "life": life }));
}

/// Whether or not this process records it: in a test it records nothing.
#[tokio::test]
async fn an_event_says_what_the_writer_said_of_its_trace() {
    let app = TestApp::spawn().await;
    for (place, flags) in ["00", "01"].into_iter().enumerate() {
        let traceparent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let created = app
            .request(reqwest::Method::POST, "/accounts")
            .header("traceparent", &traceparent)
            .header("tracestate", "vendor=opaque")
            .header("tracestate", "other=2")
            .json(&json!({ "name": "a" }));
        assert_eq!(created.send().await.unwrap().status(), 201);
        let received = changes(&app, place + 1).await;
        let headers = &received[place].1;
        let told = attribute(headers, "traceparent");
        assert_eq!(
            (&told[..36], &told[52..]),
            (&traceparent[..36], &traceparent[52..])
        );
        assert_eq!(attribute(headers, "tracestate"), "vendor=opaque,other=2");
    }
}

#[tokio::test]
async fn what_an_event_carries_is_byte_for_byte_what_a_reader_is_answered() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let change = json!({ "name": "\"B\" & \u{fc}\u{1f600}", "description": "1\\2" });
    assert_eq!(app.patch(id, &change).await.status(), 200);
    let answered = app.get("/accounts/1").await.text().await.unwrap();
    let received = messages(&app, 2).await;
    let data: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&received[1].payload).unwrap();
    assert_eq!(data["fragment"].get(), answered);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_announced() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    app.patch(id, &json!({ "name": "a" })).await;
    app.patch(id, &json!({ "name": "b" })).await;
    let received = changes(&app, 2).await;
    assert_eq!(attribute(&received[1].1, "ce-revision"), "2");
}

#[tokio::test]
async fn a_change_meant_for_another_version_is_not_announced() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let refused = app
        .request(reqwest::Method::PATCH, "/accounts/1")
        .header("if-match", "\"nope-1\"")
        .json(&json!({ "name": "b" }));
    assert_eq!(refused.send().await.unwrap().status(), 412);
    app.patch(id, &json!({ "name": "c" })).await;
    let received = changes(&app, 2).await;
    assert_eq!(received[1].2["fragment"]["name"], "c");
}

#[tokio::test]
async fn without_a_broker_mutations_are_answered_and_they_are_published_when_it_is_back() {
    let mut app = TestApp::spawn().await;
    app.account("before").await;
    changes(&app, 1).await;
    app.nats.kill();
    let answered = timeout(Duration::from_secs(2), app.patch(1, &json!({ "name": "during" }))).await;
    assert_eq!(answered.expect("at once").status(), 200);
    app.nats.restart();
    let received = changes(&app, 2).await;
    assert_eq!(received[1].2["fragment"]["name"], "during");
}

#[tokio::test]
async fn a_clock_that_is_set_back_on_purpose_dates_what_is_announced() {
    let app = TestApp::spawn().await;
    let app = app.respawn(&["--inject-clock-offset-ms", "-3600000"]).await;
    let before = Timestamp::now();
    app.account("a").await;
    let received = changes(&app, 1).await;
    let time: Timestamp = attribute(&received[0].1, "ce-time").parse().unwrap();
    assert!(time < before - SignedDuration::from_mins(59), "{time}");
}
