//! Requests from one service to another.

use opentelemetry::trace::{SpanKind, Status};
use telemetry::context_from_traceparent;
use tokio::net::TcpListener;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::app::TestApp;
use crate::observed::{Trace, all_spans, attribute};

#[tokio::test]
async fn a_service_called_by_another_is_in_the_same_trace() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let caller = tracing::info_span!("caller");
    caller
        .set_parent(context_from_traceparent(&trace.parent()))
        .unwrap();
    let call = http_edge::send(&app.client, app.get("/things/7"), "GET /things/{id} (call)");
    call.instrument(caller.clone()).await.unwrap();
    drop(caller);

    let call = trace.span("GET /things/{id} (call)");
    assert_eq!(call.span_kind, SpanKind::Client);
    assert_eq!(call.parent_span_id, trace.span("caller").span_context.span_id());
    assert_eq!(
        trace.span("GET /things/{id}").parent_span_id,
        call.span_context.span_id()
    );
    let attributes = [
        "http.request.method",
        "http.response.status_code",
        "server.port",
        "url.full",
    ];
    let expected = [
        "GET".to_owned(),
        "200".to_owned(),
        app.address.port().to_string(),
        app.url("/things/7"),
    ];
    assert_eq!(attributes.map(|key| attribute(&call, key)), expected.map(Some));
    assert_eq!(call.status, Status::Unset);
}

#[tokio::test]
async fn a_refusal_and_a_service_that_is_gone_are_errors_of_the_call() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let caller = tracing::info_span!("caller");
    caller
        .set_parent(context_from_traceparent(&trace.parent()))
        .unwrap();
    async {
        http_edge::send(&app.client, app.get("/things/100"), "missing")
            .await
            .unwrap();
        let request = app.client.get(format!("http://{address}/"));
        http_edge::send(&app.client, request, "gone").await.unwrap_err();
    }
    .instrument(caller)
    .await;

    for (name, error_type) in [("missing", "404"), ("gone", "connect")] {
        let call = trace.span(name);
        assert_eq!(attribute(&call, "error.type").as_deref(), Some(error_type));
        assert!(matches!(call.status, Status::Error { .. }), "{name}");
    }
}

#[tokio::test]
async fn a_task_without_a_trace_begins_none_by_asking() {
    let app = TestApp::spawn().await;
    let response = http_edge::send(&app.client, app.get("/things/7"), "asked without a trace").await;
    assert_eq!(response.unwrap().status(), 200);
    let begun = all_spans()
        .into_iter()
        .find(|span| span.name == "asked without a trace");
    assert_eq!(begun, None);
}
