//! Processes that stand still: what the tests call paused must be, and must not outlive them.

use std::path::PathBuf;
use std::time::Duration;

use stack::Process;
use test_support::NatsServer;
use tokio::time::timeout;

/// How long a test waits for what must not come.
const A_WHILE: Duration = Duration::from_millis(300);

async fn accounts(nats: &NatsServer, folder: &tempfile::TempDir) -> Process {
    let database = folder.path().join("accounts.db").display().to_string();
    let flags = ["--nats-url", &nats.url(), "--database", &database];
    Process::start("accounts", flags.map(str::to_owned).to_vec()).await
}

/// What the system says of a process, as long as it knows it.
fn known(id: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{id}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_service_accepts_a_request_and_answers_it_once_it_goes_on() {
    let (nats, folder) = (NatsServer::start(), tempfile::tempdir().unwrap());
    let mut service = accounts(&nats, &folder).await;
    let request = reqwest::Client::new().get(service.url("/livez")).send();
    tokio::pin!(request);
    service.pause();
    assert!(
        timeout(A_WHILE, &mut request).await.is_err(),
        "it answered while it was paused"
    );
    assert!(service.is_alive());
    service.resume();
    assert_eq!(request.await.unwrap().status(), 200);
    service.kill().await;
    assert!(!service.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_service_is_killed_and_starts_again() {
    let (nats, folder) = (NatsServer::start(), tempfile::tempdir().unwrap());
    let mut service = accounts(&nats, &folder).await;
    service.pause();
    timeout(Duration::from_secs(20), service.restart(|_| {}))
        .await
        .unwrap();
    assert_eq!(reqwest::get(service.url("/livez")).await.unwrap().status(), 200);
    service.pause();
    let id = service.id();
    drop(service);
    test_support::eventually(Duration::from_secs(20), async || {
        if known(id).exists() {
            Err("it is still there")
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broker_answers_once_it_goes_on_and_ends_while_paused() {
    let mut nats = NatsServer::start();
    let client = async_nats::connect(nats.url()).await.unwrap();
    let mut subscription = client.subscribe("word").await.unwrap();
    client.flush().await.unwrap();
    nats.pause();
    client.publish("word", "a".into()).await.unwrap();
    let received = futures::StreamExt::next(&mut subscription);
    tokio::pin!(received);
    assert!(
        timeout(A_WHILE, &mut received).await.is_err(),
        "it passed a message on while it was paused"
    );
    nats.resume();
    assert_eq!(received.await.unwrap().payload, "a");
    nats.pause();
    nats.restart();
    nats.pause();
}
