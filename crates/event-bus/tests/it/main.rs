//! Outbox to feed, over a real nats-server that is killed, wiped and started again.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::time::Duration;

use event_bus::outbox::{self, Announcement};
use event_bus::{Broker, Cause, Feed, Heard, Relay, Topology};
use group_commit::{Database, Error};
use tempfile::TempDir;
use test_support::NatsServer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything here takes: watermarks go on for ever, so that waiting past them must end by itself.
const LONG: Duration = Duration::from_secs(20);

fn topology() -> Topology {
    Topology {
        stream: "EVENTS".to_owned(),
        prefix: "events".to_owned(),
    }
}

/// A source with nothing but an outbox, and its relay.
struct Source {
    database: Database,
    folder: TempDir,
    relay: JoinHandle<()>,
    _stop: DropGuard,
}

impl Source {
    async fn start(nats: &NatsServer) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), nats).await
    }

    async fn start_in(folder: TempDir, nats: &NatsServer) -> Self {
        let database = Database::open(&folder.path().join("db"), &[outbox::MIGRATION]).unwrap();
        let broker = Broker::connect(&nats.url(), "source", topology()).await.unwrap();
        let stop = CancellationToken::new();
        let relay = Relay::new(database.clone(), broker, "things", "test.watermark.v1", None);
        let relay = tokio::spawn(relay.run(stop.clone()));
        Self {
            database,
            folder,
            relay,
            _stop: stop.drop_guard(),
        }
    }

    async fn announce(&self, revision: u64) {
        self.announce_carrying(revision, serde_json::json!({ "revision": revision }))
            .await;
    }

    async fn announce_carrying(&self, revision: u64, fragment: serde_json::Value) {
        let announce = move |c: &rusqlite::Connection| {
            let announcement = Announcement {
                kind: "test.changed.v1",
                entity: 7,
                revision,
                data: serde_json::json!({ "thing": 7 }),
                fragment: Some(fragment),
            };
            outbox::announce(c, &announcement).map_err(Error::from)
        };
        self.database.write(announce).await.unwrap();
    }

    async fn pending(&self) -> u64 {
        let count =
            |c: &rusqlite::Transaction<'_>| c.query_row("SELECT count(*) FROM outbox", [], |r| r.get(0));
        self.database
            .read(move |c| count(c).map_err(Error::from))
            .await
            .unwrap()
    }
}

/// A feed of that source, with what it heard.
struct Hearer {
    heard: mpsc::UnboundedReceiver<Heard>,
    _stop: DropGuard,
}

impl Hearer {
    async fn start(nats: &NatsServer) -> Self {
        let broker = Broker::connect(&nats.url(), "hearer", topology()).await.unwrap();
        let (tell, heard) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let feed = Feed::new(broker, &["things"]);
        tokio::spawn(feed.run(stop.clone(), move |word| drop(tell.send(word))));
        let mut hearer = Self {
            heard,
            _stop: stop.drop_guard(),
        };
        // The first watermark says that it listens; the first word of a source is always a loss.
        assert_eq!(hearer.until_loss().await, Cause::FirstHeard);
        hearer
    }

    async fn next(&mut self) -> Heard {
        timeout(LONG, self.heard.recv())
            .await
            .expect("something is heard")
            .unwrap()
    }

    /// The next loss, past everything else.
    async fn until_loss(&mut self) -> Cause {
        let loss = async {
            loop {
                if let Heard::Loss(loss) = self.next().await {
                    return loss.cause;
                }
            }
        };
        timeout(LONG, loss).await.expect("a loss is told")
    }

    /// The next change, past watermarks. Losses are not expected.
    async fn change(&mut self) -> (event_bus::Event, bool) {
        let change = async {
            loop {
                match self.next().await {
                    Heard::Change(change) => return (change.event, change.repeat),
                    Heard::Watermark(_) => {}
                    Heard::Loss(loss) => panic!("unexpected {loss:?}"),
                }
            }
        };
        timeout(LONG, change).await.expect("a change is told")
    }
}

#[tokio::test]
async fn what_is_announced_is_heard_in_order_and_then_forgotten() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    for revision in 1..=600 {
        source.announce(revision).await;
    }
    for revision in 1..=600 {
        let (event, repeat) = hearer.change().await;
        assert_eq!(
            (event.revision, event.sequence, repeat),
            (revision, revision, false)
        );
    }
    test_support::eventually(Duration::from_secs(5), async || match source.pending().await {
        0 => Ok(()),
        n => Err(format!("{n} rows are still in the outbox")),
    })
    .await;
}

