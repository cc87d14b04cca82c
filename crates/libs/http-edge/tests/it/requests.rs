//! Spans, metrics and log lines of requests.

use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status};
use test_support::eventually;

use crate::app::TestApp;
use crate::observed::{PARENT_SPAN, Trace, attribute};

#[tokio::test]
async fn a_request_is_a_child_of_its_client_and_the_parent_of_the_handlers_spans() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let response = app.get_in(&trace, "/things/7?limit=3").await;

    assert_eq!(response.headers()["trace-id"], trace.id.as_str());
    let (server, inner) = (trace.span("GET /things/{id}"), trace.span("look_up"));
    assert_eq!(server.parent_span_id.to_string(), PARENT_SPAN);
    assert_eq!(server.span_kind, SpanKind::Server);
    assert_eq!(inner.parent_span_id, server.span_context.span_id());
    assert_eq!(attribute(&server, "http.route").as_deref(), Some("/things/{id}"));
    assert_eq!(attribute(&server, "url.path").as_deref(), Some("/things/7"));
    assert_eq!(attribute(&server, "url.query").as_deref(), Some("limit=3"));
    assert_eq!(
        attribute(&server, "http.response.status_code").as_deref(),
        Some("200")
    );
    assert_eq!(trace.lines(), ["INFO message=looked up"]);
}

#[tokio::test]
async fn a_request_without_a_client_span_begins_a_trace_and_says_which() {
    let app = TestApp::spawn().await;
    let first = app.get("/things/7").send().await.unwrap();
    let second = app.get("/things/7").send().await.unwrap();
    let id = first.headers()["trace-id"].to_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_ne!(first.headers()["trace-id"], second.headers()["trace-id"]);
}

#[tokio::test]
async fn an_unknown_path_is_no_label() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    app.get_in(&trace, "/one/of/many").await;
    let server = trace.span("GET");
    assert_eq!(attribute(&server, "http.route"), None);
    assert_eq!(
        server.status,
        Status::Unset,
        "to a server, 4xx is no failure of its own"
    );
}

#[tokio::test]
async fn an_invented_method_is_no_label() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let method = reqwest::Method::from_bytes(b"FROBNICATE").unwrap();
    let request = app
        .client
        .request(method, app.url("/things/7"))
        .header("traceparent", trace.parent());
    assert_eq!(request.send().await.unwrap().status(), 405);
    assert_eq!(
        attribute(&trace.span("HTTP /things/{id}"), "http.request.method").as_deref(),
        Some("_OTHER")
    );
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_causes_and_told_to_nobody() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let response = app.get_in(&trace, "/broken").await;

    assert_eq!(response.status(), 500);
    let body = response.text().await.unwrap();
    assert!(body.contains(&trace.id) && !body.contains("disk"), "{body}");
    let line = r#"ERROR message=the request failed status=500 route="/broken" cause="the thing cannot be stored: the disk is full""#;
    assert_eq!(trace.lines(), [line]);
    let server = trace.span("GET /broken");
    assert_eq!(
        server.status,
        Status::error("the thing cannot be stored: the disk is full")
    );
    assert_eq!(attribute(&server, "error.type").as_deref(), Some("500"));
}

#[tokio::test]
async fn health_and_metrics_are_not_traced() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    for path in ["/livez", "/readyz", "/metrics"] {
        let response = app.get_in(&trace, path).await;
        assert_eq!(
            (response.status().as_u16(), response.headers().get("trace-id")),
            (200, None),
            "{path}"
        );
    }
    assert_eq!(trace.spans().len(), 0);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let app = TestApp::spawn().await;
    app.get("/things/7").send().await.unwrap();
    let text = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = text.lines().find(|line| {
        line.starts_with("http_server_request_duration_seconds_count{")
            && line.contains(r#"http_route="/things/{id}""#)
            && line.contains(r#"http_response_status_code="200""#)
            && line.contains(r#"url_scheme="http""#)
    });
    assert!(line.is_some(), "{text}");
    assert!(!text.contains("/things/7"), "{text}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_out_and_its_span_ends() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    // No other test uses PATCH: the metrics are the process's.
    let request = app
        .client
        .patch(app.url("/never"))
        .header("traceparent", trace.parent());
    assert!(
        request
            .timeout(Duration::from_millis(200))
            .send()
            .await
            .unwrap_err()
            .is_timeout()
    );

    let error_type = eventually(Duration::from_secs(5), async || {
        let ended = trace.spans().into_iter().find(|span| span.name == "PATCH /never");
        ended
            .map(|span| attribute(&span, "error.type"))
            .ok_or("the span has not ended")
    })
    .await;
    assert_eq!(error_type.as_deref(), Some("cancelled"));
    let text = app.get("/metrics").send().await.unwrap().text().await.unwrap();
    let mut active = text
        .lines()
        .filter(|line| line.starts_with("http_server_active_requests{"));
    let patched = active
        .find(|line| line.contains(r#"http_request_method="PATCH""#))
        .unwrap();
    assert!(patched.ends_with(" 0"), "{patched}");
}

#[tokio::test]
async fn what_a_client_that_goes_away_leaves_open_is_closed_in_its_trace() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let request = app.get("/stuck").header("traceparent", trace.parent());
    let request = request.timeout(Duration::from_millis(200));
    assert!(request.send().await.unwrap_err().is_timeout());
    let ended = eventually(Duration::from_secs(5), async || {
        let names: Vec<_> = trace.spans().into_iter().map(|span| span.name).collect();
        if names.len() == 2 {
            Ok(names)
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await;
    assert_eq!(ended, ["stuck", "GET /stuck"]);
}
