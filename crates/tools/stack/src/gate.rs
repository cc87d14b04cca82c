//! A proxy in front of a source that counts requests, can hold one before it goes on, or its answer before it comes back,
//! and can answer in the source's place that nothing works.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// The proxy. Open at first.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    state: Arc<GateState>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct GateState {
    upstream: String,
    client: reqwest::Client,
    before: watch::Sender<bool>,
    after: watch::Sender<bool>,
    /// Told of every request that is held, at either place.
    held: Notify,
    /// Whether every request is answered with 500, and the source is not asked.
    failing: AtomicBool,
    requests: AtomicU64,
}

impl Gate {
    /// Starts a proxy to the service at `upstream`.
    ///
    /// # Panics
    /// When no port of the loopback interface is free.
    pub async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let client = reqwest::Client::new();
        let (before, after) = (watch::Sender::new(false), watch::Sender::new(false));
        let state = Arc::new(GateState {
            upstream,
            client,
            before,
            after,
            held: Notify::new(),
            failing: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Self {
            address,
            state,
            server,
        }
    }

    /// Where to send requests.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds requests before the source has seen them.
    pub fn hold_requests(&self) {
        self.state.before.send_replace(true);
    }

    /// Holds answers that the source has already made.
    pub fn hold_answers(&self) {
        self.state.after.send_replace(true);
    }

    /// Waits until a request is held.
    pub async fn held(&self) {
        self.state.held.notified().await;
    }

    /// Answers every request with 500, in the source's place.
    pub fn fail(&self) {
        self.state.failing.store(true, Ordering::Relaxed);
    }

    /// How many requests arrived here.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Lets everything pass.
    pub fn open(&self) {
        self.state.failing.store(false, Ordering::Relaxed);
        self.state.before.send_replace(false);
        self.state.after.send_replace(false);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl GateState {
    async fn wait(&self, gate: &watch::Sender<bool>) {
        if *gate.borrow() {
            self.held.notify_one();
        }
        // The sender lives in `self`: waiting cannot fail.
        let _ = gate.subscribe().wait_for(|held| !held).await;
    }
}

async fn pass(State(gate): State<Arc<GateState>>, request: Request) -> Result<Response, StatusCode> {
    gate.requests.fetch_add(1, Ordering::Relaxed);
    if gate.failing.load(Ordering::Relaxed) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    gate.wait(&gate.before).await;
    let answer = gate.forward(request).await;
    gate.wait(&gate.after).await;
    answer.map_err(|_| StatusCode::BAD_GATEWAY)
}

impl GateState {
    async fn forward(&self, request: Request) -> Result<Response, reqwest::Error> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let url = format!("{}{}", self.upstream, parts.uri);
        let answer = self
            .client
            .request(parts.method, url)
            .headers(parts.headers)
            .body(body)
            .send()
            .await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
