//! What is not heard is reported, before anything that came after it.

use event_bus::outbox;
use event_bus::{Cause, Heard};
use group_commit::Error;
use test_support::NatsServer;

use crate::rig::{Hearer, Source, announce};

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
        announce(c, 0)?;
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
            announce(c, revision)?;
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
