//! One service with a database and a broker of its own; its methods are a user's verbs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser as _;
use endpoints::Config;
use reqwest::{Client, Method, RequestBuilder, Response};
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
        Self::spawn_on(NatsServer::start()).await
    }

    pub(crate) async fn spawn_on(nats: NatsServer) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), nats, &[]).await
    }

    pub(crate) async fn spawn_in(folder: TempDir, nats: NatsServer, flags: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let database = folder.path().join("endpoints.db");
        let arguments = [
            "endpoints",
            "--database",
            database.to_str().unwrap(),
            "--nats-url",
            &nats.url(),
        ];
        let config = Config::parse_from(arguments.iter().chain(flags));
        let stop = CancellationToken::new();
        let run = endpoints::run(config, listener, stop.clone());
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

    /// The service ends; its database and broker stay.
    pub(crate) async fn stop(self) -> (TempDir, NatsServer) {
        drop(self.stop);
        self.running.await.unwrap();
        (self.folder, self.nats)
    }

    /// The service ends and begins again on the same database and broker.
    pub(crate) async fn respawn(self, flags: &[&str]) -> Self {
        let (folder, nats) = self.stop().await;
        Self::spawn_in(folder, nats, flags).await
    }

    /// The service ends and begins again with an empty database.
    pub(crate) async fn respawn_reset(self) -> Self {
        let (_, nats) = self.stop().await;
        Self::spawn_on(nats).await
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("endpoints.db")
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
        self.request(Method::POST, &format!("/accounts/{account}/endpoints"))
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn patch(&self, account: i64, endpoint: i64, body: &Value) -> Response {
        self.request(Method::PATCH, &path_of(account, endpoint))
            .json(body)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, account: i64, endpoint: i64) -> Response {
        self.request(Method::DELETE, &path_of(account, endpoint))
            .send()
            .await
            .unwrap()
    }

    /// Adds an endpoint and returns its id.
    pub(crate) async fn endpoint(&self, account: i64, name: &str) -> i64 {
        let response = self.post(account, &an_endpoint(name)).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
    }

    /// The account's endpoints, as they are answered.
    pub(crate) async fn list(&self, account: i64) -> Value {
        let response = self.get(&format!("/accounts/{account}/endpoints")).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

pub(crate) fn an_endpoint(name: &str) -> Value {
    json!({ "name": name, "url": "https://example.org/" })
}

pub(crate) fn path_of(account: i64, endpoint: i64) -> String {
    format!("/accounts/{account}/endpoints/{endpoint}")
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {response:?}"))
        .to_str()
        .unwrap()
}

/// The revision in a mutation's token.
pub(crate) fn revision(response: &Response) -> u64 {
    version(header(response, "etag")).1
}

/// What an `ETag` says: the incarnation, the revision and the nonce of an answer's version.
pub(crate) fn version(etag: &str) -> (String, u64, String) {
    let mut words = etag.trim_matches('"').split('-').map(str::to_owned);
    let mut next = || words.next().expect("an ETag names a version");
    let (incarnation, revision, nonce, form) = (next(), next(), next(), next());
    assert_eq!(form, "v1");
    (incarnation, revision.parse().unwrap(), nonce)
}
