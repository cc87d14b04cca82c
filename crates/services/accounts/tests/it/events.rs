//! What the rest of the system receives.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use source_tests::{header, version};
use test_support::event_type;
use tokio::time::timeout;

use crate::app::TestApp;

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

    let received = app.changes(3).await;
    let kinds: Vec<_> = received
        .iter()
        .map(|change| change.attribute("ce-type"))
        .collect();
    let expected = ["account.created", "account.updated", "account.deleted"].map(event_type);
    assert_eq!(kinds, expected);

    let changed = &received[1];
    assert_eq!(changed.subject, "events.accounts.1");
    let expected = json!({ "account_id": 1, "life": life, "form": accounts::FORM, "fragment": current });
    assert_eq!(changed.data, expected);
    let nonce = changed.attribute("ce-nonce");
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
        assert_eq!(changed.attribute(name), value, "{name}");
    }
    assert_eq!(received[2].data, json!({ "account_id": 1, "life": life }));
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
        let received = app.changes(place + 1).await;
        let created = &received[place];
        let told = created.attribute("traceparent");
        assert_eq!(
            (&told[..36], &told[52..]),
            (&traceparent[..36], &traceparent[52..])
        );
        assert_eq!(created.attribute("tracestate"), "vendor=opaque,other=2");
    }
}

#[tokio::test]
async fn what_an_event_carries_is_byte_for_byte_what_a_reader_is_answered() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let change = json!({ "name": "\"B\" & \u{fc}\u{1f600}", "description": "1\\2" });
    assert_eq!(app.patch(id, &change).await.status(), 200);
    let answered = app.get("/accounts/1").await.text().await.unwrap();
    let received = app.changes(2).await;
    let data: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&received[1].payload).unwrap();
    assert_eq!(data["fragment"].get(), answered);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_announced() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    app.patch(id, &json!({ "name": "a" })).await;
    app.patch(id, &json!({ "name": "b" })).await;
    let received = app.changes(2).await;
    assert_eq!(received[1].attribute("ce-revision"), "2");
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
    let received = app.changes(2).await;
    assert_eq!(received[1].data["fragment"]["name"], "c");
}

#[tokio::test]
async fn without_a_broker_mutations_are_answered_and_they_are_published_when_it_is_back() {
    let mut app = TestApp::spawn().await;
    app.account("before").await;
    app.changes(1).await;
    app.nats.kill();
    let answered = timeout(Duration::from_secs(2), app.patch(1, &json!({ "name": "during" }))).await;
    assert_eq!(answered.expect("at once").status(), 200);
    app.nats.restart();
    let received = app.changes(2).await;
    assert_eq!(received[1].data["fragment"]["name"], "during");
}
