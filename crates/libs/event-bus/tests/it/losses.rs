//! What is not received is reported, before anything that came after it.

use std::path::Path;

use event_bus::outbox;
use event_bus::{Cause, FeedItem};
use group_commit::{Connection, params};
use test_support::NatsServer;

use crate::stack::{Consumer, Source, announce, jetstream, put};

#[tokio::test]
async fn a_broker_whose_store_was_deleted_is_noticed_and_what_is_announced_after_is_received() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    consumer.change().await;
    nats.kill();
    nats.wipe();
    nats.restart();
    assert_eq!(consumer.until_loss().await, Cause::Stream);
    source.announce(2).await;
    // Relay and consumer race to the new stream: revision 2 is received, or a watermark says that it was missed.
    match consumer.next().await {
        FeedItem::Loss(loss) => assert_eq!(loss.cause, Cause::Behind),
        FeedItem::Change(change) => assert_eq!(change.event.revision, 2),
        FeedItem::Watermark(_) => assert_eq!(consumer.change().await.0.revision, 2),
        other => panic!("unexpected {other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_made_anew_and_noticed() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    consumer.change().await;
    jetstream(&nats).await.delete_stream("EVENTS").await.unwrap();
    assert_eq!(consumer.until_loss().await, Cause::Stream);
    source.announce(2).await;
    consumer.until_revision(2).await;
}

#[tokio::test]
async fn a_broker_set_back_is_noticed_and_what_is_announced_after_is_received() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.publish(7, 1).await;
    consumer.change().await;
    nats.kill();
    let backup = tempfile::tempdir().unwrap();
    copy(&nats.store(), backup.path());
    nats.restart();
    source.publish(7, 2).await;
    assert_eq!(consumer.change().await.0.revision, 2);
    consumer.nothing_lost_for(8).await;
    // With the source still, the stream stays behind what was received of it.
    let folder = source.stop().await;
    nats.kill();
    nats.wipe();
    copy(backup.path(), &nats.store());
    nats.restart();
    assert_eq!(consumer.until_loss().await, Cause::Stream);
    let source = Source::start_in(folder, &nats).await;
    source.publish(7, 3).await;
    consumer.until_revision(3).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_made_anew_is_another_incarnation_whose_first_changes_are_received() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    consumer.change().await;
    drop(source);
    let source = Source::start(&nats).await;
    assert_eq!(consumer.until_loss().await, Cause::NewIncarnation);
    source.announce(1).await;
    // The broker has seen a first change of this source before; it must not take this one for a repeat.
    let (event, repeat) = consumer.change().await;
    assert_eq!((event.sequence, repeat), (1, false));
}

#[tokio::test]
async fn a_renewed_incarnation_keeps_what_was_not_yet_published() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    source.announce(1).await;
    consumer.change().await;
    nats.kill();
    source.announce(2).await;
    source.announce(3).await;
    let before = source.incarnation().await;
    source.database.write(outbox::renew_incarnation).await.unwrap();
    assert_ne!(before, source.incarnation().await);
    // The relay has published the first of the old count: it is not the first of the new one.
    nats.restart();
    assert_eq!(consumer.until_loss().await, Cause::NewIncarnation);
    for (sequence, revision) in [(1, 2), (2, 3)] {
        let event = consumer.change().await.0;
        assert_eq!((event.sequence, event.revision), (sequence, revision));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_a_loss_of_its_source_and_what_follows_is_received() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    put(&nats, "events.things.7").await;
    source.announce(1).await;
    let loss = consumer.loss_before_any_change().await;
    assert_eq!((loss.source, loss.cause), (Some(0), Cause::Unreadable));
    assert_eq!(consumer.change().await.0.revision, 1);
}

#[tokio::test]
async fn a_watermark_that_cannot_be_read_is_a_loss_too() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    put(&nats, "events.things.watermark").await;
    source.announce(1).await;
    let loss = consumer.loss_before_any_change().await;
    assert_eq!((loss.source, loss.cause), (Some(0), Cause::Unreadable));
}

#[tokio::test]
async fn a_message_that_does_not_say_whose_it_is_is_a_loss_of_every_source() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    for (subject, revision) in [("events.things", 1), ("events.things.7.8", 2)] {
        put(&nats, subject).await;
        source.announce(revision).await;
        let loss = consumer.loss_before_any_change().await;
        assert_eq!((loss.source, loss.cause), (None, Cause::Unreadable), "{subject}");
        assert_eq!(consumer.change().await.0.revision, revision);
    }
    put(&nats, "events.others.7").await; // a source that this consumer does not care for
    source.announce(3).await;
    assert_eq!(consumer.change().await.0.revision, 3);
}

/// What an acknowledged message that the broker lost looks like: its sequence is spent, and nothing is on the stream.
async fn announce_into_the_void(source: &Source) {
    let announce_and_lose = |c: &Connection<'_>| {
        announce(c, 0)?;
        c.execute("DELETE FROM outbox", params![]).map(drop)
    };
    source.database.write(announce_and_lose).await.unwrap();
}

#[tokio::test]
async fn a_watermark_reveals_what_was_lost_before_it_counts() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    announce_into_the_void(&source).await;
    let acknowledged = jiff::Timestamp::now();
    loop {
        match consumer.next().await {
            FeedItem::Loss(loss) => break assert_eq!(loss.cause, Cause::Behind),
            FeedItem::Watermark(watermark) => assert!(
                watermark.complete_until <= acknowledged,
                "it counts before the loss is told"
            ),
            other => panic!("{other:?} was lost"),
        }
    }
}

#[tokio::test]
async fn a_change_after_a_lost_one_is_told_after_the_loss() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut consumer = Consumer::start(&nats).await;
    let two = |c: &Connection<'_>| {
        for revision in 1..=2 {
            announce(c, revision)?;
        }
        c.execute("DELETE FROM outbox WHERE sequence = 1", params![])
            .map(drop)
    };
    source.database.write(two).await.unwrap();
    loop {
        match consumer.next().await {
            FeedItem::Loss(loss) => break assert_eq!(loss.cause, Cause::Gap),
            FeedItem::Watermark(_) => {}
            other => panic!("{other:?} comes before the loss it reveals"),
        }
    }
    assert_eq!(consumer.change().await.0.revision, 2);
}
