//! A stand-in for the accounts service: what other services consume of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use event_bus::outbox::{self, Announcement};
use event_bus::{Broker, Nonce, Relay, RelayOptions, Topology};
use group_commit::{Connection, Database, params};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{NatsServer, event_type, eventually};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Running, Service};

/// A source that announces as the accounts service does: an outbox and its relay, and nothing else. One that is started after
/// another one is the service after its database was reset.
#[derive(Debug)]
pub struct Accounts {
    database: Database,
    /// Of its first account; those of the others follow. None: it is a program that is older than lives.
    life: Option<Nonce>,
    sequence: AtomicU64,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Accounts {
    /// Starts it once the service listens. What is announced before that is of the past, of which a new database deletes nothing.
    pub async fn start<S: Service>(app: &Running<S>) -> Self {
        until_subscribed(app).await;
        Self::start_with(&app.nats, Some(Nonce::draw())).await
    }

    /// Starts it before the service that consumes its events.
    pub async fn start_alone(nats: &NatsServer) -> Self {
        Self::start_with(nats, Some(Nonce::draw())).await
    }

    /// Starts a program that is older than lives.
    pub async fn start_of_before<S: Service>(app: &Running<S>) -> Self {
        until_subscribed(app).await;
        Self::start_with(&app.nats, None).await
    }

    async fn start_with(nats: &NatsServer, life: Option<Nonce>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(
            &folder.path().join("accounts.db"),
            &[
                outbox::MIGRATION,
                outbox::CLAIMS_MIGRATION,
                outbox::TRACESTATE_MIGRATION,
            ],
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
            life,
            sequence: AtomicU64::new(0),
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// The account's life.
    ///
    /// # Panics
    ///
    /// If the program is older than lives.
    pub fn life(&self, account: i64) -> Nonce {
        let first = self.life.expect("a program that knows lives");
        Nonce(first.0.wrapping_add(account.cast_unsigned()))
    }

    fn data(&self, account: i64) -> Value {
        let mut data = json!({ "account_id": account });
        if self.life.is_some() {
            data["life"] = self.life(account).to_string().into();
        }
        data
    }

    /// Announces that the account is `created`, `updated` or `deleted`.
    pub async fn announce(&self, what: &str, account: i64) {
        let kind = kind_of(what);
        let data = self.data(account);
        let announce = move |c: &Connection<'_>| {
            let announcement = Announcement {
                kind: &kind,
                entity: account,
                revision: 2,
                nonce: Nonce::draw(),
                data,
                fragment: None,
            };
            outbox::announce(c, &announcement)
        };
        self.database.write(announce).await.unwrap();
        self.sequence.fetch_add(1, Ordering::Relaxed);
    }

    /// Says it although another one took over: the rest of a batch that was on its way.
    pub async fn say_late<S: Service>(&self, app: &Running<S>, what: &str, account: i64) {
        let incarnation = self.database.read(outbox::incarnation);
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("ce-id", "late".to_owned()),
            ("ce-type", kind_of(what)),
            ("ce-time", "2026-01-01T00:00:00Z".to_owned()),
            ("ce-sequence", sequence.to_string()),
            ("ce-revision", "2".to_owned()),
            ("ce-incarnation", incarnation.await.unwrap().to_string()),
        ] {
            headers.insert(name, value);
        }
        let subject = format!("events.accounts.{account}");
        let payload = self.data(account).to_string();
        let jetstream = jetstream(&app.nats).await;
        let published = jetstream.publish_with_headers(subject, headers, payload.into());
        published.await.unwrap().await.unwrap();
    }

    /// The database goes on under a new incarnation, as one that was restored from a backup.
    pub async fn restore(&self) {
        self.database.write(outbox::renew_incarnation).await.unwrap();
    }

    /// Waits until the broker has acknowledged all of it.
    pub async fn published(&self) {
        eventually(Duration::from_secs(10), async || {
            let pending = self
                .database
                .read(|c| c.query_one("SELECT count(*) AS n FROM outbox", params![], |row| row.get("n")));
            match pending.await.unwrap() {
                0_u64 => Ok(()),
                n => Err(format!("{n} announcements wait")),
            }
        })
        .await;
    }

    /// Waits until the service has handled all of it, by the broker's account: asking the service would change it.
    pub async fn applied_by<S: Service>(&self, app: &Running<S>) {
        self.published().await;
        let mut stream = jetstream(&app.nats).await.get_stream("EVENTS").await.unwrap();
        let last = stream.info().await.unwrap().state.last_sequence;
        eventually(Duration::from_secs(10), async || {
            let info = stream.consumer_info(S::NAME).await;
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

fn kind_of(what: &str) -> String {
    event_type(&format!("account.{what}"))
}

async fn jetstream(nats: &NatsServer) -> Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

/// Deletes the durable consumer, as an operator does: the stream is replayed from its beginning.
pub async fn delete_subscription<S: Service>(app: &Running<S>) {
    let stream = jetstream(&app.nats).await.get_stream("EVENTS").await.unwrap();
    stream.delete_consumer(S::NAME).await.unwrap();
}

/// Deletes the stream. Whoever publishes or subscribes next makes it again.
pub async fn delete_stream<S: Service>(app: &Running<S>) {
    jetstream(&app.nats).await.delete_stream("EVENTS").await.unwrap();
}

/// Waits until the service listens to accounts, which it does once it publishes itself.
async fn until_subscribed<S: Service>(app: &Running<S>) {
    let jetstream = jetstream(&app.nats).await;
    eventually(Duration::from_secs(20), async || {
        let stream = jetstream
            .get_stream("EVENTS")
            .await
            .map_err(|error| error.to_string())?;
        let consumer = stream.consumer_info(S::NAME).await;
        consumer.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
