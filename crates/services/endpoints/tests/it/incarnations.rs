//! What becomes of endpoints when the accounts service is reset, and its ids begin again.

use serde_json::json;

use crate::app::TestApp;
use crate::deletions::refused_as_deleted;
use crate::stream::changes;
use source_tests::Accounts;
use test_support::event_type;

async fn assert_endpoints(app: &TestApp, account: i64, revision: u64, count: usize) {
    let list = app.list(account).await;
    let found = list["endpoints"].as_array().unwrap().len();
    assert_eq!((&list["revision"], found), (&json!(revision), count), "{list}");
}

#[tokio::test]
async fn after_a_reset_the_id_of_a_deleted_account_is_a_new_ones() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    app.endpoint(1, "old").await;
    accounts.announce("deleted", 1).await;
    accounts.applied_by(&app).await;
    refused_as_deleted(&app, 1).await;

    let reset = Accounts::start(&app).await;
    reset.announce("created", 1).await;
    reset.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
    app.endpoint(1, "new").await;
    assert_endpoints(&app, 1, 3, 1).await;
    reset.announce("deleted", 1).await;
    reset.applied_by(&app).await;
    refused_as_deleted(&app, 1).await;
}

#[tokio::test]
async fn after_a_reset_a_new_account_does_not_inherit_from_a_live_one() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    for account in [1, 2] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.endpoint(1, "old").await;

    let reset = Accounts::start(&app).await;
    for account in [2, 1] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
    assert_endpoints(&app, 2, 0, 0).await;
    app.endpoint(1, "new").await;
    let received = changes(&app, 3).await;
    let told: Vec<_> = received
        .iter()
        .map(|change| (change.attribute("ce-type"), change.attribute("ce-revision")))
        .collect();
    let added = event_type("endpoint.added");
    let deleted = event_type("endpoints.deleted");
    assert_eq!(told, [(added.as_str(), "1"), (&deleted, "2"), (&added, "3")]);
}

#[tokio::test]
async fn a_creation_applied_again_neither_revives_nor_deletes() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.announce("created", 2).await;
    app.endpoint(2, "a").await;
    accounts.announce("deleted", 1).await;
    accounts.announce("created", 1).await;
    accounts.announce("updated", 1).await;
    accounts.announce("created", 2).await;
    accounts.applied_by(&app).await;
    refused_as_deleted(&app, 1).await;
    assert_endpoints(&app, 2, 1, 1).await;
}

#[tokio::test]
async fn what_was_added_before_its_account_had_an_event_is_kept() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.endpoint(1, "early").await;
    app.endpoint(2, "early").await;
    accounts.announce("created", 1).await;
    accounts.announce("updated", 2).await;
    accounts.applied_by(&app).await;
    assert_endpoints(&app, 1, 1, 1).await;
    assert_endpoints(&app, 2, 1, 1).await;

    let reset = Accounts::start(&app).await;
    for account in [1, 2] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
    assert_endpoints(&app, 2, 2, 0).await;
}

#[tokio::test]
async fn what_an_ended_incarnation_says_late_changes_nothing() {
    let app = TestApp::spawn().await;
    let ended = Accounts::start(&app).await;
    ended.announce("created", 1).await;
    ended.applied_by(&app).await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    app.endpoint(1, "new").await;
    for what in ["created", "updated", "deleted"] {
        ended.say_late(&app, what, 1).await;
        accounts.applied_by(&app).await;
        assert_endpoints(&app, 1, 1, 1).await;
    }
    app.endpoint(1, "another").await;
}

#[tokio::test]
async fn after_a_restore_from_a_backup_accounts_keep_theirs_and_the_undeleted_live() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start_of_before(&app).await;
    for account in [1, 2] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.endpoint(1, "kept").await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    accounts.restore().await;
    for account in [1, 2] {
        accounts.announce("updated", account).await;
    }
    accounts.applied_by(&app).await;
    assert_endpoints(&app, 1, 1, 1).await;
    app.endpoint(2, "new").await;

    // An update may overtake its account's creation, where that was handled at the second attempt only.
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
}
