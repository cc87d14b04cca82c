//! One service with a database and a broker of its own; its methods are a user's verbs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use accounts::Config;
use clap::Parser as _;
use reqwest::{Client, Method, RequestBuilder, Response};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use test_support::NatsServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct TestApp {
    pub(crate) nats: NatsServer,
    pub(crate) address: SocketAddr,
    client: Client,
    folder: TempDir,
    stop: DropGuard,
    running: JoinHandle<()>,
}

impl TestApp {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    pub(crate) async fn spawn_with(flags: &[&str]) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), NatsServer::start(), flags).await
    }

    async fn spawn_in(folder: TempDir, nats: NatsServer, flags: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let database: PathBuf = folder.path().join("accounts.db");
        let arguments = [
            "accounts",
            "--database",
            database.to_str().unwrap(),
            "--nats-url",
            &nats.url(),
        ];
        let config = Config::parse_from(arguments.iter().chain(flags));
        let stop = CancellationToken::new();
        let run = accounts::run(config, listener, stop.clone());
        let running = tokio::spawn(async { run.await.unwrap() });
        Self {
            nats,
            address,
            client: Client::new(),
            folder,
            stop: stop.drop_guard(),
            running,
        }
    }

    /// The service ends and begins again on the same database and broker.
    pub(crate) async fn respawn(self, flags: &[&str]) -> Self {
        drop(self.stop);
        self.running.await.unwrap();
        Self::spawn_in(self.folder, self.nats, flags).await
    }

    /// The service's own file, to lay things into that it does not take.
    pub(crate) fn database(&self) -> Connection {
        let connection = Connection::open(self.folder.path().join("accounts.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn get_if_none_match(&self, path: &str, etag: &str) -> Response {
        self.request(Method::GET, path)
            .header("if-none-match", etag)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, body: &Value) -> Response {
        self.request(Method::POST, "/accounts")
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn patch(&self, id: i64, body: &Value) -> Response {
        self.request(Method::PATCH, &format!("/accounts/{id}"))
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, id: i64) -> Response {
        self.request(Method::DELETE, &format!("/accounts/{id}"))
            .send()
            .await
            .unwrap()
    }

    /// Creates an account and returns its id.
    pub(crate) async fn account(&self, name: &str) -> i64 {
        let response = self.post(&serde_json::json!({ "name": name })).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {response:?}"))
        .to_str()
        .unwrap()
}

/// What an `ETag` says: the incarnation, the revision and the nonce of an answer's version.
pub(crate) fn version(etag: &str) -> (String, u64, String) {
    let mut words = etag.trim_matches('"').split('-').map(str::to_owned);
    let mut next = || words.next().expect("an ETag names a version");
    let (incarnation, revision, nonce, form) = (next(), next(), next(), next());
    assert_eq!(form, "v1");
    (incarnation, revision.parse().unwrap(), nonce)
}
