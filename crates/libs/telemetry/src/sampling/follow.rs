//! The sampler as the SDK asks it: of every span, when it begins.

use std::time::Instant;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::Sampler;

/// In the context of a request that is traced: nothing is decided twice.
#[derive(Debug)]
pub(crate) struct Decided;

/// Follows what was decided of a span's trace, and decides where a program begins one by itself.
#[derive(Clone, Debug)]
pub(crate) struct Follow(pub(crate) Sampler);

impl Follow {
    fn samples(&self, parent: &Context, kind: &SpanKind) -> bool {
        let decided = parent.get::<Decided>().is_some();
        let span = parent.span();
        let span = span.span_context();
        match (parent.has_active_span(), kind) {
            (true, _) if span.is_remote() && decided => true,
            (true, _) => span.is_sampled(),
            (false, _) if decided => true,
            // A message is part of its writer's trace, or of none.
            (false, SpanKind::Producer | SpanKind::Consumer) => false,
            (false, _) => self.0.begins(Instant::now()),
        }
    }
}

impl ShouldSample for Follow {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        _trace_id: TraceId,
        _name: &str,
        kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let nothing = Context::new();
        let parent = parent_context.unwrap_or(&nothing);
        let decision = if self.samples(parent, kind) {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        };
        let trace_state = if parent.has_active_span() {
            parent.span().span_context().trace_state().clone()
        } else {
            TraceState::default()
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::context_from_traceparent;
    use crate::sampling::TracesSampler;

    const TRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const UNTRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn sampled(name: TracesSampler, kind: SpanKind, parent: &Context) -> bool {
        let sampler = Follow(Sampler::new(name, None).unwrap());
        let tracer = SdkTracerProvider::builder()
            .with_sampler(sampler)
            .build()
            .tracer("test");
        let span = tracer.span_builder("span").with_kind(kind);
        span.start_with_context(&tracer, parent)
            .span_context()
            .is_sampled()
    }

    #[test]
    fn a_request_that_was_decided_on_is_traced_whatever_the_sampler_would_say_now() {
        for caller in ["", TRACED, UNTRACED] {
            let parent = context_from_traceparent(caller).with_value(Decided);
            assert!(
                sampled(TracesSampler::AlwaysOff, SpanKind::Server, &parent),
                "{caller}"
            );
        }
    }

    #[test]
    fn a_span_is_what_its_trace_is() {
        for (parent, expected) in [(TRACED, true), (UNTRACED, false)] {
            for name in [
                TracesSampler::AlwaysOn,
                TracesSampler::AlwaysOff,
                TracesSampler::default(),
            ] {
                let parent = context_from_traceparent(parent);
                assert_eq!(sampled(name, SpanKind::Consumer, &parent), expected, "{name:?}");
            }
        }
    }

    #[test]
    fn a_program_begins_traces_and_a_message_does_not() {
        let nothing = Context::new();
        assert!(sampled(TracesSampler::default(), SpanKind::Internal, &nothing));
        assert!(!sampled(TracesSampler::AlwaysOff, SpanKind::Internal, &nothing));
        for kind in [SpanKind::Producer, SpanKind::Consumer] {
            assert!(!sampled(TracesSampler::AlwaysOn, kind, &nothing));
        }
    }
}
