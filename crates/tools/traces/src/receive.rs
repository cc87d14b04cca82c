//! OTLP over HTTP: from the exporter's protobuf to spans (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event as ExportedEvent, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as Exported};
use prost::{DecodeError, Message as _};

use crate::span::{Event, Link, Span, TraceId, hexadecimal};

/// The spans of one export, each with its trace. A span whose id or whose trace's id is not valid is left out: nobody can ask
/// for it.
pub(crate) fn read(body: &[u8]) -> Result<Vec<(TraceId, Span)>, DecodeError> {
    let request = ExportTraceServiceRequest::decode(body)?;
    Ok(request.resource_spans.into_iter().flat_map(of_service).collect())
}

fn of_service(exported: ResourceSpans) -> impl Iterator<Item = (TraceId, Span)> {
    let resource = exported.resource.unwrap_or_default();
    let service = service_of(&texts(resource.attributes));
    let spans = exported.scope_spans.into_iter().flat_map(|scope| scope.spans);
    let valid = spans.filter(|span| is_id(&span.trace_id, 16) && is_id(&span.span_id, 8));
    valid.map(move |span| (hexadecimal(&span.trace_id), kept(span, service.clone())))
}

fn is_id(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && bytes.iter().any(|byte| *byte != 0)
}

/// The service's name, and which of its instances, if that says more: `page`, `page-2`, `page at 10.0.0.7`.
fn service_of(resource: &[(String, String)]) -> String {
    let named = |wanted| {
        resource
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, text)| text.as_str())
    };
    let service = named("service.name").unwrap_or("unknown");
    match named("service.instance.id") {
        None => service.to_owned(),
        Some(instance) if instance.starts_with(service) => instance.to_owned(),
        Some(instance) => format!("{service} at {instance}"),
    }
}

fn kept(span: Exported, service: String) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let pointing = span.links.iter();
    let pointing = pointing.filter(|link| is_id(&link.trace_id, 16) && is_id(&link.span_id, 8));
    let links = pointing.map(|link| Link {
        trace: hexadecimal(&link.trace_id),
        span: hexadecimal(&link.span_id),
    });
    let links = links.collect();
    let failed = span.status.filter(|status| status.code() == StatusCode::Error);
    Span {
        id: hexadecimal(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hexadecimal(&span.parent_span_id)),
        service,
        name: span.name,
        kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        failure: failed.map(|status| status.message),
        attributes: texts(span.attributes),
        links,
        events: span.events.into_iter().map(event).collect(),
    }
}

fn event(event: ExportedEvent) -> Event {
    Event {
        time: event.time_unix_nano,
        name: event.name,
        attributes: texts(event.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let texts = attributes
        .into_iter()
        .map(|attribute| (attribute.key, text(attribute.value)));
    let mut texts: Vec<_> = texts.collect();
    // They are collected where they were decoded, which has room for more and larger ones.
    texts.shrink_to_fit();
    texts
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::BoolValue(truth)) => truth.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_of_a_service_are_told_apart() {
        let service = |resource: &[(&str, &str)]| {
            let resource: Vec<_> = resource
                .iter()
                .map(|&(name, text)| (name.to_owned(), text.to_owned()))
                .collect();
            service_of(&resource)
        };
        assert_eq!(service(&[]), "unknown");
        assert_eq!(service(&[("service.name", "page")]), "page");
        for (instance, shown) in [
            ("page", "page"),
            ("page-2", "page-2"),
            ("host-a", "page at host-a"),
        ] {
            assert_eq!(
                service(&[("service.instance.id", instance), ("service.name", "page")]),
                shown
            );
        }
    }
}
