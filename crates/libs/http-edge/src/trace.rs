//! The trace of a request, or that it has none.

use std::time::Instant;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use telemetry::{Decision, Sampler, Unsampled};

use crate::route_metrics::Labels;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is built for a request: a server span, or nothing.
pub(crate) enum Trace {
    /// The context of the span.
    Traced(Context),
    Unsampled(Unsampled),
}

/// What a service's requests are traced with.
#[derive(Debug)]
pub(crate) struct Tracing {
    sampler: Sampler,
    tracer: BoxedTracer,
}

impl Tracing {
    /// Traces the requests that `sampler` chooses.
    pub(crate) fn new(sampler: Sampler) -> Self {
        Self {
            sampler,
            tracer: global::tracer("http-edge"),
        }
    }

    /// Begins the span of a request that is traced.
    pub(crate) fn begin(
        &self,
        request: &Request,
        labels: Labels,
        route: Option<&str>,
        now: Instant,
    ) -> Trace {
        let headers = HeaderExtractor(request.headers());
        let named = request.headers().contains_key(&TRACEPARENT);
        let headers = named.then_some(&headers as &dyn Extractor);
        match self.sampler.decide(headers, now) {
            Decision::Unsampled(unsampled) => Trace::Unsampled(unsampled),
            Decision::Traced(parent) => Trace::Traced(self.server_span(&parent, request, labels, route)),
        }
    }

    /// A child of the caller's, named by the route's pattern.
    fn server_span(
        &self,
        parent: &Context,
        request: &Request,
        labels: Labels,
        route: Option<&str>,
    ) -> Context {
        let name = match (labels.method(), route) {
            ("_OTHER", Some(route)) => format!("HTTP {route}"),
            ("_OTHER", None) => "HTTP".to_owned(),
            (method, Some(route)) => format!("{method} {route}"),
            (method, None) => method.to_owned(),
        };
        let mut attributes = labels.of_arrival(route);
        attributes.extend(of_request(request));
        let span = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes);
        let span = span.start_with_context(&self.tracer, parent);
        parent.with_span(span)
    }
}

impl Trace {
    /// Does some of the request's work within it.
    pub(crate) fn enter<R>(&mut self, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Traced(context) => {
                let _current = context.clone().attach();
                work()
            }
            Self::Unsampled(unsampled) => unsampled.enter(work),
        }
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        self.record(|| KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    }

    pub(crate) fn failed(&self, error_type: &str, description: &str) {
        self.record(|| KeyValue::new("error.type", error_type.to_owned()));
        if let Self::Traced(context) = self {
            context.span().set_status(Status::error(description.to_owned()));
        }
    }

    fn record(&self, attribute: impl FnOnce() -> KeyValue) {
        if let Self::Traced(context) = self {
            context.span().set_attribute(attribute());
        }
    }

    /// The id under which the request is to be found: in its trace, or in the log if somebody was told it.
    pub(crate) fn id(&self) -> Option<TraceId> {
        match self {
            Self::Traced(context) => {
                let id = context.span().span_context().trace_id();
                (id != TraceId::INVALID).then_some(id)
            }
            Self::Unsampled(unsampled) => unsampled.named_trace_id(),
        }
    }

    /// Ends the span explicitly, because a task in the background may keep a clone of the context.
    pub(crate) fn end(&self) {
        if let Self::Traced(context) = self {
            context.span().end();
        }
    }
}

fn of_request(request: &Request) -> impl Iterator<Item = KeyValue> {
    let path = KeyValue::new("url.path", request.uri().path().to_owned());
    let query = request
        .uri()
        .query()
        .map(|query| KeyValue::new("url.query", query.to_owned()));
    [Some(path), query, user_agent(request.headers())]
        .into_iter()
        .flatten()
        .chain(server(request.headers()))
}

/// The address that the client asked for, as its `Host` says.
fn server(headers: &HeaderMap) -> impl Iterator<Item = KeyValue> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    authority.into_iter().flat_map(|authority| {
        let address = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(80);
        [
            KeyValue::new("server.address", address),
            KeyValue::new("server.port", i64::from(port)),
        ]
    })
}

fn user_agent(headers: &HeaderMap) -> Option<KeyValue> {
    let value = headers.get(header::USER_AGENT)?.to_str().ok()?;
    Some(KeyValue::new("user_agent.original", value.to_owned()))
}
