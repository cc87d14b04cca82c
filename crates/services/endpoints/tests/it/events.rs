//! What the rest of the system receives.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use serde_json::value::RawValue;
use source_tests::{header, version};
use test_support::event_type;
use tokio::time::timeout;

use crate::app::{TestApp, an_endpoint};

#[tokio::test]
async fn each_change_is_published_with_the_list_as_it_then_is() {
    let app = TestApp::spawn().await;
    let id = app.endpoint(7, "a").await;
    app.patch(7, id, &json!({ "name": "b" })).await;
    let current = app.list(7).await;
    let removed = app.delete(7, id).await;
    let (incarnation, revision, _) = version(header(&removed, "etag"));
    assert_eq!(revision, 3);

    let received = app.changes(3).await;
    let kinds: Vec<_> = received
        .iter()
        .map(|change| change.attribute("ce-type"))
        .collect();
    let expected = ["endpoint.added", "endpoint.changed", "endpoint.removed"].map(event_type);
    assert_eq!(kinds, expected);

    let changed = &received[1];
    assert_eq!(changed.subject, "events.endpoints.7");
    assert_eq!(
        changed.data,
        json!({ "account_id": 7, "endpoint_id": id, "form": endpoints::FORM, "fragment": current })
    );
    let message_id = format!("endpoints:{incarnation}:2:{}", changed.attribute("ce-nonce"));
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-source", "endpoints"),
        ("ce-subject", "7"),
        ("ce-sequence", "00000000000000000002"),
        ("ce-revision", "2"),
        ("ce-incarnation", &incarnation),
        ("ce-id", &message_id),
        ("Nats-Msg-Id", &message_id),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        assert_eq!(changed.attribute(name), value, "{name}");
    }
    let empty = json!({ "account_id": 7, "revision": 3, "endpoints": [] });
    assert_eq!(
        received[2].data,
        json!({ "account_id": 7, "endpoint_id": id, "form": endpoints::FORM, "fragment": empty })
    );
}

#[tokio::test]
async fn what_an_event_carries_is_byte_for_byte_what_a_reader_is_answered() {
    let app = TestApp::spawn().await;
    app.endpoint(7, "\"A\" & \u{fc}\u{1f600}").await;
    app.endpoint(7, "b").await;
    let answered = app.get("/accounts/7/endpoints").await.text().await.unwrap();
    let received = app.changes(2).await;
    let data: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&received[1].payload).unwrap();
    assert_eq!(data["fragment"].get(), answered);
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_announced() {
    let app = TestApp::spawn().await;
    let id = app.endpoint(1, "a").await;
    app.patch(1, id, &json!({ "name": "a" })).await;
    app.patch(1, id, &json!({ "url": "HTTPS://EXAMPLE.ORG" })).await;
    app.patch(1, id, &json!({ "name": "b" })).await;
    let received = app.changes(2).await;
    assert_eq!(received[1].attribute("ce-revision"), "2");
    assert_eq!(received[1].attribute("ce-sequence"), "00000000000000000002");
}

#[tokio::test]
async fn a_list_that_is_large_is_announced_by_its_revision_alone() {
    let app = TestApp::spawn().await;
    let url = format!("https://example.org/{}", "x".repeat(2000));
    let adding = (0..40).map(|n| {
        let body = json!({ "name": format!("endpoint {n}"), "url": url.as_str() });
        let app = &app;
        async move { assert_eq!(app.post(1, &body).await.status(), 201) }
    });
    join_all(adding).await;
    let received = app.changes(40).await;
    let first = received[0].data["fragment"]["endpoints"].as_array().unwrap();
    assert_eq!(first.len(), 1);
    let last = received[39].data.as_object().unwrap();
    assert_eq!(
        last.keys().collect::<Vec<_>>(),
        ["account_id", "endpoint_id", "form"]
    );
    assert_eq!(received[39].attribute("ce-revision"), "40");
}

#[tokio::test]
async fn without_a_broker_mutations_are_answered_and_they_are_published_when_it_is_back() {
    let mut app = TestApp::spawn().await;
    let id = app.endpoint(1, "before").await;
    app.changes(1).await;
    app.nats.kill();
    let mutations = async {
        assert_eq!(app.patch(1, id, &json!({ "name": "during" })).await.status(), 200);
        assert_eq!(app.post(1, &an_endpoint("added")).await.status(), 201);
        assert_eq!(app.delete(1, id).await.status(), 204);
    };
    timeout(Duration::from_secs(2), mutations).await.expect("at once");
    app.nats.restart();
    let received = app.changes(4).await;
    let revisions: Vec<_> = received
        .iter()
        .map(|change| change.attribute("ce-revision"))
        .collect();
    assert_eq!(revisions, ["1", "2", "3", "4"]);
    assert_eq!(received[1].data["fragment"]["endpoints"][0]["name"], "during");
    assert_eq!(received[3].data["fragment"], app.list(1).await);
}
