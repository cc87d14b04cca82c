//! One publisher per source, and databases that were set back: with a real broker, and copies of real databases.

use std::path::Path;
use std::time::Duration;

use async_nats::HeaderMap;
use event_bus::{Broker, Cause, FeedItem, Incarnation, Relay, RelayOptions, outbox};
use futures::StreamExt as _;
use group_commit::{Connection, Database, Error, params};
use tempfile::TempDir;
use test_support::{NatsServer, eventually};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::stack::{Consumer, LONG, MIGRATIONS, Source, Unpublished, announce, jetstream, options, topology};
use crate::watermarks::HeldReaders;

/// What a backup is: the files as they lie there, a write-ahead log included.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// A database as it was at revision 1, and a consumer that has seen revisions 2 to 5 since.
async fn set_back(nats: &NatsServer) -> (TempDir, Consumer) {
    let source = Source::start(nats).await;
    let mut consumer = Consumer::start(nats).await;
    source.publish(7, 1).await;
    let folder = source.stop().await;
    let backup = copy(folder.path());
    let source = Source::start_in(folder, nats).await;
    for revision in 2..=5 {
        source.publish(7, revision).await;
    }
    source.stop().await;
    consumer.until_revision(5).await;
    (backup, consumer)
}

#[tokio::test]
async fn a_database_that_was_set_back_gets_a_new_incarnation_and_what_it_writes_is_received() {
    let nats = NatsServer::start();
    let (backup, mut consumer) = set_back(&nats).await;
    let restored = Source::start_in(backup, &nats).await;
    restored.announce(2).await;
    assert_eq!(consumer.until_loss().await, Cause::NewIncarnation);
    assert_eq!(consumer.change().await.0.revision, 2);
}

#[tokio::test]
async fn a_database_that_was_set_back_is_found_out_even_if_it_has_written_as_much_again_before() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.publish(7, 1).await;
    // A hot copy: it has the claim that is live.
    let backup = copy(source.folder());
    source.publish(7, 2).await;
    consumer.until_revision(2).await;
    source.stop().await;
    let rewritten = Unpublished::open(backup);
    rewritten.announce(2).await;
    rewritten.announce(3).await;
    let _restored = rewritten.publish(options("things"), &nats.url()).await;
    assert_eq!(consumer.until_loss().await, Cause::NewIncarnation);
    consumer.until_revision(3).await;
}

#[tokio::test]
async fn a_database_that_was_set_back_to_a_copy_with_the_live_claim_is_found_out_by_its_count() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.publish(7, 1).await;
    let backup = copy(source.folder());
    source.publish(7, 2).await;
    consumer.until_revision(2).await;
    consumer.nothing_lost_for(1).await; // a watermark counts it
    source.stop().await;
    let restored = Source::start_in(backup, &nats).await;
    assert_eq!(consumer.until_loss().await, Cause::NewIncarnation);
    restored.announce(2).await;
    consumer.until_revision(2).await;
}

/// An event as a publisher of this database left it on the stream, and of which its database knows nothing any more.
fn undone(incarnation: Incarnation, sequence: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let sequence = sequence.to_string();
    for (name, value) in [
        ("ce-id", "undone"),
        ("ce-type", "test.changed.v1"),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-revision", &sequence),
        ("ce-sequence", &sequence),
        ("ce-nonce", "0123456789abcdef"),
        ("ce-incarnation", &incarnation.to_string()),
    ] {
        headers.insert(name, value);
    }
    headers
}

#[tokio::test]
async fn a_database_that_was_set_back_is_found_out_by_an_event_that_no_watermark_counts_yet() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    source.publish(7, 1).await;
    let before = source.incarnation().await;
    let folder = source.stop().await;
    let jetstream = jetstream(&nats).await;
    let event = jetstream.publish_with_headers("events.things.7", undone(before, 2), "{}".into());
    event.await.unwrap().await.unwrap();
    let restored = Source::start_in(folder, &nats).await;
    eventually(LONG, async || {
        restored.publishing.claim().map(drop).ok_or("it does not publish")
    })
    .await;
    assert_ne!(restored.incarnation().await, before);
}

#[tokio::test]
async fn a_claim_is_not_published_before_it_is_stored() {
    let nats = NatsServer::start();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let mut received = client.subscribe("events.things.watermark").await.unwrap();
    client.flush().await.unwrap();
    let source = Unpublished::open(tempfile::tempdir().unwrap());
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
    let source = source.publish(options("things"), &nats.url()).await;
    // Longer than a claim takes, and than a publisher that lives is ever silent.
    let early = timeout(Duration::from_millis(1_500), received.next()).await;
    assert!(
        early.is_err(),
        "published while it could not be stored: {early:?}"
    );
    drop(release);
    busy.await.unwrap().unwrap();
    let published = timeout(LONG, received.next())
        .await
        .expect("it is published")
        .unwrap();
    let claim = published
        .headers
        .as_ref()
        .and_then(|headers| headers.get("ce-claim"));
    let claim = u64::from_str_radix(claim.expect("it is stated").as_str(), 16).unwrap();
    let stored = source.database.read(move |c| {
        let known = "SELECT EXISTS (SELECT 1 FROM claims WHERE claim = ?1) AS found";
        c.query_one(known, params![claim.cast_signed()], |row| {
            row.get::<bool>("found")
        })
    });
    assert!(stored.await.unwrap());
}

