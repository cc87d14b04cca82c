//! What the edge adds to a request, without a network: the router is called as the service that it is.
//!
//! `cargo bench -p http-edge`. The handler is ready at once, so that a request is one call and one poll; what is
//! read is the difference to `bare`.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the measurement")]

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use divan::{Bencher, black_box};
use http_edge::{EdgeOptions, Readiness};
use telemetry::{Sampler, Telemetry, TelemetryConfig, TracesSampler};
use tokio::runtime::Runtime;
use tower::Service;

/// Telemetry as a service starts it, and the runtime that deadlines need.
static RUNNING: LazyLock<(Telemetry, Runtime)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    (
        telemetry::start("bench", &TelemetryConfig::default()).unwrap(),
        runtime,
    )
});

fn main() {
    LazyLock::force(&RUNNING);
    divan::main();
}

fn routes() -> Router {
    Router::new()
        .route("/plain/{id}", get(async || "a small answer"))
        .route("/spans/{id}", get(with_a_span))
}

#[tracing::instrument(skip_all, fields(outcome = tracing::field::Empty))]
async fn with_a_span() -> &'static str {
    tracing::Span::current().record("outcome", "hit");
    "a small answer"
}

/// All requests are traced, or none.
fn edge(sampler: TracesSampler) -> Router {
    let options = EdgeOptions {
        sampler: Some(Sampler::new(sampler, None).unwrap()),
        ..EdgeOptions::default()
    };
    http_edge::edge(routes(), Readiness::always(), options)
}

/// A request as a browser's or a load generator's, in a trace of its own if it says so.
fn request(path: &str, traceparent: Option<&'static str>) -> Request {
    let request = Request::get(path)
        .header("host", "127.0.0.1:8080")
        .header("accept", "*/*");
    let request = traceparent
        .into_iter()
        .fold(request, |request, parent| request.header("traceparent", parent));
    request.body(Body::empty()).unwrap()
}

#[inline(never)]
fn answer(router: &mut Router, request: Request) -> Response {
    let answer = pin!(Service::call(router, request));
    let Poll::Ready(Ok::<_, Infallible>(response)) = answer.poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("the handler waits for nothing");
    };
    response
}

fn measure(bencher: Bencher<'_, '_>, mut router: Router, path: &str, traceparent: Option<&'static str>) {
    let _runtime = RUNNING.1.enter();
    // As `serve` does once.
    router = router.with_state(());
    assert_eq!(answer(&mut router, request(path, traceparent)).status(), 200);
    bencher
        .with_inputs(|| request(path, traceparent))
        .bench_local_values(|request| answer(black_box(&mut router), request));
}

const SAMPLED: Option<&str> = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");

#[divan::bench(sample_count = 5000, sample_size = 16)]
fn bare(bencher: Bencher<'_, '_>) {
    measure(bencher, routes(), "/plain/7", None);
}

/// The usual request under load.
#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_not_traced(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::AlwaysOff), "/plain/7", None);
}

/// As it is by default: up to a hundred in a second are traced, which is one in thousands here.
#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_by_default(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::default()), "/plain/7", None);
}

/// Of a client that wants its traces, which are more than are followed.
#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_beyond_the_limit(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::default()), "/plain/7", SAMPLED);
}

#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_not_traced_with_a_span_within(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::AlwaysOff), "/spans/7", None);
}

#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_traced(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::AlwaysOn), "/plain/7", None);
}

#[divan::bench(sample_count = 5000, sample_size = 16)]
fn edge_traced_with_a_span_within(bencher: Bencher<'_, '_>) {
    measure(bencher, edge(TracesSampler::AlwaysOn), "/spans/7", None);
}
