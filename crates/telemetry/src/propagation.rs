//! Carries the W3C trace context in and out of messages of any kind.
//!
//! All of it works on the current OpenTelemetry context, which entering a `tracing` span sets too. So the same
//! calls are right inside a span made by `tracing`, by OpenTelemetry itself, or by an HTTP layer.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::sampling::Decided;
use crate::unsampled;

/// The `traceparent` of the current span, to be stored with work that is done later (an outbox row).
///
/// In a request that is not traced it says just that. None outside of any span and request.
pub fn traceparent() -> Option<String> {
    let span = active_span().or_else(unsampled::name_to_others)?;
    let flags = span.trace_flags().to_u8();
    Some(format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id()))
}

/// The current trace's id, 32 hexadecimal digits, as people search for it. None where there is nothing to be found.
pub fn current_trace_id() -> Option<String> {
    let id = active_span().map(|span| span.trace_id());
    id.or_else(unsampled::named).map(|id| id.to_string())
}

/// As [`current_trace_id`], for who is told of something that the log tells too: a request that is not traced gets an
/// id now, which all its lines from here on have. None outside of any span and request.
pub fn named_trace_id() -> Option<String> {
    current_span().map(|span| span.trace_id().to_string())
}

/// Whether what is done now is recorded.
pub fn is_sampled() -> bool {
    active_span().is_some_and(|span| span.is_sampled())
}

/// The current span's identity, local or remote, or one made up for a request that has none.
pub(crate) fn current_span() -> Option<SpanContext> {
    active_span().or_else(unsampled::name)
}

fn active_span() -> Option<SpanContext> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.clone())
    })
}

/// Writes the current context into a message's headers.
pub fn inject_current(headers: &mut dyn Injector) {
    let propagator = TraceContextPropagator::new();
    if active_span().is_some() {
        propagator.inject(headers);
    } else if let Some(unsampled) = unsampled::name_to_others() {
        let context = Context::new().with_remote_span_context(unsampled);
        propagator.inject_context(&context, headers);
    }
}

/// The context below which a request's span is begun once it is decided that the request is traced: its caller's, if
/// its headers carry one.
pub fn context_to_trace(headers: &dyn Extractor) -> Context {
    context_from(headers).with_value(Decided)
}

/// The context that a message's headers carry, to be set as the parent of the span that handles it.
///
/// Without one in the headers the answer is empty, never the current context: a message that names no trace
/// must not join the trace of whoever happened to receive it.
pub fn context_from(headers: &dyn Extractor) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), headers)
}

/// The context that a stored [`traceparent`] names; empty if it is not a valid one.
pub fn context_from_traceparent(traceparent: &str) -> Context {
    let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    context_from(&headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_stored_traceparent_survives_the_round_trip() {
        let _current = context_from_traceparent(PARENT).attach();
        assert_eq!(traceparent().as_deref(), Some(PARENT));
        assert_eq!(
            current_trace_id().as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
    }

    #[test]
    fn injected_headers_name_the_current_span() {
        let _current = context_from_traceparent(PARENT).attach();
        let mut headers = HashMap::new();
        inject_current(&mut headers);
        assert_eq!(headers.get("traceparent").map(String::as_str), Some(PARENT));
    }

    #[test]
    fn a_message_without_context_does_not_join_the_current_trace() {
        let _current = context_from_traceparent(PARENT).attach();
        let context = context_from(&HashMap::<String, String>::new());
        assert!(!context.span().span_context().is_valid());
    }

    #[test]
    fn nonsense_is_no_context() {
        for text in [
            "",
            "00-0-0-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "é",
        ] {
            assert!(!context_from_traceparent(text).has_active_span(), "{text}");
        }
    }

    #[test]
    fn outside_of_a_span_there_is_nothing_to_carry() {
        assert_eq!((traceparent(), current_trace_id()), (None, None));
    }
}