#[tokio::test]
async fn a_watermark_follows_what_was_committed_before_it_and_is_later_than_it() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    let acknowledged = jiff::Timestamp::now();
    let mut change_heard = false;
    loop {
        match hearer.next().await {
            Heard::Change(_) => change_heard = true,
            Heard::Watermark(watermark) if watermark.complete_until > acknowledged => break,
            _ => {}
        }
    }
    assert!(
        change_heard,
        "a watermark later than an acknowledged mutation comes after its event"
    );
}

#[tokio::test]
async fn mutations_during_an_outage_are_answered_and_heard_after_it() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    assert_eq!(hearer.change().await.0.revision, 1);
    nats.kill();
    timeout(Duration::from_secs(2), source.announce(2))
        .await
        .expect("answered at once");
    source.announce(3).await;
    assert!(source.pending().await >= 2);
    nats.restart();
    assert_eq!(hearer.change().await.0.revision, 2);
    assert_eq!(hearer.change().await.0.revision, 3);
}

#[tokio::test]
async fn a_broker_whose_store_was_deleted_is_noticed_and_what_is_announced_after_is_heard() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    hearer.change().await;
    nats.kill();
    nats.wipe();
    nats.restart();
    assert_eq!(hearer.until_loss().await, Cause::Stream);
    source.announce(2).await;
    // Relay and hearer race to the new stream: revision 2 is heard, or a watermark says that it was missed.
    match hearer.next().await {
        Heard::Loss(loss) => assert_eq!(loss.cause, Cause::Behind),
        Heard::Change(change) => assert_eq!(change.event.revision, 2),
        Heard::Watermark(_) => assert_eq!(hearer.change().await.0.revision, 2),
    }
}

#[tokio::test]
async fn a_database_made_anew_is_another_incarnation() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    hearer.change().await;
    drop(source);
    let _source = Source::start(&nats).await;
    assert_eq!(hearer.until_loss().await, Cause::NewIncarnation);
}

#[tokio::test]
async fn a_renewed_incarnation_keeps_what_was_not_yet_published() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    hearer.change().await;
    nats.kill();
    source.announce(2).await;
    source.announce(3).await;
    source.relay.abort();
    let before = source
        .database
        .read(|c| outbox::incarnation(c).map_err(Error::from))
        .await
        .unwrap();
    source
        .database
        .write(|c| outbox::renew_incarnation(c).map_err(Error::from))
        .await
        .unwrap();
    let after = source
        .database
        .read(|c| outbox::incarnation(c).map_err(Error::from))
        .await
        .unwrap();
    assert_ne!(before, after);
    nats.restart();
    let _source = Source::start_in(source.folder, &nats).await;
    assert_eq!(hearer.until_loss().await, Cause::NewIncarnation);
    let heard =
        [hearer.change().await.0, hearer.change().await.0].map(|event| (event.sequence, event.revision));
    assert_eq!(heard, [(1, 2), (2, 3)]);
}

#[tokio::test]
async fn a_fragment_is_carried_when_small_and_left_out_when_large() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source
        .announce_carrying(1, serde_json::json!({ "name": "small" }))
        .await;
    source
        .announce_carrying(2, serde_json::json!({ "name": "x".repeat(70_000) }))
        .await;
    let body = |event: event_bus::Event| serde_json::from_slice::<serde_json::Value>(&event.data).unwrap();
    let small = body(hearer.change().await.0);
    assert_eq!(
        small,
        serde_json::json!({ "thing": 7, "fragment": { "name": "small" } })
    );
    assert_eq!(body(hearer.change().await.0), serde_json::json!({ "thing": 7 }));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_loss_of_its_source_and_what_follows_is_heard() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    let client = async_nats::connect(nats.url()).await.unwrap();
    client
        .publish("events.things.7", "not ours".into())
        .await
        .unwrap();
    client.flush().await.unwrap();
    assert_eq!(hearer.until_loss().await, Cause::Unreadable);
    source.announce(1).await;
    assert_eq!(hearer.change().await.0.revision, 1);
}

/// What an acknowledged message that the broker lost looks like: its sequence is spent, and nothing is on the stream.
async fn announce_into_the_void(source: &Source) {
    let announce_and_lose = |c: &rusqlite::Connection| {
        outbox::announce(
            c,
            &Announcement {
                kind: "test.changed.v1",
                entity: 7,
                revision: 0,
                data: serde_json::json!({}),
                fragment: None,
            },
        )?;
        c.execute("DELETE FROM outbox", []).map(drop).map_err(Error::from)
    };
    source.database.write(announce_and_lose).await.unwrap();
}

