//! A page and three sources in one server, which do as a test says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use jiff::Timestamp;
use loadtest::client::{Account, Addresses, Client, Reading};
use loadtest::target::Target;
use serde_json::json;
use stack::{PerSource, Source};
use tokio::net::TcpListener;

const INCARNATION: &str = "0199f7c5a1b27cc38d4e5f6071829304";

/// What the fake does; every field may be changed while it runs.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// Until when no page is answered.
    pub(crate) stalled_until: Mutex<Option<Instant>>,
    /// The revision of accounts that pages show, whatever was written; none for the true one.
    pub(crate) frozen_at: Mutex<Option<u64>>,
    /// By how much pages date themselves too late.
    pub(crate) dated_too_late: Mutex<Duration>,
    /// What `Cache-Status` says behind `page; `.
    pub(crate) status: Mutex<Option<&'static str>>,
    /// Whether pages are refused.
    pub(crate) refusing: Mutex<bool>,
    /// What was committed at each source.
    revisions: PerSource<AtomicU64>,
    /// How many pages were asked for.
    pub(crate) reads: AtomicU64,
}

pub(crate) struct Fake {
    pub(crate) behaviour: Arc<Behaviour>,
    address: SocketAddr,
}

impl Fake {
    pub(crate) async fn spawn() -> Self {
        let behaviour = Arc::<Behaviour>::default();
        let routes = Router::new()
            .route("/accounts/{id}", get(show_page).patch(describe))
            .route("/accounts/{id}/endpoints/{endpoint}", patch(rename_endpoint))
            .route("/accounts/{id}/samples", post(record))
            .with_state(Arc::clone(&behaviour));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { behaviour, address }
    }

    /// One account, 7, asked for by a client of this fake.
    pub(crate) fn target(&self) -> Target {
        let root = format!("http://{}", self.address);
        let addresses = Addresses {
            page: root.clone(),
            sources: PerSource::from_fn(|_| root.clone()),
        };
        let account = Account {
            id: 7,
            endpoints: vec![70],
        };
        Target::new(Client::new(addresses), Reading::default(), vec![account])
    }
}

async fn show_page(State(behaviour): State<Arc<Behaviour>>, Path(id): Path<u64>) -> Response {
    behaviour.reads.fetch_add(1, Ordering::Relaxed);
    let stalled_until = *behaviour.stalled_until.lock().unwrap();
    if let Some(end) = stalled_until {
        tokio::time::sleep_until(end.into()).await;
    }
    if *behaviour.refusing.lock().unwrap() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    // The date first: a page is complete up to when it was begun.
    let date = Timestamp::now() + *behaviour.dated_too_late.lock().unwrap();
    let mut revisions = PerSource::from_fn(|source| behaviour.revisions[source].load(Ordering::SeqCst));
    if let Some(frozen) = *behaviour.frozen_at.lock().unwrap() {
        revisions[Source::Accounts] = frozen;
    }
    let tokens = revisions.iter();
    let tokens: Vec<_> = tokens
        .map(|(source, revision)| format!("{source}/{id}/{INCARNATION}={revision}-9f86d081884c7d65"))
        .collect();
    let status = behaviour.status.lock().unwrap().unwrap_or("hit");
    let headers = [
        ("cache-status", format!("page; {status}")),
        ("fresh-as-of", format!("{date:.3}")),
        ("consistency-token", tokens.join(", ")),
    ];
    (headers, "<!doctype html>".repeat(1000)).into_response()
}

async fn describe(State(behaviour): State<Arc<Behaviour>>, Path(id): Path<u64>) -> Response {
    committed(&behaviour, Source::Accounts, id)
}

async fn rename_endpoint(
    State(behaviour): State<Arc<Behaviour>>,
    Path((id, _)): Path<(u64, u64)>,
) -> Response {
    committed(&behaviour, Source::Endpoints, id)
}

async fn record(State(behaviour): State<Arc<Behaviour>>, Path(id): Path<u64>) -> Response {
    committed(&behaviour, Source::Metrics, id)
}

fn committed(behaviour: &Behaviour, source: Source, id: u64) -> Response {
    let revision = behaviour.revisions[source].fetch_add(1, Ordering::SeqCst) + 1;
    let token = format!("{source}/{id}/{INCARNATION}={revision}-9f86d081884c7d65");
    (
        [("consistency-token", token)],
        Json(json!({ "revision": revision })),
    )
        .into_response()
}
