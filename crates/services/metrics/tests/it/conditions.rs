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
    let received = changes(&app, 4).await;
    let revisions: Vec<_> = received
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

async fn send_if(app: &TestApp, method: Method, path: &str, conditions: &[(&str, &str)]) -> Response {
    let request = conditions
        .iter()
        .fold(app.request(method.clone(), path), |request, (name, tag)| {
            request.header(*name, *tag)
        });
    let request = match method {
        Method::POST => request.json(&json!({ "samples": [sample(1, 1, 1)] })),
        _ => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn samples_that_if_none_match_names_are_not_added_to() {
    const SAMPLES: &str = "/accounts/7/samples";
    let app = TestApp::spawn().await;
    let first = app.post(7, &json!({ "samples": [sample(1, 9, 1)] })).await;
    let current = header(&first, "etag");
    for named in ["*", current, &format!("W/{current}")] {
        let refused = send_if(&app, Method::POST, SAMPLES, &[("if-none-match", named)]).await;
        assert_eq!(refused.status(), 412, "{named}");
        assert_eq!(header(&refused, "etag"), current);
    }
    let malformed = send_if(&app, Method::POST, SAMPLES, &[("if-none-match", "x")]).await;
    assert_eq!(malformed.status(), 400);
    assert_eq!(revision(&app).await, 1, "nothing was written");
    let other = send_if(&app, Method::POST, SAMPLES, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status(), 201);
}

#[tokio::test]
async fn if_match_holds_for_readers_and_is_evaluated_first() {
    const WEEK: &str = "/accounts/7/metrics?window=7d";
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 9, 1)]).await;
    let current = &*header(&app.get(WEEK).await, "etag").to_owned();
    for method in [Method::GET, Method::HEAD] {
        let read = async |conditions: &[(&str, &str)]| {
            let response = send_if(&app, method.clone(), WEEK, conditions).await;
            assert_eq!(header(&response, "etag"), current);
            response.status().as_u16()
        };
        assert_eq!(read(&[("if-match", "\"x\"")]).await, 412);
        assert_eq!(read(&[("if-match", &format!("W/{current}"))]).await, 412);
        assert_eq!(read(&[("if-match", current)]).await, 200);
        assert_eq!(read(&[("if-match", "*")]).await, 200);
        let both = |tag| [("if-none-match", current), ("if-match", tag)];
        assert_eq!(read(&both("\"x\"")).await, 412);
        assert_eq!(read(&both(current)).await, 304);
    }
}

/// A cache that took the window's end for a promise would show what was before a new sample.
#[tokio::test]
async fn every_answer_says_to_caches_that_it_is_to_be_asked_about() {
    const DAY: &str = "/accounts/7/metrics";
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 9, 1)]).await;
    let current = header(&app.get("/accounts/7/metrics?window=7d").await, "etag").to_owned();
    for (path, condition, status) in [
        (DAY, None, 200),
        (DAY, Some(("if-match", "\"x\"")), 412),
        (
            "/accounts/7/metrics?window=7d",
            Some(("if-none-match", &*current)),
            304,
        ),
        ("/accounts/8/metrics", None, 200),
        ("/nothing", None, 404),
    ] {
        let answer = send_if(&app, Method::GET, path, condition.as_slice()).await;
        assert_eq!(answer.status(), status, "{path} {condition:?}");
        assert_eq!(header(&answer, "cache-control"), "private, no-cache", "{path}");
    }
}
