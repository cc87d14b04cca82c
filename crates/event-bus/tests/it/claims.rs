//! One publisher per source, and databases that were set back: with a real broker, and copies of real databases.

use std::path::Path;
use std::time::Duration;

use event_bus::{Broker, Cause, Heard, Relay, RelayOptions, outbox};
use group_commit::{Database, Error};
use rusqlite::Connection;
use tempfile::TempDir;
use test_support::{NatsServer, eventually};
use tokio_util::sync::CancellationToken;

use crate::rig::{Hearer, LONG, MIGRATIONS, Source, Unpublished, announce, options, topology};

/// What a backup is: the files as they lie there, a write-ahead log included.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.path().join(file.file_name())).unwrap();
    }
    to
}

/// A database as it was at revision 1, and a hearer that has heard of revisions 2 to 5 since.
async fn set_back(nats: &NatsServer) -> (TempDir, Hearer) {
    let source = Source::start(nats).await;
    let mut hearer = Hearer::start(nats).await;
    source.publish(7, 1).await;
    let folder = source.stop().await;
    let backup = copy(folder.path());
    let source = Source::start_in(folder, nats).await;
    for revision in 2..=5 {
        source.publish(7, revision).await;
    }
    source.stop().await;
    hearer.until_revision(5).await;
    (backup, hearer)
}

#[tokio::test]
async fn a_database_that_was_set_back_gets_a_new_incarnation_and_what_it_writes_is_heard() {
    let nats = NatsServer::start();
    let (backup, mut hearer) = set_back(&nats).await;
    let restored = Source::start_in(backup, &nats).await;
    restored.announce(2).await;
    assert_eq!(hearer.until_loss().await, Cause::NewIncarnation);
    assert_eq!(hearer.change().await.0.revision, 2);
}

#[tokio::test]
async fn a_database_that_was_set_back_is_found_out_even_if_it_has_written_as_much_again_before() {
    let nats = NatsServer::start();
    let source = Source::start(&nats).await;
    let mut hearer = Hearer::start(&nats).await;
    source.publish(7, 1).await;
    // A hot copy: it has the claim that is live.
    let backup = copy(source.folder());
    source.publish(7, 2).await;
    hearer.until_revision(2).await;
    source.stop().await;
    let rewritten = Unpublished::open(backup);
    rewritten.announce(2).await;
    rewritten.announce(3).await;
    let _restored = rewritten.publish(options("things"), &nats.url()).await;
    assert_eq!(hearer.until_loss().await, Cause::NewIncarnation);
    hearer.until_revision(3).await;
}

#[tokio::test]
async fn of_a_database_that_was_set_back_everything_is_asked_again_though_the_stream_is_gone_too() {
    let mut nats = NatsServer::start();
    let (backup, mut hearer) = set_back(&nats).await;
    nats.kill();
    nats.wipe();
    nats.restart();
    let restored = Source::start_in(backup, &nats).await;
    assert_eq!(hearer.until_loss().await, Cause::Stream);
    let claimed = async { while !matches!(hearer.next_of_all().await, Heard::Claimed(_)) {} };
    tokio::time::timeout(LONG, claimed).await.expect("another claims");
    restored.announce(2).await;
    hearer.until_revision(2).await;
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
    let mut hearer = Hearer::start(&nats).await;
    twin.announce(9).await;
    original.publish(7, 3).await;
    assert!(original.publishing.claim().is_some() && twin.publishing.claim().is_none());
    loop {
        match hearer.next().await {
            Heard::Change(change) if change.event.revision == 3 => break,
            Heard::Change(change) => panic!("the twin was heard: {change:?}"),
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
    let renew = |c: &Connection| outbox::renew_incarnation(c).map_err(Error::from);
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
    let write = |c: &Connection| announce(c, 3).map_err(Error::from);
    database.write(write).await.unwrap();
    eventually(LONG, async || {
        second.claim().map(drop).ok_or("it does not publish")
    })
    .await;
    let mut hearer = Hearer::start(&nats).await;
    database
        .write(|c| announce(c, 4).map_err(Error::from))
        .await
        .unwrap();
    hearer.until_revision(4).await;
}
