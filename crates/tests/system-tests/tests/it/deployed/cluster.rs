//! The three brokers of the profile `cluster`.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::response::Response;
use serde_json::{Value, json};
use stack::Process;
use test_support::{NatsServer, eventually};

use super::{LONG, User, clone, deployed};

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_keep_every_event_also_in_a_stream_made_anew_and_go_on_without_one() {
    let mut brokers = start_three();
    let operator = User::sign_in(&brokers[2], "operator").await;
    let operator = jetstream::context::ContextBuilder::new()
        .timeout(Duration::from_secs(1))
        .build(operator.client);
    make_stream(&operator).await;

    let folder = tempfile::tempdir().unwrap();
    let accounts = start_accounts(&brokers[1], folder.path()).await;
    create_account(&accounts).await;
    until_in_stream(&operator, "events.accounts.1").await;
    assert_eq!(replicas_of_stream(&operator).await, 3);

    // Whoever notices that it is gone makes it anew, by its own setting.
    operator.delete_stream("EVENTS").await.unwrap();
    create_account(&accounts).await;
    until_in_stream(&operator, "events.accounts.2").await;
    assert_eq!(replicas_of_stream(&operator).await, 3);

    brokers[0].kill();
    create_account(&accounts).await;
    until_in_stream(&operator, "events.accounts.3").await;
}

async fn replicas_of_stream(operator: &jetstream::Context) -> usize {
    let mut stream = operator.get_stream("EVENTS").await.unwrap();
    stream.info().await.unwrap().config.num_replicas
}

/// On addresses of their own, which is all that differs from the file.
fn start_three() -> Vec<NatsServer> {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let routes = listeners.map(|listener| format!("nats://{}", listener.local_addr().unwrap()));
    let all = routes.join(",");
    let start = |(number, route): (usize, &String)| {
        let mut environment = deployed().environment;
        environment.push(("NATS_SERVER_NAME".to_owned(), format!("nats-{}", number + 1)));
        let arguments = ["--cluster", route, "--routes", &all].map(str::to_owned);
        NatsServer::start_with(
            &clone().join("deploy/nats/cluster.conf"),
            &environment,
            &arguments,
        )
    };
    routes.iter().enumerate().map(start).collect()
}

/// As the one-shot container does: again, until there is a leader to ask. Without one, nobody answers.
async fn make_stream(operator: &jetstream::Context) {
    let settings = std::fs::read(clone().join("deploy/nats/stream-of-three.json")).unwrap();
    let settings: Value = serde_json::from_slice(&settings).unwrap();
    eventually(LONG, async || {
        let asked = operator.request("STREAM.CREATE.EVENTS", &settings).await;
        match asked.map_err(|error| error.to_string())? {
            Response::Ok::<Value>(_) => Ok(()),
            Response::Err { error } => Err(error.to_string()),
        }
    })
    .await;
}

async fn start_accounts(broker: &NatsServer, folder: &Path) -> Process {
    let database = folder.join("accounts.db");
    let url = deployed().sign_in("accounts", &broker.url());
    let database = database.display().to_string();
    let arguments = [
        "--nats-url",
        &url,
        "--database",
        &database,
        "--stream-replicas",
        "3",
    ];
    Process::start("accounts", arguments.map(str::to_owned).to_vec()).await
}

async fn create_account(accounts: &Process) {
    let client = reqwest::Client::new();
    let request = client
        .post(accounts.url("/accounts"))
        .json(&json!({ "name": "a" }));
    assert!(request.send().await.unwrap().status().is_success());
}

async fn until_in_stream(operator: &jetstream::Context, subject: &str) {
    eventually(LONG, async || {
        let stream = operator
            .get_stream("EVENTS")
            .await
            .map_err(|error| error.to_string())?;
        let last = stream.get_last_raw_message_by_subject(subject).await;
        last.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