#[tokio::test]
async fn what_a_replaced_publisher_says_counts_no_more() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let (retired, incarnation) = (source.publishing.claim().unwrap(), source.incarnation().await);
    let _source = Source::start_in(source.stop().await, &nats).await;
    consumer.until_claimed().await;
    // The broker takes it, because it expects nothing, as nothing of ours does.
    let mut headers = undone(incarnation, 0);
    headers.insert("ce-claim", retired.to_string());
    let long_ago: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let body = serde_json::json!({ "complete_until": long_ago, "sequence": 0 }).to_string();
    let jetstream = jetstream(&nats).await;
    let watermark = jetstream.publish_with_headers("events.things.watermark", headers, body.into());
    watermark.await.unwrap().await.unwrap();
    // Whoever lives finds it there, and claims anew behind it.
    let mut foreign = false;
    loop {
        match consumer.next_of_all().await {
            FeedItem::Foreign { .. } => foreign = true,
            FeedItem::Watermark(watermark) => assert_ne!(watermark.complete_until, long_ago),
            FeedItem::Claimed(_) => break,
            _ => {}
        }
    }
    assert!(foreign, "it is told");
}

#[tokio::test]
async fn what_a_publisher_sends_after_another_one_has_claimed_is_not_taken() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    // It knows that it holds its claim, and waits to read what it is to send.
    let held = HeldReaders::hold(&source, &mut consumer).await;
    let mut headers = undone(Incarnation(1), 0);
    headers.insert("ce-type", "test.claim.v1");
    headers.insert("ce-claim", "0123456789abcdef");
    let jetstream = jetstream(&nats).await;
    let claim = jetstream.publish_with_headers("events.things.watermark", headers, "{}".into());
    claim.await.unwrap().await.unwrap();
    source.announce(1).await;
    drop(held);
    eventually(LONG, async || {
        source.publishing.is_refused().then_some(()).ok_or("not refused")
    })
    .await;
    let stream = jetstream.get_stream("EVENTS").await.unwrap();
    let event = stream.get_last_raw_message_by_subject("events.things.7").await;
    assert!(event.is_err(), "taken: {event:?}");
}

#[tokio::test]
async fn without_its_broker_a_publisher_soon_states_no_claim() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    source.publish(7, 1).await;
    assert!(source.publishing.claim().is_some());
    nats.kill();
    eventually(Duration::from_secs(5), async || match source.publishing.claim() {
        None => Ok(()),
        Some(claim) => Err(claim),
    })
    .await;
}

#[tokio::test]
async fn of_a_database_that_was_set_back_everything_is_asked_again_though_the_stream_is_gone_too() {
    let mut nats = NatsServer::start();
    let (backup, mut consumer) = set_back(&nats).await;
    nats.kill();
    nats.wipe();
    nats.restart();
    let restored = Source::start_in(backup, &nats).await;
    assert_eq!(consumer.until_loss().await, Cause::Stream);
    consumer.until_claimed().await;
    restored.announce(2).await;
    consumer.until_revision(2).await;
}

#[tokio::test]
async fn of_two_processes_with_copies_of_one_database_the_second_publishes_nothing() {
    let nats = NatsServer::start();
    let original = Source::start(&nats).await;
    original.publish(7, 1).await;
    let folder = original.stop().await;
    let copied = copy(folder.path());
    let original = Source::start_in(folder, &nats).await;
    original.publish(7, 2).await;

    let twin = Source::start_in(copied, &nats).await;
    eventually(LONG, async || {
        twin.publishing.is_refused().then_some(()).ok_or("not refused")
    })
    .await;
    let mut consumer = Consumer::start(&nats).await;
    twin.announce(9).await;
    original.publish(7, 3).await;
    assert!(original.publishing.claim().is_some() && twin.publishing.claim().is_none());
    loop {
        match consumer.next().await {
            FeedItem::Change(change) if change.event.revision == 3 => break,
            FeedItem::Change(change) => panic!("the twin was received: {change:?}"),
            _ => {}
        }
    }
    // The first one ends, and the second does not take over what it does not have.
    original.stop().await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(twin.publishing.is_refused());
}

#[tokio::test]
async fn who_was_replaced_by_its_operator_publishes_nothing_more_and_is_not_believed() {
    let nats = NatsServer::start();
    let former = Source::start(&nats).await;
    former.publish(7, 1).await;
    let copied = copy(former.folder());
    let renewed = Unpublished::open(copied);
    let renew = |c: &Connection<'_>| outbox::renew_incarnation(c);
    renewed.database.write(renew).await.unwrap();
    let replacing = RelayOptions {
        takes_over: true,
        ..options("things")
    };
    let latter = renewed.publish(replacing, &nats.url()).await;
    latter.publish(7, 2).await;
    eventually(LONG, async || {
        former.publishing.is_refused().then_some(()).ok_or("not refused")
    })
    .await;
    assert_eq!(former.publishing.claim(), None);
    assert!(latter.publishing.claim().is_some());
}

#[tokio::test]
async fn a_second_process_of_the_same_database_takes_over_when_the_first_is_silent() {
    let nats = NatsServer::start();
    let first = Source::start(&nats).await;
    first.publish(7, 1).await;
    let database = Database::open(&first.folder().join("db"), &MIGRATIONS).unwrap();
    let broker = Broker::connect(&nats.url(), "source", topology()).await.unwrap();
    let (relay, stop) = (
        Relay::new(database.clone(), broker, options("things")),
        CancellationToken::new(),
    );
    let second = relay.publishing();
    tokio::spawn(relay.run(stop.clone()));
    let _stop = stop.drop_guard();
    first.publish(7, 2).await;
    assert!(!second.is_refused());
    let _folder = first.stop().await;
    let write = |c: &Connection<'_>| announce(c, 3);
    database.write(write).await.unwrap();
    eventually(LONG, async || {
        second.claim().map(drop).ok_or("it does not publish")
    })
    .await;
    let mut consumer = Consumer::start(&nats).await;
    database.write(|c| announce(c, 4)).await.unwrap();
    consumer.until_revision(4).await;
}
