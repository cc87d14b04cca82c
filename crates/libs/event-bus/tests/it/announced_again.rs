//! A source announces everything again where the stream does not tell it any more.

use event_bus::history::{Bounds, History, PastChange};
use event_bus::outbox::Announcement;
use event_bus::{Broker, Nonce, RelayOptions};
use group_commit::{Connection, Error, params};
use tempfile::TempDir;
use test_support::{NatsServer, eventually};

use crate::stack::{LONG, Source, Unpublished, jetstream, options, topology};

/// What the source has: two things.
fn everything(
    _: &Connection<'_>,
    announce: &mut dyn FnMut(&Announcement<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for (entity, revision) in [(7, 3), (8, 1)] {
        announce(&Announcement {
            kind: "test.changed.v1",
            entity,
            revision,
            nonce: Nonce(1),
            data: serde_json::json!({}),
            fragment: None,
        })?;
    }
    Ok(())
}

fn announcing_everything() -> RelayOptions {
    RelayOptions {
        everything: Some(everything),
        ..options("things")
    }
}

async fn start(folder: TempDir, nats: &NatsServer) -> Source {
    Unpublished::open(folder)
        .publish(announcing_everything(), nats.url().as_str())
        .await
}

/// The source after it published both things.
async fn published(nats: &NatsServer) -> Source {
    let source = start(tempfile::tempdir().unwrap(), nats).await;
    source.publish(7, 3).await;
    source.publish(8, 1).await;
    source
}

/// Which entities are on the stream, with the revision of the last change.
async fn told(nats: &NatsServer) -> Vec<(String, u64)> {
    let broker = Broker::connect(&nats.url(), "reader", topology()).await.unwrap();
    let bounds = Bounds {
        changes: 100,
        within: LONG,
    };
    let mut history = History::new(broker, &["things"], bounds);
    let mut told = Vec::new();
    while let Some(PastChange { event, .. }) = history.next().await {
        told.push((event.entity, event.revision));
    }
    told
}

async fn until_told_everything(nats: &NatsServer) {
    eventually(LONG, async || {
        let told = told(nats).await;
        let all = told == [("7".to_owned(), 3), ("8".to_owned(), 1)];
        all.then_some(()).ok_or(format!("{told:?}"))
    })
    .await;
}

/// The count of the source: how much it ever announced.
async fn count(source: &Source) -> u64 {
    let count = |c: &Connection<'_>| {
        c.query_one("SELECT sequence FROM outbox_state", params![], |row| {
            row.get("sequence")
        })
    };
    source.database.read(count).await.unwrap()
}

#[tokio::test]
async fn after_a_stream_that_was_deleted_while_it_publishes() {
    let nats = NatsServer::start();
    let source = published(&nats).await;
    jetstream(&nats).await.delete_stream("EVENTS").await.unwrap();
    until_told_everything(&nats).await;
    assert_eq!(count(&source).await, 4);
}

#[tokio::test]
async fn after_a_stream_that_was_deleted_while_it_was_stopped() {
    let nats = NatsServer::start();
    let folder = published(&nats).await.stop().await;
    jetstream(&nats).await.delete_stream("EVENTS").await.unwrap();
    let _source = start(folder, &nats).await;
    until_told_everything(&nats).await;
}

#[tokio::test]
async fn after_a_stream_that_lost_its_end() {
    let nats = NatsServer::start();
    let source = published(&nats).await;
    let folder = source.stop().await;
    let stream = jetstream(&nats).await.get_stream("EVENTS").await.unwrap();
    let lost = stream
        .get_last_raw_message_by_subject("events.things.8")
        .await
        .unwrap();
    for sequence in lost.sequence..=stream.cached_info().state.last_sequence {
        stream.delete_message(sequence).await.unwrap();
    }
    assert_eq!(told(&nats).await, [("7".to_owned(), 3)]);
    let _source = start(folder, &nats).await;
    until_told_everything(&nats).await;
}

#[tokio::test]
async fn after_it_was_set_back() {
    let nats = NatsServer::start();
    published(&nats).await.stop().await;
    // As after a restore of a backup that is empty.
    let source = start(tempfile::tempdir().unwrap(), &nats).await;
    eventually(LONG, async || {
        let count = count(&source).await;
        (count == 2).then_some(()).ok_or(count)
    })
    .await;
}

#[tokio::test]
async fn not_after_it_was_restarted_or_was_cut_off() {
    let mut nats = NatsServer::start();
    let folder = published(&nats).await.stop().await;
    let source = start(folder, &nats).await;
    source.publish(7, 4).await;
    nats.kill();
    source.announce_of(7, 5).await;
    nats.restart();
    source.until_published().await;
    // Whatever is announced again is in the outbox before the claim, and so before what was published now.
    assert_eq!(count(&source).await, 4);
}
