//! A source with nothing but an outbox, and a consumer of it.

use std::path::Path;
use std::time::Duration;

use event_bus::outbox::{self, Announcement};
use event_bus::{
    Broker, Cause, ChangeKind, Clock, Feed, FeedItem, Incarnation, Loss, NatsConfig, Nonce, Publishing,
    Relay, RelayOptions, Topology,
};
use group_commit::{Connection, Database, Error, params};
use serde_json::value::{RawValue, to_raw_value};
use tempfile::TempDir;
use test_support::NatsServer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything here takes: watermarks go on for ever, so that waiting past them must end by itself.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn topology() -> Topology {
    Topology {
        stream: "EVENTS".to_owned(),
        prefix: "events".to_owned(),
    }
}

/// The broker as somebody else uses it.
pub(crate) async fn jetstream(nats: &NatsServer) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

/// A stream that takes nothing above two kilobytes.
pub(crate) async fn make_stream_of_small_messages(nats: &NatsServer) {
    let small = async_nats::jetstream::stream::Config {
        name: "EVENTS".to_owned(),
        subjects: vec!["events.>".to_owned()],
        max_message_size: 2000,
        ..Default::default()
    };
    jetstream(nats).await.create_stream(small).await.unwrap();
}

/// Puts a message on the stream that is none of ours.
pub(crate) async fn put(nats: &NatsServer, subject: &'static str) {
    let jetstream = jetstream(nats).await;
    let published = jetstream.publish(subject, "not ours".into()).await.unwrap();
    published.await.unwrap();
}

/// A source with nothing but an outbox, and its relay.
pub(crate) struct Source {
    pub(crate) database: Database,
    pub(crate) folder: TempDir,
    pub(crate) publishing: Publishing,
    pub(crate) relay: JoinHandle<()>,
    stop: DropGuard,
}

/// A database that nobody publishes from yet, as that of a process that has not reached its broker.
pub(crate) struct Unpublished {
    pub(crate) database: Database,
    folder: TempDir,
}

impl Unpublished {
    pub(crate) fn open(folder: TempDir) -> Self {
        let database = Database::open(&folder.path().join("db"), &MIGRATIONS).unwrap();
        Self { database, folder }
    }

    pub(crate) async fn announce(&self, revision: u64) {
        let write = move |c: &Connection<'_>| announce(c, revision);
        self.database.write(write).await.unwrap();
    }

    pub(crate) async fn publish(self, options: RelayOptions, server: impl Into<NatsConfig>) -> Source {
        let broker = Broker::connect(server, "source", topology()).await.unwrap();
        let stop = CancellationToken::new();
        let relay = Relay::new(self.database.clone(), broker, options);
        let publishing = relay.publishing();
        Source {
            database: self.database,
            folder: self.folder,
            publishing,
            relay: tokio::spawn(relay.run(stop.clone())),
            stop: stop.drop_guard(),
        }
    }
}

/// The tables of an outbox, as a source's migrations make them.
pub(crate) const MIGRATIONS: [&str; 3] = [
    outbox::MIGRATION,
    outbox::CLAIMS_MIGRATION,
    outbox::TRACESTATE_MIGRATION,
];

/// A relay as in production.
pub(crate) fn options(name: &'static str) -> RelayOptions {
    RelayOptions::new(name, "test.watermark.v1", "test.claim.v1")
}

impl Source {
    pub(crate) async fn start(nats: &NatsServer) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), nats).await
    }

    pub(crate) async fn start_in(folder: TempDir, nats: &NatsServer) -> Self {
        Self::start_as("things", folder, nats).await
    }

    pub(crate) async fn start_as(name: &'static str, folder: TempDir, nats: &NatsServer) -> Self {
        Self::start_at(name, folder, &nats.url()).await
    }

    pub(crate) async fn start_at(name: &'static str, folder: TempDir, server: impl Into<NatsConfig>) -> Self {
        Self::start_by(Clock::default(), name, folder, server).await
    }

    pub(crate) async fn start_by(
        clock: Clock,
        name: &'static str,
        folder: TempDir,
        server: impl Into<NatsConfig>,
    ) -> Self {
        let options = RelayOptions {
            clock,
            ..options(name)
        };
        Unpublished::open(folder).publish(options, server).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it; its database stays.
    pub(crate) async fn stop(self) -> TempDir {
        drop(self.stop);
        self.relay.await.unwrap();
        self.folder
    }

    /// Writes while nobody publishes, as a process that is killed after its commit.
    pub(crate) async fn stop_after<F>(self, write: F) -> TempDir
    where
        F: FnOnce(&Connection<'_>) -> Result<(), Error> + Send + 'static,
    {
        drop(self.stop);
        self.relay.await.unwrap();
        let write = move |c: &Connection<'_>| write(c);
        self.database.write(write).await.unwrap();
        self.folder
    }

    pub(crate) async fn announce(&self, revision: u64) {
        self.announce_carrying(revision, serde_json::json!({ "revision": revision }))
            .await;
    }

    pub(crate) async fn announce_carrying(&self, revision: u64, fragment: serde_json::Value) {
        self.announce_text(revision, to_raw_value(&fragment).unwrap())
            .await;
    }

    pub(crate) async fn announce_text(&self, revision: u64, fragment: Box<RawValue>) {
        let announce = move |c: &Connection<'_>| announce_carrying(c, revision, fragment);
        self.database.write(announce).await.unwrap();
    }

    pub(crate) async fn announce_of(&self, entity: i64, revision: u64) {
        let write = move |c: &Connection<'_>| announce_of(c, entity, revision);
        self.database.write(write).await.unwrap();
    }

    /// Announces a change of any entity, and returns once the stream holds it.
    pub(crate) async fn publish(&self, entity: i64, revision: u64) {
        self.announce_of(entity, revision).await;
        self.until_published().await;
    }

    pub(crate) async fn until_published(&self) {
        test_support::eventually(LONG, async || match self.pending().await {
            0 => Ok(()),
            n => Err(format!("{n} rows are still in the outbox")),
        })
        .await;
    }

    pub(crate) async fn incarnation(&self) -> Incarnation {
        let read = |c: &Connection<'_>| outbox::incarnation(c);
        self.database.read(read).await.unwrap()
    }

    pub(crate) async fn pending(&self) -> u64 {
        let count = |c: &Connection<'_>| {
            c.query_one("SELECT count(*) AS n FROM outbox", params![], |row| row.get("n"))
        };
        self.database.read(move |c| count(c)).await.unwrap()
    }
}

