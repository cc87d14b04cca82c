//! What a writer relies on.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use source_tests::{header, version};

use crate::app::{TestApp, sample, sample_at};

#[tokio::test]
async fn a_batch_is_one_revision_and_says_so_in_its_token() {
    let app = TestApp::spawn().await;
    app.record(8, &[sample(1, 1, 1)]).await;
    app.record(7, &[sample(1, 2, 10)]).await;
    let batch = json!({ "samples": [sample(1, 1, 20), sample(2, 1, 30)] });
    let response = app.post(7, &batch).await;
    assert_eq!(response.status(), 201);
    let etag = header(&response, "etag").to_owned();
    let (incarnation, revision, nonce) = version(&etag);
    assert_eq!(revision, 2);
    let token = format!("metrics/7/{incarnation}=2-{nonce}");
    assert!(header(&response, "consistency-token").starts_with(&token));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body, json!({ "account_id": 7, "revision": 2, "recorded": 2 }));
    let read = app.get("/accounts/7/metrics").await;
    assert_eq!(version(header(&read, "etag")), (incarnation, 2, nonce));
    assert_eq!((app.count(7).await, app.count(8).await), (3, 1));
}

#[tokio::test]
async fn a_batch_sent_again_bumps_nothing_and_distorts_nothing() {
    let app = TestApp::spawn().await;
    let batch = [sample(1, 2, 10), sample(1, 1, 20)];
    app.record(7, &batch).await;
    let before = app.metrics(7, "24h").await;
    let again = app.record(7, &batch).await;
    assert_eq!(again, json!({ "account_id": 7, "revision": 1, "recorded": 0 }));
    assert_eq!(app.metrics(7, "24h").await["endpoints"], before["endpoints"]);
    let mostly_known = [batch[0].clone(), batch[1].clone(), sample(1, 0, 30)];
    assert_eq!(app.record(7, &mostly_known).await["recorded"], 1);
    assert_eq!(app.count(7).await, 3);
}

#[tokio::test]
async fn of_two_samples_of_one_moment_the_last_one_counts() {
    let app = TestApp::spawn().await;
    let at = Timestamp::now() - SignedDuration::from_mins(5);
    app.record(7, &[sample_at(1, at, "up", 10)]).await;
    for (state, response_ms, revision) in [("up", 20, 2), ("down", 20, 3), ("up", 20, 4)] {
        let corrected = app.record(7, &[sample_at(1, at, state, response_ms)]).await;
        assert_eq!(
            (&corrected["recorded"], &corrected["revision"]),
            (&json!(1), &json!(revision))
        );
        let last = &app.metrics(7, "24h").await["endpoints"][0]["last"];
        assert_eq!(
            (&last["state"], &last["response_ms"]),
            (&json!(state), &json!(response_ms))
        );
    }
    let in_one = [sample_at(1, at, "down", 0), sample_at(1, at, "up", 20)];
    assert_eq!(
        app.record(7, &in_one).await["recorded"],
        0,
        "the last is what is known"
    );
    assert_eq!(app.count(7).await, 1);
}

#[tokio::test]
async fn a_sample_without_a_time_is_of_now() {
    let app = TestApp::spawn().await;
    let before = Timestamp::now().as_millisecond();
    let bare = json!({ "endpoint_id": 1, "state": "up", "status_code": 204, "response_ms": 9 });
    app.record(7, &[bare]).await;
    let after = Timestamp::now().as_millisecond();
    let last = &app.metrics(7, "7d").await["endpoints"][0]["last"];
    let at: Timestamp = last["at"].as_str().unwrap().parse().unwrap();
    assert!((before..=after).contains(&at.as_millisecond()), "{at}");
    assert_eq!(last["status_code"], 204);
}

#[tokio::test]
async fn samples_older_than_every_window_are_kept_and_bump() {
    let app = TestApp::spawn().await;
    let old = sample(1, 9 * 24 * 60, 1);
    let recorded = app.record(7, std::slice::from_ref(&old)).await;
    assert_eq!(recorded, json!({ "account_id": 7, "revision": 1, "recorded": 1 }));
    assert_eq!(app.count(7).await, 0, "no window reaches back so far");
    assert_eq!(app.record(7, &[old]).await["recorded"], 0, "but it is known");
}

#[tokio::test]
async fn concurrent_batches_each_get_a_revision_of_their_own() {
    let app = TestApp::spawn().await;
    let batches = (1..=50).map(|endpoint| {
        let app = &app;
        async move {
            app.record(7, &[sample(endpoint, 1, 1)]).await["revision"]
                .as_u64()
                .unwrap()
        }
    });
    let mut revisions = join_all(batches).await;
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=50).collect::<Vec<_>>());
    assert_eq!(app.count(7).await, 50);
}

#[tokio::test]
async fn an_account_has_at_most_500_endpoints_and_a_batch_beyond_them_is_not_recorded_at_all() {
    let app = TestApp::spawn().await;
    let all: Vec<_> = (1..=500).map(|endpoint| sample(endpoint, 1, 1)).collect();
    assert_eq!(app.record(7, &all).await["recorded"], 500);
    let beyond = app
        .post(7, &json!({ "samples": [sample(1, 2, 1), sample(501, 1, 1)] }))
        .await;
    assert_eq!(beyond.status(), 409);
    let problem: Value = beyond.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/too-many-endpoints");
    let answer = app.metrics(7, "24h").await;
    assert_eq!((&answer["revision"], app.count(7).await), (&json!(1), 500));
    assert_eq!(
        app.record(7, &[sample(500, 2, 1)]).await["recorded"],
        1,
        "known ones go on"
    );
    assert_eq!(
        app.record(8, &[sample(501, 1, 1)]).await["recorded"],
        1,
        "as do others"
    );
}
