//! The server's side of one request: its span, its metrics, its line in the log.
//!
//! Made by hand rather than by `opentelemetry-instrumentation-tower`: that layer never counts a request out of
//! `http.server.active_requests` when its client goes away (every load test ends so), ends the span only with its
//! last clone, and leaves `url.scheme` empty. The conventions are the same.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponseParts, Response, ResponseParts};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;

use crate::problem::Cause;

const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// The bounds the conventions give for `http.server.request.duration`, in seconds, and two below them for hits.
const DURATION_BOUNDS: [f64; 16] = [
    0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// On a 5xx response: someone has written it to the log, or decided not to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlreadyLogged;

impl IntoResponseParts for AlreadyLogged {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// Runs a request inside its server span; names the trace in the answer; logs what failed.
pub(crate) async fn observe(
    State(instruments): State<Arc<Instruments>>,
    request: Request,
    next: Next,
) -> Response {
    let mut exchange = Exchange::begin(instruments, &request);
    let mut response = next.run(request).with_context(exchange.context.clone()).await;
    exchange.answered(&mut response);
    response
}

/// What the exchanges of one service are measured with.
#[derive(Debug)]
pub(crate) struct Instruments {
    tracer: BoxedTracer,
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl Instruments {
    pub(crate) fn new() -> Self {
        let meter = global::meter("http-edge");
        Self {
            tracer: global::tracer("http-edge"),
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_description("Duration of HTTP server requests.")
                .with_unit("s")
                .with_boundaries(DURATION_BOUNDS.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_description("Number of active HTTP server requests.")
                .with_unit("{request}")
                .build(),
        }
    }
}

/// One request under way.
struct Exchange {
    instruments: Arc<Instruments>,
    context: Context,
    started: Instant,
    /// Method and scheme, then what else the duration is labelled with.
    labels: Vec<KeyValue>,
    answered: bool,
}

/// How many of the labels the active requests have too.
const ACTIVE_LABELS: usize = 2;

impl Exchange {
    fn begin(instruments: Arc<Instruments>, request: &Request) -> Self {
        let parent = telemetry::context_from(&HeaderExtractor(request.headers()));
        let method = known_method(request.method());
        let mut labels = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.scheme", "http"),
        ];
        instruments.active.add(1, &labels);

        // The pattern, never the path: a metric's labels must be few.
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        labels.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
        labels.push(KeyValue::new(
            "network.protocol.version",
            version(request.version()),
        ));
        let name = match (method, route) {
            ("_OTHER", Some(route)) => format!("HTTP {route}"),
            ("_OTHER", None) => "HTTP".to_owned(),
            (method, Some(route)) => format!("{method} {route}"),
            (method, None) => method.to_owned(),
        };
        let span = instruments.tracer.span_builder(name).with_kind(SpanKind::Server);
        let span = span.with_attributes(span_attributes(request, &labels));
        let span = span.start_with_context(&instruments.tracer, &parent);
        let context = parent.with_span(span);
        Self {
            instruments,
            context,
            started: Instant::now(),
            labels,
            answered: false,
        }
    }

    fn answered(&mut self, response: &mut Response) {
        self.answered = true;
        let status = response.status();
        let code = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        self.context.span().set_attribute(code.clone());
        self.labels.push(code);
        if status.is_server_error() {
            let cause = response.extensions().get::<Cause>().map(|cause| chain(&*cause.0));
            self.failed(status.as_str(), cause.as_deref().unwrap_or_default());
            if response.extensions().get::<AlreadyLogged>().is_none() {
                self.log_failure(status, cause.as_deref());
            }
        }
        let span = self.context.span().span_context().clone();
        if span.is_valid() {
            let id = HeaderValue::try_from(span.trace_id().to_string());
            response
                .headers_mut()
                .insert(TRACE_ID, id.expect("hexadecimal digits are a header's value"));
        }
    }

    /// Marks span and metrics as failed; the type of an error is its status code, or what else ended it.
    fn failed(&mut self, error_type: &str, description: &str) {
        let error_type = KeyValue::new("error.type", error_type.to_owned());
        self.context.span().set_attribute(error_type.clone());
        self.context
            .span()
            .set_status(Status::error(description.to_owned()));
        self.labels.push(error_type);
    }

    /// The only place where a failed request is written to the log, with everything that led to it.
    fn log_failure(&self, status: StatusCode, cause: Option<&str>) {
        let _current = self.context.clone().attach();
        let route = self
            .labels
            .iter()
            .find(|label| label.key.as_str() == "http.route");
        let route = route.map(|label| label.value.as_str());
        tracing::error!(
            status = status.as_u16(),
            route = route.as_deref(),
            cause,
            "the request failed"
        );
    }
}

/// Here and not after the answer: a client that goes away drops the exchange where it waits, and what was
/// counted in must be counted out.
impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.answered {
            self.failed("cancelled", "the client went away");
        }
        self.instruments.active.add(-1, &self.labels[..ACTIVE_LABELS]);
        self.instruments
            .duration
            .record(self.started.elapsed().as_secs_f64(), &self.labels);
        // Said aloud, because work that goes on in the background may keep a clone of the context.
        self.context.span().end();
    }
}

fn span_attributes(request: &Request, labels: &[KeyValue]) -> Vec<KeyValue> {
    let mut attributes = labels.to_vec();
    attributes.push(KeyValue::new("url.path", request.uri().path().to_owned()));
    let query = request
        .uri()
        .query()
        .map(|query| KeyValue::new("url.query", query.to_owned()));
    attributes.extend(query);
    attributes.extend(user_agent(request.headers()));
    attributes
}

fn user_agent(headers: &HeaderMap) -> Option<KeyValue> {
    let value = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(KeyValue::new("user_agent.original", value.to_owned()))
}

/// A client may invent methods; a metric's labels must stay few.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "_OTHER",
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(line, ": {source}");
        next = source.source();
    }
    line
}
