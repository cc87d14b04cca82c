//! What becomes of endpoints when the accounts service deletes their account.

use serde_json::{Value, json};
use source_tests::{AccountData, Accounts, header};
use test_support::{NatsServer, event_type};

use crate::app::TestApp;

#[tokio::test]
async fn a_deleted_accounts_endpoints_are_deleted_and_that_is_announced() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.endpoint(1, "a").await;
    app.endpoint(1, "b").await;
    app.endpoint(2, "of another").await;
    let etag = header(&app.get("/accounts/1/endpoints").await, "etag").to_owned();
    accounts.announce("deleted", 1).await;

    let received = app.changes(4).await;
    let deleted = &received[3];
    assert_eq!(deleted.attribute("ce-type"), event_type("endpoints.deleted"));
    assert_eq!(
        (deleted.subject.as_str(), &deleted.data),
        ("events.endpoints.1", &json!({ "account_id": 1 }))
    );
    assert_eq!(deleted.attribute("ce-revision"), "3");
    let after = app.get_if_none_match("/accounts/1/endpoints", &etag).await;
    assert_eq!(after.status(), 200, "what was held is no longer so");
    assert_eq!(
        after.json::<Value>().await.unwrap(),
        json!({ "account_id": 1, "revision": 3, "endpoints": [] })
    );
    app.assert_refused(1).await;
    assert_eq!(
        app.list(2).await["endpoints"].as_array().unwrap().len(),
        1,
        "untouched"
    );
}

#[tokio::test]
async fn a_deletion_applied_again_changes_nothing() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.endpoint(1, "a").await;
    for account in [1, 1, 2] {
        accounts.announce("deleted", account).await;
    }
    accounts.applied_by(&app).await;
    assert_eq!(app.list(1).await["revision"], 2);
    app.assert_refused(2).await;
}

#[tokio::test]
async fn an_account_without_endpoints_is_remembered_as_deleted_and_nothing_is_announced() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    let id = app.endpoint(2, "soon removed").await;
    app.delete(2, id).await;
    accounts.announce("deleted", 1).await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    app.assert_refused(1).await;
    app.assert_refused(2).await;
    let empty = |account, revision| json!({ "account_id": account, "revision": revision, "endpoints": [] });
    assert_eq!(app.list(1).await, empty(1, 0));
    assert_eq!(app.list(2).await, empty(2, 2));
    app.endpoint(3, "next").await;
    let received = app.changes(3).await;
    assert_eq!(received[2].subject, "events.endpoints.3");
    assert_eq!(received[2].attribute("ce-sequence"), "00000000000000000003");
}

#[tokio::test]
async fn other_events_of_accounts_delete_nothing() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.endpoint(1, "a").await;
    accounts.announce("updated", 1).await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    app.assert_refused(2).await;
    assert_eq!(app.list(1).await["revision"], 1);
    app.endpoint(1, "b").await;
}

#[tokio::test]
async fn a_deletion_is_applied_by_a_service_that_was_not_there() {
    let nats = NatsServer::start();
    let accounts = Accounts::start_alone(&nats).await;
    accounts.announce("deleted", 1).await;
    accounts.published().await;
    let app = TestApp::spawn_on(nats).await;
    accounts.applied_by(&app).await;
    app.assert_refused(1).await;

    app.endpoint(2, "a").await;
    let app = app
        .respawn_while(&[], async || {
            accounts.announce("deleted", 2).await;
            accounts.published().await;
        })
        .await;
    accounts.applied_by(&app).await;
    app.assert_refused(2).await;
    assert_eq!(app.list(2).await["endpoints"], json!([]));
    app.assert_refused(1).await;
}
