//! Carries the W3C trace context in and out of messages of any kind.
//!
//! All of it works on the current OpenTelemetry context, which entering a `tracing` span sets too. So the same
//! calls are right inside a span made by `tracing`, by OpenTelemetry itself, or by an HTTP layer.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags};

use crate::traceparent::Traceparent;
use crate::{tracestate, unsampled};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

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

/// Writes the current context into a message's headers. In a request that is not traced it says just that.
pub fn inject_current(headers: &mut dyn Injector) {
    let Some(span) = active_span().or_else(unsampled::name_to_others) else {
        return;
    };
    let (trace_id, span_id) = (span.trace_id(), span.span_id());
    let flags = u8::from(span.is_sampled());
    headers.set(TRACEPARENT, format!("00-{trace_id}-{span_id}-{flags:02x}"));
    let state = span.trace_state().header();
    if !state.is_empty() {
        headers.set(TRACESTATE, state);
    }
}

/// The context that a message's headers carry, to be set as the parent of the span that handles it.
///
/// Without one in the headers the answer is empty, never the current context: a message that names no trace
/// must not join the trace of whoever happened to receive it. The same goes for a context that is not valid, and for two.
pub fn context_from(headers: &dyn Extractor) -> Context {
    span_from(headers).map_or_else(Context::new, |span| Context::new().with_remote_span_context(span))
}

/// The caller's span, as the headers say.
pub(crate) fn span_from(headers: &dyn Extractor) -> Option<SpanContext> {
    let lines = headers.get_all(TRACEPARENT)?;
    let [line] = lines[..] else { return None };
    let parent = Traceparent::read(line)?;
    let state = tracestate::read(headers.get_all(TRACESTATE).unwrap_or_default());
    let flags = TraceFlags::NOT_SAMPLED.with_sampled(parent.sampled);
    Some(SpanContext::new(
        parent.trace_id,
        parent.span_id,
        flags,
        true,
        state,
    ))
}

/// The context that a `traceparent` names by itself; empty if it is not a valid one.
pub fn context_from_traceparent(traceparent: &str) -> Context {
    let headers = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    context_from(&headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn injected() -> HashMap<String, String> {
        let mut headers = HashMap::new();
        inject_current(&mut headers);
        headers
    }

    /// Headers of HTTP, of which one name may have several lines.
    struct Lines(&'static [(&'static str, &'static str)]);

    impl Extractor for Lines {
        fn get(&self, key: &str) -> Option<&str> {
            self.get_all(key)?.into_iter().next()
        }

        fn keys(&self) -> Vec<&str> {
            self.0.iter().map(|(key, _)| *key).collect()
        }

        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            let lines = self.0.iter().filter(|(name, _)| *name == key);
            Some(lines.map(|(_, value)| *value).collect())
        }
    }

    #[test]
    fn a_context_survives_the_round_trip() {
        let _current = context_from_traceparent(PARENT).attach();
        assert_eq!(
            injected(),
            HashMap::from([("traceparent".to_owned(), PARENT.to_owned())])
        );
        assert_eq!(
            current_trace_id().as_deref(),
            Some("0af7651916cd43dd8448eb211c80319c")
        );
    }

    #[test]
    fn what_others_say_of_the_trace_goes_with_it() {
        let headers = Lines(&[
            ("traceparent", PARENT),
            ("tracestate", "foo=1,bar=2"),
            ("tracestate", ""),
            ("tracestate", "baz=3"),
        ]);
        let _current = context_from(&headers).attach();
        assert_eq!(injected()["tracestate"], "foo=1,bar=2,baz=3");
    }

    #[test]
    fn without_a_trace_nobody_can_say_anything_of_it() {
        for headers in [
            Lines(&[("tracestate", "foo=1")]),
            Lines(&[("traceparent", "00-0-0-01"), ("tracestate", "foo=1")]),
        ] {
            let _current = context_from(&headers).attach();
            assert_eq!(injected(), HashMap::new());
        }
    }

    #[test]
    fn who_names_two_parents_names_none() {
        let twice = Lines(&[("traceparent", PARENT), ("traceparent", PARENT)]);
        assert!(!context_from(&twice).has_active_span());
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
        assert_eq!((injected(), current_trace_id()), (HashMap::new(), None));
    }
}
