//! What becomes of samples when the accounts service is reset, and its ids begin again.

use serde_json::json;

use crate::app::{TestApp, sample};
use crate::deletion::{refused_as_deleted, rows_left};
use crate::events::{attribute, changes};
use source_tests::Accounts;
use test_support::event_type;

async fn assert_endpoints(app: &TestApp, account: i64, revision: u64, count: usize) {
    let answer = app.metrics(account, "7d").await;
    let found = answer["endpoints"].as_array().unwrap().len();
    assert_eq!(
        (&answer["revision"], found),
        (&json!(revision), count),
        "{answer}"
    );
}

#[tokio::test]
async fn after_a_reset_the_id_of_a_deleted_account_is_a_new_ones() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    app.record(1, &[sample(1, 1, 1)]).await;
    accounts.announce("deleted", 1).await;
    accounts.applied_by(&app).await;
    refused_as_deleted(&app, 1).await;

    let reset = Accounts::start(&app).await;
    reset.announce("created", 1).await;
    reset.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
    app.record(1, &[sample(1, 1, 1)]).await;
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
    app.record(1, &[sample(1, 1, 1)]).await;

    let reset = Accounts::start(&app).await;
    for account in [2, 1] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
    assert_endpoints(&app, 2, 0, 0).await;
    app.record(1, &[sample(1, 1, 1)]).await;
    let received = changes(&app, 3).await;
    let told: Vec<_> = received
        .iter()
        .map(|(_, headers, _)| (attribute(headers, "ce-type"), attribute(headers, "ce-revision")))
        .collect();
    let recorded = event_type("samples.recorded");
    let deleted = event_type("metrics.deleted");
    assert_eq!(
        told,
        [(recorded.as_str(), "1"), (&deleted, "2"), (&recorded, "3")]
    );
}

#[tokio::test]
async fn a_creation_applied_again_neither_revives_nor_deletes() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("created", 1).await;
    accounts.announce("created", 2).await;
    app.record(2, &[sample(1, 1, 1)]).await;
    accounts.announce("deleted", 1).await;
    accounts.announce("created", 1).await;
    accounts.announce("updated", 1).await;
    accounts.announce("created", 2).await;
    accounts.applied_by(&app).await;
    refused_as_deleted(&app, 1).await;
    assert_endpoints(&app, 2, 1, 1).await;
}

#[tokio::test]
async fn what_was_recorded_before_its_account_had_an_event_is_kept() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.record(1, &[sample(1, 1, 1)]).await;
    app.record(2, &[sample(1, 1, 1)]).await;
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
    app.record(1, &[sample(1, 1, 1)]).await;
    for what in ["created", "updated", "deleted"] {
        ended.say_late(&app, what, 1).await;
        accounts.applied_by(&app).await;
        assert_endpoints(&app, 1, 1, 1).await;
    }
    app.record(1, &[sample(1, 2, 1)]).await;
}

#[tokio::test]
async fn after_a_restore_from_a_backup_accounts_keep_theirs_and_the_undeleted_live() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start_of_before(&app).await;
    for account in [1, 2] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.record(1, &[sample(1, 1, 1)]).await;
    accounts.announce("deleted", 2).await;
    accounts.applied_by(&app).await;
    accounts.restore().await;
    for account in [1, 2] {
        accounts.announce("updated", account).await;
    }
    accounts.applied_by(&app).await;
    assert_endpoints(&app, 1, 1, 1).await;
    app.record(2, &[sample(1, 1, 1)]).await;

    // An update may overtake its account's creation, where that was handled at the second attempt only.
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    assert_endpoints(&app, 1, 2, 0).await;
}

#[tokio::test]
async fn a_huge_account_is_replaced_in_steps_that_a_crash_may_interrupt() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    for account in [7, 8] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.record(7, &[sample(1, 1, 1)]).await;
    // 7 is whole; 8 is as a crash after the first step would leave it: announced, and not yet swept.
    app.database()
        .execute_batch(
            "BEGIN;
             UPDATE accounts SET revision = 5, deleted = 1 WHERE account_id = 8;
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 30500)
             INSERT INTO samples SELECT account_id, 1, i, 'up', 200, 1 FROM n, accounts;
             INSERT INTO histograms SELECT account_id, 1, at, x'00' FROM samples WHERE at % 10 = 0;
             COMMIT;",
        )
        .unwrap();
    let reset = Accounts::start(&app).await;
    for account in [7, 8] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    for (account, revision) in [(7, 2), (8, 5)] {
        assert_eq!(rows_left(&app, account), 0);
        assert_endpoints(&app, account, revision, 0).await;
        app.record(account, &[sample(1, 1, 1)]).await;
    }
}
