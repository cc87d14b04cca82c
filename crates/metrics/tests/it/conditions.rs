//! What a writer relies on who says which version of the samples a batch is meant for.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::app::{TestApp, header, sample};
use crate::events::{attribute, changes};

async fn post_if_match(app: &TestApp, tag: &str, sample: &Value) -> Response {
    app.request(Method::POST, "/accounts/7/samples")
        .header("if-match", tag)
        .json(&json!({ "samples": [sample] }))
        .send()
        .await
        .unwrap()
}

async fn revision(app: &TestApp) -> Value {
    app.metrics(7, "7d").await["revision"].clone()
}

#[tokio::test]
async fn a_batch_is_added_to_a_version_that_is_named_and_to_no_other() {
    let app = TestApp::spawn().await;
    let known = sample(1, 9, 1);
    let first = app.post(7, &json!({ "samples": [known] })).await;
    let first = header(&first, "etag").to_owned();
    let second = post_if_match(&app, &first, &sample(1, 8, 1)).await;
    assert_eq!(second.status(), 201);
    let current = header(&second, "etag").to_owned();
    let of_a_window = header(&app.get("/accounts/7/metrics").await, "etag").to_owned();
    for stale in [
        &first,
        "\"nope-1\"",
        "\"x\", \"y\"",
        &format!("W/{current}"),
        &of_a_window,
    ] {
        for batch in [&sample(1, 7, 1), &known] {
            let refused = post_if_match(&app, stale, batch).await;
            assert_eq!(
                (refused.status().as_u16(), header(&refused, "etag")),
                (412, &*current)
            );
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/version-mismatch");
            assert_eq!(
                problem["detail"],
                format!("the samples' ETag is {current}"),
                "{stale}"
            );
        }
    }
    assert_eq!(revision(&app).await, 2, "nothing was written");
    let listed = format!("\"x\", {current}");
    assert_eq!(post_if_match(&app, &listed, &sample(1, 7, 1)).await.status(), 201);
    assert_eq!(post_if_match(&app, "*", &sample(1, 6, 1)).await.status(), 201);
    let heard = changes(&app, 4).await;
    let revisions: Vec<_> = heard
        .iter()
        .map(|(_, headers, _)| attribute(headers, "ce-revision"))
        .collect();
    assert_eq!(
        revisions,
        ["1", "2", "3", "4"],
        "what was refused was not announced"
    );
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_refused_and_changes_nothing() {
    let app = TestApp::spawn().await;
    for malformed in ["1", "\"x", "*, \"x\""] {
        let refused = post_if_match(&app, malformed, &sample(1, 1, 1)).await;
        assert_eq!(refused.status(), 400, "{malformed}");
        assert_eq!(header(&refused, "content-type"), "application/problem+json");
    }
    assert_eq!(revision(&app).await, 0);
}

#[tokio::test]
async fn of_two_writers_who_name_the_same_version_exactly_one_wins() {
    let app = TestApp::spawn().await;
    let first = app.post(7, &json!({ "samples": [sample(1, 60, 1)] })).await;
    let mut current = header(&first, "etag").to_owned();
    for round in 1..=20 {
        let (one, other) = (sample(1, round, 1), sample(2, round, 1));
        let (one, other) = tokio::join!(
            post_if_match(&app, &current, &one),
            post_if_match(&app, &current, &other),
        );
        let (won, lost) = if one.status() == 201 {
            (one, other)
        } else {
            (other, one)
        };
        assert_eq!((won.status().as_u16(), lost.status().as_u16()), (201, 412));
        assert_eq!(header(&lost, "etag"), header(&won, "etag"));
        current = header(&won, "etag").to_owned();
        assert_eq!(revision(&app).await, 1 + round);
    }
}