#[tokio::test]
async fn a_watermark_reveals_what_was_lost_before_it_counts() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    announce_into_the_void(&source).await;
    let acknowledged = jiff::Timestamp::now();
    loop {
        match hearer.next().await {
            Heard::Loss(loss) => break assert_eq!(loss.cause, Cause::Behind),
            Heard::Watermark(watermark) => assert!(
                watermark.complete_until <= acknowledged,
                "it counts before the loss is told"
            ),
            Heard::Change(change) => panic!("{change:?} was lost"),
        }
    }
}

#[tokio::test]
async fn a_change_after_a_lost_one_is_told_after_the_loss() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    let two = |c: &rusqlite::Connection| {
        for revision in 1..=2 {
            outbox::announce(
                c,
                &Announcement {
                    kind: "test.changed.v1",
                    entity: 7,
                    revision,
                    data: serde_json::json!({}),
                    fragment: None,
                },
            )?;
        }
        c.execute("DELETE FROM outbox WHERE sequence = 1", [])
            .map(drop)
            .map_err(Error::from)
    };
    source.database.write(two).await.unwrap();
    loop {
        match hearer.next().await {
            Heard::Loss(loss) => break assert_eq!(loss.cause, Cause::Gap),
            Heard::Watermark(_) => {}
            Heard::Change(change) => panic!("{change:?} comes before the loss it reveals"),
        }
    }
    assert_eq!(hearer.change().await.0.revision, 2);
}

#[tokio::test]
async fn no_watermark_counts_what_a_limit_left_behind() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    nats.kill();
    let many = |c: &rusqlite::Connection| {
        for revision in 1..=5000 {
            outbox::announce(
                c,
                &Announcement {
                    kind: "test.changed.v1",
                    entity: 7,
                    revision,
                    data: serde_json::json!({}),
                    fragment: None,
                },
            )?;
        }
        Ok::<_, Error>(())
    };
    source.database.write(many).await.unwrap();
    nats.restart();
    for revision in 1..=5000 {
        assert_eq!(hearer.change().await.0.revision, revision); // a watermark too early would be a loss: panics
    }
}

#[tokio::test]
async fn the_moment_of_a_watermark_is_taken_before_the_outbox_is_read() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    // All four readers are held, so that the relay's next read waits.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let held: Vec<_> = (0..4)
        .map(|_| {
            let (database, wait) = (source.database.clone(), wait.clone());
            tokio::spawn(async move {
                database
                    .read(move |_| {
                        let _ = wait.lock().unwrap().recv();
                        Ok::<_, Error>(())
                    })
                    .await
            })
        })
        .collect();
    // until the watermarks stop: the relay waits for a reader
    while timeout(Duration::from_millis(600), hearer.heard.recv())
        .await
        .is_ok()
    {}
    let released = jiff::Timestamp::now();
    drop(go);
    for held in held {
        held.await.unwrap().unwrap();
    }
    let Heard::Watermark(watermark) = hearer.next().await else {
        panic!("a watermark is next")
    };
    assert!(
        watermark.complete_until < released,
        "it was waiting with its moment taken"
    );
}

#[tokio::test]
async fn a_row_that_the_stream_refuses_goes_out_without_its_fragment_and_blocks_nothing() {
    let nats = NatsServer::start();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let small = async_nats::jetstream::stream::Config {
        name: "EVENTS".to_owned(),
        subjects: vec!["events.>".to_owned()],
        max_message_size: 2000,
        ..Default::default()
    };
    async_nats::jetstream::new(client)
        .create_stream(small)
        .await
        .unwrap();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source
        .announce_carrying(1, serde_json::json!({ "name": "x".repeat(3000) }))
        .await;
    source.announce(2).await;
    let (first, second) = (hearer.change().await.0, hearer.change().await.0);
    assert_eq!((first.revision, &first.data[..]), (1, &br#"{"thing":7}"#[..]));
    assert_eq!(second.revision, 2);
}

#[tokio::test]
async fn watermarks_go_on_while_the_writer_is_busy() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.announce(1).await;
    let (release, held) = std::sync::mpsc::channel::<()>();
    let database = source.database.clone();
    let busy = tokio::spawn(async move {
        database
            .write(move |_| {
                let _ = held.recv();
                Ok::<_, Error>(())
            })
            .await
    });
    let announced = hearer.change().await.0.time;
    for _ in 0..6 {
        let Heard::Watermark(_) = hearer.next().await else {
            panic!("only watermarks are due")
        };
    }
    assert!(!busy.is_finished(), "the writer was busy since {announced}");
    drop(release);
    busy.await.unwrap().unwrap();
}
