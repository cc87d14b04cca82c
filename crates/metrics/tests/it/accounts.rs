//! The accounts service, as much of it as is heard of here.

use std::time::Duration;

use event_bus::outbox::{self, Announcement};
use event_bus::{Broker, Nonce, Relay, RelayOptions, Topology};
use group_commit::{Database, Error};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use test_support::{NatsServer, eventually};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::TestApp;

/// A source that announces as the accounts service does: nothing but an outbox, and its relay. Another one started is
/// the service after its database was reset.
pub(crate) struct Accounts {
    database: Database,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Accounts {
    pub(crate) async fn start(nats: &NatsServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(
            &folder.path().join("accounts.db"),
            &[outbox::MIGRATION, outbox::CLAIMS_MIGRATION],
        )
        .unwrap();
        let topology = Topology {
            stream: "EVENTS".to_owned(),
            prefix: "events".to_owned(),
        };
        let broker = Broker::connect(&nats.url(), "accounts", topology).await.unwrap();
        let stop = CancellationToken::new();
        let options = RelayOptions {
            takes_over: true,
            ..RelayOptions::new("accounts", "test.watermark.v1", "test.claim.v1")
        };
        let relay = Relay::new(database.clone(), broker, options);
        tokio::spawn(relay.run(stop.clone()));
        Self {
            database,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn announce(&self, what: &str, account: i64) {
        let kind = format!("dev.reliable-caching.account.{what}.v1");
        let announce = move |c: &Connection| {
            let announcement = Announcement {
                kind: &kind,
                entity: account,
                revision: 2,
                nonce: Nonce::draw(),
                data: json!({ "account_id": account }),
                fragment: None,
            };
            outbox::announce(c, &announcement).map_err(Error::from)
        };
        self.database.write(announce).await.unwrap();
    }

    /// The database goes on under a new incarnation, as one that was restored from a backup.
    pub(crate) async fn restore(&self) {
        let renew = |c: &Connection| outbox::renew_incarnation(c).map_err(Error::from);
        self.database.write(renew).await.unwrap();
    }

    /// Waits until the broker has acknowledged all of it.
    pub(crate) async fn published(&self) {
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
    pub(crate) async fn heard_by(&self, app: &TestApp) {
        self.published().await;
        let client = async_nats::connect(app.nats.url()).await.unwrap();
        let mut stream = async_nats::jetstream::new(client)
            .get_stream("EVENTS")
            .await
            .unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        eventually(Duration::from_secs(10), async || {
            let info = stream.consumer_info("metrics").await;
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