/// A feed of that source, with what it received.
pub(crate) struct Consumer {
    pub(crate) received: mpsc::UnboundedReceiver<FeedItem>,
    _stop: DropGuard,
}

impl Consumer {
    pub(crate) async fn start(nats: &NatsServer) -> Self {
        Self::start_at(&nats.url()).await
    }

    pub(crate) async fn start_at(server: impl Into<NatsConfig>) -> Self {
        let broker = Broker::connect(server, "consumer", topology()).await.unwrap();
        let (tell, received) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let feed = Feed::new(broker, &["things"]);
        tokio::spawn(feed.run(stop.clone(), move |word| drop(tell.send(word))));
        let mut consumer = Self {
            received,
            _stop: stop.drop_guard(),
        };
        // The first watermark says that it listens; the first message of a source is always a loss.
        assert_eq!(consumer.until_loss().await, Cause::FirstMessage);
        consumer
    }

    /// The next change, watermark or loss; past what every start and every new connection of a source brings.
    pub(crate) async fn next(&mut self) -> FeedItem {
        loop {
            match self.next_of_all().await {
                FeedItem::Claimed(_)
                | FeedItem::Foreign { .. }
                | FeedItem::Loss(Loss {
                    cause: Cause::NewPublisher,
                    ..
                }) => {}
                received => return received,
            }
        }
    }

    pub(crate) async fn next_of_all(&mut self) -> FeedItem {
        timeout(LONG / 2, self.received.recv())
            .await
            .expect("a message comes")
            .unwrap()
    }

    /// The next loss, past everything else.
    pub(crate) async fn until_loss(&mut self) -> Cause {
        let loss = async {
            loop {
                if let FeedItem::Loss(loss) = self.next().await {
                    return loss.cause;
                }
            }
        };
        timeout(LONG, loss).await.expect("a loss is told")
    }

    /// Past everything, until the source has another publisher.
    pub(crate) async fn until_claimed(&mut self) {
        let claimed = async { while !matches!(self.next_of_all().await, FeedItem::Claimed(_)) {} };
        timeout(LONG, claimed).await.expect("another claims");
    }

    /// The next loss, past watermarks. A change is not expected before it.
    pub(crate) async fn loss_before_any_change(&mut self) -> Loss {
        loop {
            match self.next().await {
                FeedItem::Loss(loss) => return loss,
                FeedItem::Watermark(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Until nothing was applied for longer than any source is ever silent.
    pub(crate) async fn until_silent(&mut self) {
        while timeout(Duration::from_millis(700), self.received.recv())
            .await
            .is_ok()
        {}
    }

    /// The next so many words are watermarks.
    pub(crate) async fn nothing_lost_for(&mut self, words: usize) {
        for _ in 0..words {
            match self.next().await {
                FeedItem::Watermark(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Past everything, until a change to this revision.
    pub(crate) async fn until_revision(&mut self, revision: u64) {
        let received = async {
            while !matches!(self.next().await, FeedItem::Change(change) if change.event.revision == revision)
            {
            }
        };
        timeout(LONG, received).await.expect("the change is told");
    }

    /// The next change, past watermarks. Losses are not expected.
    pub(crate) async fn change(&mut self) -> (event_bus::Event, bool) {
        let change = async {
            loop {
                match self.next().await {
                    FeedItem::Change(change) => return (change.event, change.kind == ChangeKind::Repeat),
                    FeedItem::Watermark(_) => {}
                    other => panic!("unexpected {other:?}"),
                }
            }
        };
        timeout(LONG, change).await.expect("a change is told")
    }
}

/// Announces a change of the thing, for transactions that do more than that.
pub(crate) fn announce(transaction: &Connection<'_>, revision: u64) -> Result<(), Error> {
    announce_of(transaction, 7, revision)
}

fn announce_of(transaction: &Connection<'_>, entity: i64, revision: u64) -> Result<(), Error> {
    let announcement = Announcement {
        kind: "test.changed.v1",
        entity,
        revision,
        nonce: Nonce::draw(),
        data: serde_json::json!({}),
        fragment: None,
    };
    outbox::announce(transaction, &announcement)
}

pub(crate) fn announce_carrying(
    transaction: &Connection<'_>,
    revision: u64,
    fragment: Box<RawValue>,
) -> Result<(), Error> {
    let announcement = Announcement {
        kind: "test.changed.v1",
        entity: 7,
        revision,
        nonce: Nonce::draw(),
        data: serde_json::json!({ "thing": 7 }),
        fragment: Some(fragment),
    };
    outbox::announce(transaction, &announcement)
}
