//! What a writer relies on.

use futures::future::join_all;
use serde_json::{Value, json};
use source_tests::{header, version};

use crate::app::TestApp;

#[tokio::test]
async fn a_change_bumps_the_revision_and_says_so_in_its_token() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let changed = app.patch(id, &json!({ "description": "new" })).await;
    assert_eq!(changed.status(), 200);
    let etag = header(&changed, "etag").to_owned();
    let (incarnation, revision, nonce) = version(&etag);
    assert_eq!(revision, 2);
    let token = format!("accounts/{id}/{incarnation}=2-{nonce}");
    assert!(header(&changed, "consistency-token").starts_with(&token));
    let body: Value = changed.json().await.unwrap();
    assert_eq!(
        (&body["name"], &body["description"]),
        (&json!("a"), &json!("new"))
    );
}

#[tokio::test]
async fn a_change_to_the_same_bumps_nothing() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let before = header(&app.get("/accounts/1").await, "etag").to_owned();
    let same = app.patch(id, &json!({ "name": "a" })).await;
    assert_eq!(
        (same.status().as_u16(), header(&same, "etag")),
        (200, before.as_str())
    );
    let empty = app.patch(id, &json!({})).await;
    assert_eq!(header(&empty, "etag"), before);
}

#[tokio::test]
async fn concurrent_changes_each_get_a_revision_of_their_own() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let changes = (0..50).map(|n| {
        let body = json!({ "name": format!("name {n}") });
        let app = &app;
        async move { version(header(&app.patch(id, &body).await, "etag")).1 }
    });
    let mut revisions = join_all(changes).await;
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=51).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_id_is_never_given_out_again() {
    let app = TestApp::spawn().await;
    let first = app.account("a").await;
    assert_eq!(app.delete(first).await.status(), 204);
    assert_eq!(
        app.delete(first).await.status(),
        404,
        "deleting twice is told apart"
    );
    assert_eq!(app.patch(first, &json!({ "name": "b" })).await.status(), 404);
    assert_ne!(app.account("c").await, first);
}
