//! Sources that take everything and remember what the lab sent: the lab's own requests are what is tested here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use stack::sources::SourceClient;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What was sent to the metrics service: the account and its samples.
pub(crate) type Batch = (u64, Vec<Value>);

#[derive(Clone)]
struct Fake {
    last_id: Arc<AtomicU64>,
    refusals: Arc<AtomicUsize>,
    batches: mpsc::UnboundedSender<Batch>,
}

/// Starts all three on one port; the first `refusals` batches are answered with 503.
pub(crate) async fn start(refusals: usize) -> (SourceClient, mpsc::UnboundedReceiver<Batch>) {
    let (batches, sent) = mpsc::unbounded_channel();
    let fake = Fake {
        last_id: Arc::default(),
        refusals: Arc::new(refusals.into()),
        batches,
    };
    let router = Router::new()
        .route("/accounts", post(create))
        .route("/accounts/{id}/endpoints", post(create))
        .route("/accounts/{id}/samples", post(record))
        .with_state(fake);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!(
        "http://{}",
        listener.local_addr().expect("a bound socket has an address")
    );
    tokio::spawn(async { axum::serve(listener, router).await });
    (
        SourceClient::new(stack::PerSource::from_fn(|_| url.clone())),
        sent,
    )
}

async fn create(State(fake): State<Fake>) -> (StatusCode, Json<Value>) {
    let id = fake.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    (StatusCode::CREATED, Json(json!({ "id": id })))
}

async fn record(State(fake): State<Fake>, Path(account): Path<u64>, Json(body): Json<Value>) -> StatusCode {
    let refuse = |left: usize| left.checked_sub(1);
    if fake
        .refusals
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse)
        .is_ok()
    {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let samples = body["samples"].as_array().expect("a batch has samples").clone();
    let _ = fake.batches.send((account, samples));
    StatusCode::CREATED
}
