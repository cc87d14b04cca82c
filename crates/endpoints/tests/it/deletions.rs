//! What becomes of endpoints when the accounts service deletes their account.

use std::time::Duration;

use event_bus::outbox::{self, Announcement};
use event_bus::{Broker, Relay, Topology};
use group_commit::{Database, Error};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{NatsServer, eventually};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::{TestApp, an_endpoint, header};
use crate::stream::changes;

const DELETED: &str = "dev.reliable-caching.account.deleted.v1";
const UPDATED: &str = "dev.reliable-caching.account.updated.v1";

/// A source that announces as the accounts service does: nothing but an outbox, and its relay.
struct Accounts {
    database: Database,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Accounts {
    async fn start(nats: &NatsServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("accounts.db"), &[outbox::MIGRATION]).unwrap();
        let topology = Topology {
            stream: "EVENTS".to_owned(),
            prefix: "events".to_owned(),
        };
        let broker = Broker::connect(&nats.url(), "accounts", topology).await.unwrap();
        let stop = CancellationToken::new();
        let relay = Relay::new(database.clone(), broker, "accounts", "test.watermark.v1", None);
        tokio::spawn(relay.run(stop.clone()));
        Self {
            database,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    async fn announce(&self, kind: &'static str, account: i64) {
        let announce = move |c: &rusqlite::Connection| {
            let announcement = Announcement {
                kind,
                entity: account,
                revision: 2,
                data: json!({ "account_id": account }),
                fragment: None,
            };
            outbox::announce(c, &announcement).map_err(Error::from)
        };
        self.database.write(announce).await.unwrap();
    }

    /// Waits until the broker has acknowledged all of it.
    async fn published(&self) {
        eventually(Duration::from_secs(10), async || {
            let pending = self.database.read(|c| {
                c.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))
                    .map_err(Error::from)
            });
            match pending.await.unwrap() {
                0_u64 => Ok(()),
                n => Err(format!("{n} announcements wait")),
            }
        })
        .await;
    }

    /// Waits until the service has handled all of it, by the broker's account: asking the service would change it.
    async fn heard_by(&self, app: &TestApp) {
        self.published().await;
        let client = async_nats::connect(app.nats.url()).await.unwrap();
        let mut stream = async_nats::jetstream::new(client)
            .get_stream("EVENTS")
            .await
            .unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        eventually(Duration::from_secs(10), async || {
            let info = stream.consumer_info("endpoints").await;
            let handled = info.map_err(|error| error.to_string())?.ack_floor.stream_sequence;
            // Watermarks go on, so the floor passes `last` even if that was no message of accounts.
            if handled >= last {
                Ok(())
            } else {
                Err(format!("{handled} of {last}"))
            }
        })
        .await;
    }
}

async fn refused_as_deleted(app: &TestApp, account: i64) {
    let response = app.post(account, &an_endpoint("late")).await;
    assert_eq!(response.status(), 409);
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/account-deleted");
}

#[tokio::test]
async fn a_deleted_accounts_endpoints_are_deleted_and_that_is_announced() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app.nats).await;
    app.endpoint(1, "a").await;
    app.endpoint(1, "b").await;
    app.endpoint(2, "of another").await;
    let etag = header(&app.get("/accounts/1/endpoints").await, "etag").to_owned();
    accounts.announce(DELETED, 1).await;

    let heard = changes(&app, 4).await;
    let deleted = &heard[3];
    assert_eq!(
        deleted.attribute("ce-type"),
        "dev.reliable-caching.endpoints.deleted.v1"
    );
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
    refused_as_deleted(&app, 1).await;
    assert_eq!(
        app.list(2).await["endpoints"].as_array().unwrap().len(),
        1,
        "untouched"
    );
}

#[tokio::test]
async fn a_deletion_heard_again_changes_nothing() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app.nats).await;
    app.endpoint(1, "a").await;
    for account in [1, 1, 2] {
        accounts.announce(DELETED, account).await;
    }
    accounts.heard_by(&app).await;
    assert_eq!(app.list(1).await["revision"], 2);
    refused_as_deleted(&app, 2).await;
}

#[tokio::test]
async fn an_account_without_endpoints_is_remembered_as_deleted_and_nothing_is_announced() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app.nats).await;
    let id = app.endpoint(2, "soon removed").await;
    app.delete(2, id).await;
    accounts.announce(DELETED, 1).await;
    accounts.announce(DELETED, 2).await;
    accounts.heard_by(&app).await;
    refused_as_deleted(&app, 1).await;
    refused_as_deleted(&app, 2).await;
    let empty = |account, revision| json!({ "account_id": account, "revision": revision, "endpoints": [] });
    assert_eq!(app.list(1).await, empty(1, 0));
    assert_eq!(app.list(2).await, empty(2, 2));
    app.endpoint(3, "next").await;
    let heard = changes(&app, 3).await;
    assert_eq!(heard[2].subject, "events.endpoints.3");
    assert_eq!(heard[2].attribute("ce-sequence"), "3");
}

#[tokio::test]
async fn other_events_of_accounts_delete_nothing() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app.nats).await;
    app.endpoint(1, "a").await;
    accounts.announce(UPDATED, 1).await;
    accounts.announce(DELETED, 2).await;
    accounts.heard_by(&app).await;
    refused_as_deleted(&app, 2).await;
    assert_eq!(app.list(1).await["revision"], 1);
    app.endpoint(1, "b").await;
}

#[tokio::test]
async fn a_deletion_is_heard_by_a_service_that_was_not_there() {
    let nats = NatsServer::start();
    let accounts = Accounts::start(&nats).await;
    accounts.announce(DELETED, 1).await;
    accounts.published().await;
    let app = TestApp::spawn_on(nats).await;
    accounts.heard_by(&app).await;
    refused_as_deleted(&app, 1).await;

    app.endpoint(2, "a").await;
    let (folder, nats) = app.stop().await;
    accounts.announce(DELETED, 2).await;
    accounts.published().await;
    let app = TestApp::spawn_in(folder, nats, &[]).await;
    accounts.heard_by(&app).await;
    refused_as_deleted(&app, 2).await;
    assert_eq!(app.list(2).await["endpoints"], json!([]));
    refused_as_deleted(&app, 1).await;
}
