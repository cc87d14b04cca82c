//! One service with a database and a broker of its own; its methods are a user's verbs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser as _;
use jiff::{SignedDuration, Timestamp};
use metrics::Config;
use reqwest::{Client, Method, RequestBuilder, Response};
use rusqlite::Connection;
use serde_json::{Value, json};
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
        let database = database_in(&folder);
        let arguments = [
            "metrics",
            "--database",
            database.to_str().unwrap(),
            "--nats-url",
            &nats.url(),
        ];
        let config = Config::parse_from(arguments.iter().chain(flags));
        let stop = CancellationToken::new();
        let run = metrics::run(config, listener, stop.clone());
        let running = tokio::spawn(async { run.await.unwrap() });
        let app = Self {
            nats,
            address,
            client: Client::new(),
            folder,
            stop: stop.drop_guard(),
            running,
        };
        assert_eq!(app.get("/livez").await.status(), 200, "its database is there");
        app
    }

    /// The service ends and begins again on the same database and broker.
    pub(crate) async fn respawn(self, flags: &[&str]) -> Self {
        self.respawn_while(flags, async || {}).await
    }

    /// The same, with something that happens while the service is away.
    pub(crate) async fn respawn_while(self, flags: &[&str], away: impl AsyncFnOnce()) -> Self {
        drop(self.stop);
        self.running.await.unwrap();
        away().await;
        Self::spawn_in(self.folder, self.nats, flags).await
    }

    /// The service ends and begins again with an empty database.
    pub(crate) async fn respawn_reset(self) -> Self {
        drop(self.stop);
        self.running.await.unwrap();
        Self::spawn_in(tempfile::tempdir().unwrap(), self.nats, &[]).await
    }

    /// The service's own file, to look into and to lay things into that would take a user days.
    pub(crate) fn database(&self) -> Connection {
        let connection = Connection::open(database_in(&self.folder)).unwrap();
        connection
            .busy_timeout(std::time::Duration::from_secs(10))
            .unwrap();
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

    pub(crate) async fn post(&self, account: i64, body: &Value) -> Response {
        self.request(Method::POST, &format!("/accounts/{account}/samples"))
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// Records the samples and returns the answer's body.
    pub(crate) async fn record(&self, account: i64, samples: &[Value]) -> Value {
        let response = self.post(account, &json!({ "samples": samples })).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body
    }

    /// The account's metrics in the window, as JSON.
    pub(crate) async fn metrics(&self, account: i64, window: &str) -> Value {
        let response = self
            .get(&format!("/accounts/{account}/metrics?window={window}"))
            .await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

fn database_in(folder: &TempDir) -> PathBuf {
    folder.path().join("metrics.db")
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {response:?}"))
        .to_str()
        .unwrap()
}

/// A sample of the endpoint, so many minutes ago, that was up.
pub(crate) fn sample(endpoint: i64, minutes_ago: i64, response_ms: u32) -> Value {
    let at = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
    sample_at(endpoint, at, "up", response_ms)
}

pub(crate) fn sample_at(endpoint: i64, at: Timestamp, state: &str, response_ms: u32) -> Value {
    let status_code = if state == "down" { 0 } else { 200 };
    json!({
        "endpoint_id": endpoint, "at": format!("{at:.3}"), "state": state,
        "status_code": status_code, "response_ms": response_ms,
    })
}

/// What an `ETag` says: the incarnation, the revision and the nonce of an answer's version.
pub(crate) fn version(etag: &str) -> (String, u64, String) {
    let mut words = etag.trim_matches('"').split('-').map(str::to_owned);
    let mut next = || words.next().expect("an ETag names a version");
    let (incarnation, revision, nonce, form) = (next(), next(), next(), next());
    assert_eq!(form, "v1");
    (incarnation, revision.parse().unwrap(), nonce)
}
