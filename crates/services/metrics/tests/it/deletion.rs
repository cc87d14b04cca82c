//! An account that is deleted takes its samples with it, whenever that event arrives and however often.

use std::time::Duration;

use serde_json::{Value, json};
use source_tests::{AccountData, Accounts, header};
use test_support::event_type;

use crate::app::{Metrics, TestApp, sample};

pub(crate) fn rows_left(app: &Metrics, account: i64) -> i64 {
    app.database()
        .query_row(
            "SELECT (SELECT count(*) FROM samples WHERE account_id = ?1)
                  + (SELECT count(*) FROM histograms WHERE account_id = ?1)",
            [account],
            |row| row.get(0),
        )
        .unwrap()
}

async fn await_swept(app: &TestApp, account: i64) {
    test_support::eventually(Duration::from_secs(20), async || match rows_left(app, account) {
        0 => Ok(()),
        rows => Err(format!("{rows} rows are left")),
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_is_applied_ends_the_accounts_metrics_and_nobody_elses() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 2, 1), sample(2, 2, 1)]).await;
    // So many that some of them are packed.
    let others: Vec<_> = (2..42).map(|minutes| sample(3, minutes, 1)).collect();
    app.record(8, &others).await;
    let before = app.get("/accounts/7/metrics?window=7d").await;
    let etag = header(&before, "etag").to_owned();
    let accounts = Accounts::start(&app).await;
    accounts.announce("deleted", 7).await;

    let received = app.changes(3).await;
    let deleted = &received[2];
    assert_eq!(
        (deleted.subject.as_str(), &deleted.data),
        ("events.metrics.7", &json!({ "account_id": 7 }))
    );
    assert_eq!(deleted.attribute("ce-type"), event_type("metrics.deleted"));
    assert_eq!(deleted.attribute("ce-revision"), "2");

    let after = app
        .get_if_none_match("/accounts/7/metrics?window=7d", &etag)
        .await;
    assert_eq!(
        after.status(),
        200,
        "what was known of it is not current any more"
    );
    let after: Value = after.json().await.unwrap();
    assert_eq!((&after["revision"], &after["endpoints"]), (&json!(2), &json!([])));
    app.assert_refused(7).await;
    assert_eq!(
        app.metrics(7, "7d").await["revision"],
        2,
        "a refusal bumps nothing"
    );
    await_swept(&app, 7).await;
    assert_eq!(
        rows_left(&app, 8),
        41,
        "the samples, and a chunk of their histogram"
    );
    assert_eq!(app.record(8, &[sample(3, 1, 1)]).await["revision"], 2);
}

#[tokio::test]
async fn a_deletion_applied_again_is_announced_once_and_other_news_of_accounts_are_passed_over() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 2, 1)]).await;
    let accounts = Accounts::start(&app).await;
    for what in ["updated", "deleted", "deleted"] {
        accounts.announce(what, 7).await;
    }
    // Of an account without a sample nothing changes that was answered; but it is remembered.
    accounts.announce("deleted", 9).await;
    accounts.applied_by(&app).await;
    app.assert_refused(9).await;
    assert_eq!(app.metrics(9, "7d").await["revision"], 0);
    app.record(8, &[sample(1, 2, 1)]).await;

    let received = app.changes(3).await;
    let told: Vec<_> = received
        .iter()
        .map(|change| (change.subject.as_str(), change.attribute("ce-revision")))
        .collect();
    assert_eq!(
        told,
        [
            ("events.metrics.7", "1"),
            ("events.metrics.7", "2"),
            ("events.metrics.8", "1")
        ]
    );
    assert_eq!(app.metrics(7, "7d").await["revision"], 2);
}

#[tokio::test]
async fn a_deletion_is_remembered_across_a_restart() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 2, 1)]).await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("deleted", 7).await;
    accounts.applied_by(&app).await;
    app.assert_refused(7).await;
    let revision = app.metrics(7, "7d").await["revision"].clone();
    let app = app.respawn(&[]).await;
    assert_eq!(app.metrics(7, "7d").await["revision"], revision);
    assert_eq!(
        app.post(7, &json!({ "samples": [sample(1, 0, 1)] }))
            .await
            .status(),
        409
    );
}

#[tokio::test]
async fn a_deletion_while_the_service_was_away_is_applied_when_it_is_back() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 2, 1)]).await;
    // Once it has received a first deletion, it is subscribed for good.
    let accounts = Accounts::start(&app).await;
    accounts.announce("deleted", 9).await;
    accounts.applied_by(&app).await;
    app.assert_refused(9).await;
    let app = app
        .respawn_while(&[], async || accounts.announce("deleted", 7).await)
        .await;
    accounts.applied_by(&app).await;
    app.assert_refused(7).await;
}

#[tokio::test]
async fn a_huge_account_is_deleted_in_steps_that_a_crash_may_interrupt() {
    let app = TestApp::spawn().await;
    // As a crash after the first step would leave it: announced, and not yet swept.
    app.database()
        .execute_batch(
            "BEGIN;
             INSERT INTO accounts (account_id, revision, deleted) VALUES (7, 5, 1);
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 30500)
             INSERT INTO samples SELECT 7, 1 + i / 400, i, 'up', 200, 1 FROM n;
             INSERT INTO histograms SELECT 7, 1 + at / 400, at, x'00' FROM samples WHERE at % 10 = 0;
             COMMIT;",
        )
        .unwrap();
    assert_eq!(app.metrics(7, "7d").await["endpoints"], json!([]));
    let accounts = Accounts::start(&app).await;
    accounts.announce("deleted", 7).await;
    await_swept(&app, 7).await;
    assert_eq!(app.metrics(7, "7d").await["revision"], 5, "already announced");
}

#[tokio::test]
async fn a_message_that_names_no_account_is_passed_over_for_good() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    accounts.announce("deleted", 1).await;
    accounts.applied_by(&app).await;
    app.assert_refused(1).await;
    let client = async_nats::connect(app.nats.url()).await.unwrap();
    let mut headers = async_nats::HeaderMap::new();
    for (name, value) in [
        ("ce-id", "x"),
        ("ce-type", event_type("account.deleted").as_str()),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-sequence", "2"),
        ("ce-revision", "2"),
        ("ce-incarnation", "00000000000000000000000000000000"),
    ] {
        headers.insert(name, value);
    }
    for (subject, headers) in [
        ("events.accounts.seven", headers),
        ("events.accounts.7", async_nats::HeaderMap::new()),
    ] {
        client
            .publish_with_headers(subject, headers, "{".into())
            .await
            .unwrap();
    }
    client.flush().await.unwrap();
    accounts.announce("deleted", 8).await;
    accounts.applied_by(&app).await;
    app.assert_refused(8).await;
    assert_eq!(
        app.metrics(7, "7d").await["revision"],
        0,
        "nothing was made of it"
    );
    let stream = async_nats::jetstream::new(client)
        .get_stream("EVENTS")
        .await
        .unwrap();
    test_support::eventually(Duration::from_secs(10), async || {
        let consumer = stream.consumer_info("metrics").await.unwrap();
        match consumer.num_ack_pending {
            0 => Ok(()),
            count => Err(format!("{count} messages will come again")),
        }
    })
    .await;
}
