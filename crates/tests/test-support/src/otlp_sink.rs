//! A collector that keeps what it is sent, so that a test can ask which span is whose child.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One span as a collector received it; ids are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The trace it belongs to, 32 digits.
    pub trace_id: String,
    /// Its own id, 16 digits.
    pub span_id: String,
    /// The id of the span it is a child of; empty for the first span of a trace.
    pub parent_span_id: String,
    /// What was done.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: String,
    /// The service that did it.
    pub service: String,
    /// What is said of the process: attributes as text.
    pub resource: BTreeMap<String, String>,
    /// Attributes as text.
    pub attributes: BTreeMap<String, String>,
    /// Of which type each of them came: `string`, `boolean`, `int`, `double`, or what else it was.
    pub types: BTreeMap<String, String>,
    /// The spans elsewhere that it points to, each by its trace's id and its own.
    pub links: Vec<(String, String)>,
}

/// An OTLP collector over HTTP and protobuf, on a free port, until it is dropped.
#[derive(Debug)]
pub struct OtlpSink {
    address: SocketAddr,
    spans: Spans,
    server: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<CollectedSpan>>>;

impl OtlpSink {
    /// Starts collecting.
    ///
    /// # Panics
    ///
    /// If no port of the loopback interface is free.
    pub async fn spawn() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let spans = Spans::default();
        let router = Router::new()
            .route("/v1/traces", post(collect))
            .with_state(Arc::clone(&spans));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the OTLP sink stopped: {error}");
            }
        });
        Self {
            address,
            spans,
            server,
        }
    }

    /// What to set as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received so far, in the order of arrival: children before their parents, mostly.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn collect(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let received = request.resource_spans.into_iter().flat_map(collected);
    spans
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(received);
    // The answer to an accepted export is an empty message, which is no bytes at all.
    StatusCode::OK
}

fn collected(batch: ResourceSpans) -> impl Iterator<Item = CollectedSpan> {
    let resource = texts(
        batch
            .resource
            .map(|resource| resource.attributes)
            .unwrap_or_default(),
    );
    let spans = batch.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(move |span| collected_span(span, resource.clone()))
}

fn collected_span(span: Span, resource: BTreeMap<String, String>) -> CollectedSpan {
    let kinds = span
        .attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), kind(attribute.value.as_ref())));
    let links = span.links.iter();
    let links = links.map(|link| (hexadecimal(&link.trace_id), hexadecimal(&link.span_id)));
    CollectedSpan {
        links: links.collect(),
        trace_id: hexadecimal(&span.trace_id),
        span_id: hexadecimal(&span.span_id),
        parent_span_id: hexadecimal(&span.parent_span_id),
        kind: match span.kind() {
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
            SpanKind::Internal | SpanKind::Unspecified => "internal",
        }
        .to_owned(),
        name: span.name,
        service: resource.get("service.name").cloned().unwrap_or_default(),
        resource,
        types: kinds.collect(),
        attributes: texts(span.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)))
        .collect()
}

fn kind(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(_)) => "string".to_owned(),
        Some(Value::BoolValue(_)) => "boolean".to_owned(),
        Some(Value::IntValue(_)) => "int".to_owned(),
        Some(Value::DoubleValue(_)) => "double".to_owned(),
        other => format!("{other:?}"),
    }
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
