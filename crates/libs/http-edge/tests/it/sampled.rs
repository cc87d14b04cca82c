//! Which requests are traced, and what the others are like.

use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use http_edge::{EdgeOptions, Problem, Readiness};
use telemetry::{Sampler, TracesSampler};
use tower::ServiceExt as _;

use crate::app::{OPTIONS, TestApp};
use crate::observed::{Trace, all_spans};

/// Begins so many traces in a second, and follows ten times as many, whatever other tests do.
fn limited(router: Router, per_second: f64) -> Router {
    // First of all: the edge keeps the provider that it finds.
    let _observed = Trace::new();
    let options = EdgeOptions {
        sampler: Some(Sampler::new(TracesSampler::default(), Some(per_second)).unwrap()),
        ..EdgeOptions::default()
    };
    http_edge::edge(router, Readiness::always(), options)
}

async fn ask(router: &Router, path: &str, traceparent: Option<String>) -> Response {
    let request = Request::get(path);
    let request = traceparent
        .into_iter()
        .fold(request, |request, parent| request.header("traceparent", parent));
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// Without traces.
async fn untraced_app() -> TestApp {
    let options = EdgeOptions {
        sampler: Some(Sampler::new(TracesSampler::AlwaysOff, None).unwrap()),
        ..OPTIONS
    };
    TestApp::spawn_with(Readiness::always(), options).await
}

fn spans_named(name: &str) -> usize {
    all_spans().iter().filter(|span| span.name == name).count()
}

#[tracing::instrument(skip_all)]
async fn within_a_burst() {}

#[tokio::test]
async fn a_burst_is_answered_whole_and_traced_in_part() {
    let router = limited(Router::new().route("/burst/{id}", get(within_a_burst)), 100.0);
    let began = Instant::now();
    let mut named = 0;
    for request in 0..10_000 {
        let response = ask(&router, &format!("/burst/{request}"), None).await;
        assert_eq!(response.status(), 200);
        named += usize::from(response.headers().contains_key("trace-id"));
    }
    let most = 101 + usize::try_from(began.elapsed().as_millis()).unwrap() / 10;
    assert!((100..=most).contains(&named), "{named} of at most {most}");
    assert_eq!(spans_named("GET /burst/{id}"), named);
    assert_eq!(spans_named("within_a_burst"), named, "and none of the others");
}

#[tokio::test]
async fn a_client_that_wants_its_trace_gets_it_in_a_burst_too() {
    let router = limited(Router::new().route("/wanted", get(async || "here")), 1.0);
    for _ in 0..100 {
        ask(&router, "/wanted", None).await;
    }
    let trace = Trace::new();
    let response = ask(&router, "/wanted", Some(trace.parent())).await;
    assert_eq!(response.headers()["trace-id"], trace.id.as_str());
    trace.span("GET /wanted");
}

#[tokio::test]
async fn a_client_cannot_have_everything_traced() {
    let router = limited(Router::new().route("/greedy", get(async || "here")), 1.0);
    let (trace, began) = (Trace::new(), Instant::now());
    for _ in 0..1_000 {
        ask(&router, "/greedy", Some(trace.parent())).await;
    }
    let most = 11 + 10 * (1 + usize::try_from(began.elapsed().as_secs()).unwrap());
    let traced = trace.spans().len();
    assert!((10..=most).contains(&traced), "{traced} of at most {most}");
}

#[tokio::test]
async fn nothing_below_a_request_that_is_not_traced_reaches_an_exporter() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let request = app
        .get("/things/7")
        .header("traceparent", trace.untraced_parent());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(trace.spans().len(), 0);
    assert_eq!(trace.lines(), ["INFO message=looked up"], "the log goes on");
}

#[tokio::test]
async fn a_failure_that_is_not_traced_is_found_in_the_log() {
    let app = untraced_app().await;
    for path in ["/broken", "/status/500"] {
        let response = app.get(path).send().await.unwrap();
        assert_eq!(response.status(), 500);
        let trace = Trace::named(response.headers()["trace-id"].to_str().unwrap());
        let [line] = &trace.lines()[..] else {
            panic!("not one line of {}: {:?}", trace.id, trace.lines());
        };
        assert!(
            line.starts_with("ERROR message=the request failed status=500"),
            "{line}"
        );
        let body = response.text().await.unwrap();
        assert!(body.is_empty() || body.contains(&trace.id), "{body}");
        assert_eq!(trace.spans().len(), 0);
    }
}

#[tokio::test]
async fn a_success_that_is_not_traced_names_no_trace() {
    let app = untraced_app().await;
    let response = app.get("/status/200").send().await.unwrap();
    assert_eq!(response.headers().get("trace-id"), None);
}

#[tokio::test]
async fn who_is_asked_on_behalf_of_a_request_is_told_whether_it_is_traced() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let told = app.get_in(&trace, "/asking").await.text().await.unwrap();
    let asking = trace.span("GET /");
    assert_eq!(
        told,
        format!("00-{}-{}-01", trace.id, asking.span_context.span_id())
    );

    let untraced = Trace::new();
    let request = app
        .get("/asking")
        .header("traceparent", untraced.untraced_parent());
    let told = request.send().await.unwrap().text().await.unwrap();
    assert!(
        told.starts_with(&format!("00-{}-", untraced.id)) && told.ends_with("-00"),
        "{told}"
    );
    assert_eq!(untraced.spans().len(), 0);
}

#[tokio::test]
async fn the_answer_to_a_mistake_names_an_id() {
    let router = limited(
        Router::new().route("/mistaken", get(async || Problem::internal("a mistake"))),
        1.0,
    );
    for _ in 0..20 {
        let response = ask(&router, "/mistaken", None).await;
        let id = response.headers()["trace-id"].to_str().unwrap().to_owned();
        let body = to_bytes(response.into_body(), 1_000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(&id));
    }
}
