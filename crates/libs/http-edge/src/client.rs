//! The client's side of a request: its span, and the trace context it carries to the next service.

use std::time::Duration;

use opentelemetry_http::HeaderInjector;
use reqwest::{Request, RequestBuilder, Response, StatusCode};
use tracing::field::Empty;
use tracing::{Instrument, Span};

/// A client for services of the same system.
///
/// A service that is down is noticed in 300 ms. Redirects and proxies are off: a service answers at its address.
/// Deadlines belong to requests, so there is none here; set one with [`RequestBuilder::timeout`].
///
/// # Panics
///
/// Never in practice: without TLS and a resolver of its own there is nothing that can fail.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_millis(300))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(64)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .expect("a client without TLS can always be made")
}

/// Sends a request in a client span named `span_name` (`GET /accounts/{id}`: the pattern, not the path).
///
/// The span ends with the answer's head; reading the body is the caller's.
pub async fn send(
    client: &reqwest::Client,
    request: RequestBuilder,
    span_name: &'static str,
) -> Result<Response, reqwest::Error> {
    let mut request = request.build()?;
    let span = client_span(&request, span_name);
    span.in_scope(|| telemetry::inject_current(&mut HeaderInjector(request.headers_mut())));
    let result = client.execute(request).instrument(span.clone()).await;
    match &result {
        Ok(response) => record_status(&span, response.status()),
        Err(error) => record_error(&span, error_type(error)),
    }
    result
}

fn client_span(request: &Request, span_name: &'static str) -> Span {
    if !telemetry::is_sampled() {
        // A request is part of somebody's work. That of a request that is not traced begins no trace, not even from a
        // task of its own, where nothing else says so.
        return Span::none();
    }
    let url = request.url();
    tracing::info_span!(
        "http.client",
        otel.name = span_name,
        otel.kind = "client",
        http.request.method = request.method().as_str(),
        server.address = url.host_str().map(|host| host.trim_matches(['[', ']'])),
        // As `i64`, here and below: `tracing-opentelemetry` makes text of every other number.
        server.port = url.port_or_known_default().map(i64::from),
        url.full = url.as_str(),
        http.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// To a client, 4xx is a failure too.
fn record_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_client_error() || status.is_server_error() {
        record_error(span, status.as_str());
    }
}

fn record_error(span: &Span, error_type: &str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

fn error_type(error: &reqwest::Error) -> &'static str {
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        _ => "transport",
    }
}
