//! When a source says that it is ready.

use event_bus::{Broker, Relay, readiness};
use group_commit::{Connection, Database};
use test_support::{NatsServer, eventually};

use crate::stack::{LONG, MIGRATIONS, options, topology};

#[tokio::test]
async fn a_source_is_ready_with_and_without_its_broker_and_says_which() {
    let mut nats = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("db"), &MIGRATIONS).unwrap();
    let broker = Broker::connect(&nats.url(), "source", topology()).await.unwrap();
    let relay = Relay::new(database.clone(), broker.clone(), options("things"));
    let says = async |wanted: &str| {
        let (database, broker, relay) = (&database, &broker, &relay);
        eventually(LONG, async move || {
            let asked = readiness(database.clone(), broker.clone(), relay.publishing());
            let said = asked.await.unwrap();
            said.starts_with(wanted).then_some(()).ok_or(said)
        })
        .await;
    };
    says("the broker is connected").await;
    nats.kill();
    says("the broker is away").await;
    nats.restart();
    says("the broker is connected").await;
}

#[tokio::test]
async fn a_source_is_not_ready_while_its_database_does_not_answer() {
    let nats = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("db"), &MIGRATIONS).unwrap();
    let broker = Broker::connect(&nats.url(), "source", topology()).await.unwrap();
    let spoil = |c: &Connection<'_>| c.batch_execute("DROP TABLE outbox_state");
    database.write(spoil).await.unwrap();
    let relay = Relay::new(database.clone(), broker.clone(), options("things"));
    let reason = readiness(database, broker, relay.publishing()).await.unwrap_err();
    assert!(
        reason.starts_with("the database does not answer: no such table"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_source_that_cannot_write_is_ready_to_be_read_and_says_so() {
    let nats = NatsServer::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let database = Database::open(&path, &MIGRATIONS).unwrap();
    let broker = Broker::connect(&nats.url(), "source", topology()).await.unwrap();
    let relay = Relay::new(database.clone(), broker.clone(), options("things"));
    let ask = async || {
        let asked = readiness(database.clone(), broker.clone(), relay.publishing());
        asked.await.unwrap()
    };
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let change = |c: &Connection<'_>| c.batch_execute("CREATE TABLE more (n INTEGER)");
    database.write(change).await.unwrap_err();
    let said = ask().await;
    assert!(
        said.ends_with("; writes are refused: another process has locked the database"),
        "{said}"
    );
    foreign.execute_batch("ROLLBACK").unwrap();
    eventually(LONG, async || {
        let said = ask().await;
        if said.contains("writes are refused") {
            Err(said)
        } else {
            Ok(())
        }
    })
    .await;
}
