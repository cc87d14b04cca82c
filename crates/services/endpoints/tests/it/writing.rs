//! What a writer relies on.

use futures::future::join_all;
use serde_json::{Value, json};
use source_tests::{header, revision, version};

use crate::app::{TestApp, an_endpoint, path_of};

#[tokio::test]
async fn every_mutation_bumps_the_accounts_revision_by_one_and_says_so_in_its_token() {
    let app = TestApp::spawn().await;
    let added = app.post(1, &an_endpoint("a")).await;
    assert_eq!(added.status(), 201);
    let (incarnation, ..) = version(header(&added, "etag"));
    let changed = app.patch(1, 1, &json!({ "url": "http://example.com/x" })).await;
    assert_eq!(changed.status(), 200);
    let read = app.list(1).await;
    let removed = app.delete(1, 1).await;
    assert_eq!(removed.status(), 204);
    for (response, revision) in [(&added, 1), (&changed, 2), (&removed, 3)] {
        let (same, counted, nonce) = version(header(response, "etag"));
        assert_eq!((&same, counted), (&incarnation, revision));
        let token = format!("endpoints/1/{incarnation}={revision}-{nonce}");
        assert!(header(response, "consistency-token").starts_with(&token));
    }
    let before: Value = added.json().await.unwrap();
    let body: Value = changed.json().await.unwrap();
    assert_eq!(body["created_at"], before["created_at"]);
    assert_eq!(read["endpoints"], json!([body]), "read as it was answered");
    assert_eq!(
        (&body["name"], &body["url"]),
        (&json!("a"), &json!("http://example.com/x"))
    );
}

#[tokio::test]
async fn a_change_to_the_same_bumps_nothing() {
    let app = TestApp::spawn().await;
    let added = app.post(1, &an_endpoint("a")).await;
    let before = header(&added, "etag").to_owned();
    for same in [
        json!({ "name": "a" }),
        json!({ "url": "https://EXAMPLE.org:443" }),
        json!({}),
    ] {
        let response = app.patch(1, 1, &same).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "etag")),
            (200, before.as_str()),
            "{same}"
        );
    }
}

#[tokio::test]
async fn concurrent_additions_get_contiguous_revisions_and_stop_at_the_limit() {
    let app = TestApp::spawn().await;
    // Straight into the tables: one by one over HTTP is most of ten seconds.
    app.database()
        .execute_batch(
            "INSERT INTO accounts (id, revision) VALUES (1, 450);
             INSERT INTO endpoints (account_id, name, url, created_at, updated_at)
             SELECT 1, 'e', 'https://example.org/', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'
             FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450) SELECT i FROM n)",
        )
        .unwrap();
    let additions = (0..60).map(|n| {
        let body = an_endpoint(&format!("endpoint {n}"));
        let app = &app;
        async move { app.post(1, &body).await }
    });
    let (added, refused): (Vec<_>, Vec<_>) = join_all(additions)
        .await
        .into_iter()
        .partition(|response| response.status() == 201);
    let mut revisions: Vec<_> = added.iter().map(revision).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (451..=500).collect::<Vec<_>>());
    for response in refused {
        assert_eq!(response.status(), 409);
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/too-many-endpoints");
    }
    let list = app.list(1).await;
    assert_eq!(
        (list["endpoints"].as_array().unwrap().len(), &list["revision"]),
        (500, &json!(500))
    );
    assert_eq!(app.delete(1, 1).await.status(), 204);
    app.endpoint(1, "in the place of the removed one").await;
    app.endpoint(2, "another account has its own limit").await;
}

#[tokio::test]
async fn an_id_is_never_given_out_again() {
    let app = TestApp::spawn().await;
    let first = app.endpoint(1, "a").await;
    app.delete(1, first).await;
    assert_ne!(app.endpoint(1, "b").await, first);
}

#[tokio::test]
async fn an_endpoint_is_changed_and_removed_under_its_own_account_alone() {
    let app = TestApp::spawn().await;
    let id = app.endpoint(1, "a").await;
    app.endpoint(2, "b").await;
    assert_eq!(app.patch(2, id, &json!({ "name": "c" })).await.status(), 404);
    assert_eq!(app.delete(2, id).await.status(), 404);
    let untouched: Value = app.get(&path_of(1, id)).await.json().await.unwrap();
    assert_eq!(untouched["name"], "a");
    assert_eq!(app.list(2).await["revision"], 1);
}
