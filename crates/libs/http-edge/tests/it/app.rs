//! A small service behind the edge, on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get, post};
use http_edge::{EdgeOptions, Json, Path, Problem, Query, Readiness, ServeOptions};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::observed::Trace;

/// The service and a client of it; stops when dropped.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) client: reqwest::Client,
    /// Lets one request at `/held` go on.
    pub(crate) release: Arc<Notify>,
    _stop: DropGuard,
}

/// Bounds that a test reaches quickly.
pub(crate) const OPTIONS: EdgeOptions = EdgeOptions {
    body_limit: 1000,
    deadline: Duration::from_secs(30),
    concurrency: 2,
    sampler: None,
};

impl TestApp {
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(Readiness::always(), OPTIONS).await
    }

    pub(crate) async fn spawn_with(ready: Readiness, options: EdgeOptions) -> Self {
        let _providers_first = Trace::new();
        let release = Arc::new(Notify::new());
        let router = http_edge::edge(routes(Arc::clone(&release)), ready, options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(http_edge::serve(
            listener,
            router,
            ServeOptions::default(),
            stop.clone(),
        ));
        Self {
            address,
            client: http_edge::client(),
            release,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> RequestBuilder {
        let request = self
            .client
            .post(self.url(path))
            .header("content-type", "application/json");
        request.body(body.to_owned())
    }

    /// What `GET` answers in this trace.
    pub(crate) async fn get_in(&self, trace: &Trace, path: &str) -> Response {
        self.get(path)
            .header("traceparent", trace.parent())
            .send()
            .await
            .unwrap()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
    #[serde(default, deserialize_with = "http_edge::present")]
    note: Option<String>,
}

#[derive(Deserialize)]
struct Range {
    limit: Option<u32>,
}

fn routes(release: Arc<Notify>) -> Router {
    Router::new()
        .route("/things/{id}", get(show_thing))
        .route("/things", post(add_thing).get(list_things))
        .route("/panic", get(panicking))
        .route("/broken", get(|| async { Problem::internal(Outer(Inner)) }))
        .route("/held", get(|| async move { release.notified().await }))
        .route("/never", any(std::future::pending::<()>))
        .route("/stuck", get(stuck))
        .route("/asking", get(ask_another))
        .route("/status/{code}", get(answer_with))
}

async fn show_thing(Path(id): Path<u64>) -> Result<String, Problem> {
    look_up(id)
        .await
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "thing-not-found", "There is no such thing"))
}

#[tracing::instrument(skip_all)]
async fn look_up(id: u64) -> Option<String> {
    tracing::info!("looked up");
    (id < 100).then(|| format!("thing {id}"))
}

/// Asks another service, and says what it told it of its trace.
async fn ask_another() -> String {
    let another = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = another.local_addr().unwrap();
    let told = async |headers: HeaderMap| headers["traceparent"].to_str().unwrap().to_owned();
    let asked = tokio::spawn(axum::serve(another, Router::new().route("/", get(told))).into_future());
    let client = http_edge::client();
    let request = client.get(format!("http://{address}/"));
    let response = http_edge::send(&client, request, "GET /").await.unwrap();
    let told = response.text().await.unwrap();
    asked.abort();
    told
}

async fn answer_with(Path(code): Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

#[tracing::instrument]
async fn stuck() {
    std::future::pending().await
}

async fn panicking() {
    panic!("a panic that a test asked for")
}

async fn add_thing(Json(thing): Json<Thing>) -> (StatusCode, Json<String>) {
    (StatusCode::CREATED, Json(thing.note.unwrap_or(thing.name)))
}

async fn list_things(Query(range): Query<Range>) -> Json<u32> {
    Json(range.limit.unwrap_or(20))
}

#[derive(Debug)]
struct Outer(Inner);

#[derive(Debug)]
struct Inner;

impl std::fmt::Display for Outer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the thing cannot be stored")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl std::fmt::Display for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the disk is full")
    }
}

impl std::error::Error for Inner {}
