//! Reading the past tells the last change of each entity, and ends.

use std::time::{Duration, Instant};

use event_bus::Broker;
use event_bus::history::{Bounds, CutShort, History, PastChange};
use test_support::NatsServer;

use crate::stack::{LONG, Source, put, topology};

const ALL: Bounds = Bounds {
    changes: 10_000,
    within: LONG,
};

/// Which source, which entity, which revision.
type Told = (usize, String, u64);

async fn history(nats: &NatsServer, sources: &[&str], bounds: Bounds) -> History {
    let broker = Broker::connect(&nats.url(), "reader", topology()).await.unwrap();
    History::new(broker, sources, bounds)
}

async fn read(nats: &NatsServer, sources: &[&str], bounds: Bounds) -> (History, Vec<Told>) {
    let mut history = history(nats, sources, bounds).await;
    let mut changes = Vec::new();
    while let Some(PastChange { source, event, .. }) = history.next().await {
        changes.push((source, event.entity, event.revision));
    }
    (history, changes)
}

#[tokio::test]
async fn the_last_change_of_each_entity_of_the_sources_asked_about_is_told_in_order() {
    let nats = NatsServer::start();
    let folder = || tempfile::tempdir().unwrap();
    let things = Source::start_as("things", folder(), &nats).await;
    let others = Source::start_as("others", folder(), &nats).await;
    let unasked = Source::start_as("unasked", folder(), &nats).await;
    things.publish(7, 1).await;
    things.publish(8, 1).await;
    others.publish(7, 5).await;
    unasked.publish(7, 9).await;
    things.publish(7, 2).await;
    let (reading, changes) = read(&nats, &["others", "things"], ALL).await;
    let expected = [(1, "8", 1), (0, "7", 5), (1, "7", 2)].map(|(s, e, r)| (s, e.to_owned(), r));
    assert_eq!(changes, expected);
    assert_eq!((reading.told(), reading.unreadable()), (3, 0));
    assert!(reading.cut_short().is_none(), "{reading:?}");
}

#[tokio::test]
async fn more_than_one_batch_is_read_to_its_end() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    for entity in 0..300 {
        source.announce_of(entity, 1).await;
    }
    source.until_published().await;
    let (reading, changes) = read(&nats, &["things"], ALL).await;
    let entities: Vec<_> = changes.into_iter().map(|(_, entity, _)| entity).collect();
    assert_eq!(entities, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(reading.cut_short().is_none(), "{reading:?}");
}

#[tokio::test]
async fn it_ends_where_the_stream_ended_when_it_began_though_more_keeps_coming() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    for entity in 0..300 {
        source.announce_of(entity, 1).await;
    }
    source.until_published().await;
    let mut entities = Vec::new();
    let mut reading = history(&nats, &["things"], ALL).await;
    while let Some(PastChange { event, .. }) = reading.next().await {
        let entity: i64 = event.entity.parse().unwrap();
        entities.push(entity);
        // One more for each that is told: it would go on for ever.
        source.publish(1000 + entity, 1).await;
    }
    assert_eq!(entities, (0..300).collect::<Vec<_>>());
    assert!(reading.cut_short().is_none(), "{reading:?}");
}

#[tokio::test]
async fn no_more_changes_are_told_than_are_wanted() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    for entity in 0..3 {
        source.publish(entity, 1).await;
    }
    let wanted = |changes| Bounds { changes, ..ALL };
    let (reading, changes) = read(&nats, &["things"], wanted(2)).await;
    assert_eq!((reading.told(), changes.len()), (2, 2));
    assert!(
        matches!(reading.cut_short(), Some(CutShort::Changes)),
        "{reading:?}"
    );
    let (reading, _) = read(&nats, &["things"], wanted(3)).await;
    assert!(
        reading.cut_short().is_none(),
        "three are all there are: {reading:?}"
    );
}

#[tokio::test]
async fn it_takes_no_longer_than_it_may() {
    let mut nats = NatsServer::start();
    let source = Source::start(&nats).await;
    for entity in 0..3 {
        source.publish(entity, 1).await;
    }
    let within = Duration::from_secs(2);
    let bounds = Bounds { within, ..ALL };
    let mut reading = history(&nats, &["things"], bounds).await;
    while reading.next().await.is_some() {
        tokio::time::sleep(within).await; // a slow caller
    }
    assert_eq!(reading.told(), 1);
    assert!(matches!(reading.cut_short(), Some(CutShort::Time)), "{reading:?}");

    nats.kill();
    let began = Instant::now();
    let (reading, changes) = read(&nats, &["things"], bounds).await;
    assert!(began.elapsed() < within * 2, "took {:?}", began.elapsed());
    assert!(changes.is_empty());
    assert!(matches!(reading.cut_short(), Some(CutShort::Time)), "{reading:?}");
}

#[tokio::test]
async fn a_stream_that_is_not_there_or_empty_is_read_at_once() {
    let nats = NatsServer::start();
    for _ in 0..2 {
        let (reading, changes) = read(&nats, &["things"], ALL).await;
        assert!(changes.is_empty());
        assert!(reading.cut_short().is_none(), "{reading:?}");
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_skipped_and_counted() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    source.publish(1, 1).await;
    put(&nats, "events.things.2").await;
    source.publish(3, 1).await;
    // In a task of its own, as a service would.
    let reading = tokio::spawn(async move { read(&nats, &["things"], ALL).await });
    let (reading, changes) = reading.await.unwrap();
    let entities: Vec<_> = changes.iter().map(|(_, entity, _)| entity.as_str()).collect();
    assert_eq!(entities, ["1", "3"]);
    assert_eq!((reading.told(), reading.unreadable()), (2, 1));
    assert!(reading.cut_short().is_none(), "{reading:?}");
}
