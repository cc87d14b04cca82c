//! Keeps spans from being made where nobody would see them.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer;

use crate::unsampled;

/// Lets a span of `tracing` through if it is part of a trace that is recorded, or begins one of its own.
///
/// Put it above all other layers: what it keeps out costs two looks at the thread's own state. It asks nothing of the
/// span, since none is made: its parent is the thread's current one. So a span with a parent elsewhere counts as a
/// beginning, and the sampler drops it if need be.
#[derive(Clone, Copy, Debug)]
pub struct SpanGate {
    max_level: LevelFilter,
    /// Whether there are traces at all.
    open: bool,
}

impl SpanGate {
    /// A gate above layers that see nothing finer than `max_level`.
    pub fn new(max_level: LevelFilter) -> Self {
        Self {
            max_level,
            open: true,
        }
    }

    /// A gate that no span passes.
    pub(crate) fn closed(max_level: LevelFilter) -> Self {
        Self {
            max_level,
            open: false,
        }
    }
}

impl<S: Subscriber> Layer<S> for SpanGate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match (metadata.is_span(), self.open) {
            (true, true) => Interest::sometimes(),
            (true, false) => Interest::never(),
            (false, _) => Interest::always(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: layer::Context<'_, S>) -> bool {
        !metadata.is_span() || (self.open && is_wanted())
    }

    /// Said, because layers without a hint would have every finer line asked about.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level)
    }
}

fn is_wanted() -> bool {
    let sampled = Context::map_current(|context| {
        let sampled = || context.span().span_context().is_sampled();
        context.has_active_span().then(sampled)
    });
    sampled.unwrap_or_else(|| !unsampled::is_current())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id};
    use tracing::{Event, info, info_span};
    use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
    use tracing_subscriber::registry;

    use super::*;
    use crate::{Unsampled, context_from_traceparent};

    /// Counts what gets past the gate.
    #[derive(Clone, Debug, Default)]
    struct Seen {
        spans: Arc<AtomicUsize>,
        lines: Arc<AtomicUsize>,
    }

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: LayerContext<'_, S>) {
            self.spans.fetch_add(1, Ordering::Relaxed);
        }

        fn on_event(&self, _: &Event<'_>, _: LayerContext<'_, S>) {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The spans and the lines that `work` makes behind `gate`.
    fn seen(gate: SpanGate, work: impl FnOnce()) -> (usize, usize) {
        let seen = Seen::default();
        let subscriber = registry()
            .with(seen.clone().with_filter(LevelFilter::INFO))
            .with(gate);
        tracing::subscriber::with_default(subscriber, work);
        (
            seen.spans.load(Ordering::Relaxed),
            seen.lines.load(Ordering::Relaxed),
        )
    }

    fn spans_and_a_line() {
        info_span!("outer").in_scope(|| info_span!("inner").in_scope(|| info!("a line")));
    }

    const OPEN: SpanGate = SpanGate {
        max_level: LevelFilter::INFO,
        open: true,
    };

    #[test]
    fn a_request_that_is_not_traced_has_lines_and_no_spans() {
        let mut request = Unsampled::new(true);
        assert_eq!(seen(OPEN, || request.enter(spans_and_a_line)), (0, 1));
    }

    #[test]
    fn a_span_is_made_where_its_trace_is_recorded() {
        let below = |traceparent: &'static str| {
            move || {
                let _current = context_from_traceparent(traceparent).attach();
                spans_and_a_line();
            }
        };
        let traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(seen(OPEN, below(traced)), (2, 1));
        assert_eq!(
            seen(OPEN, below(&traced[..53])),
            (2, 1),
            "no context: it may begin a trace"
        );
        let untraced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert_eq!(seen(OPEN, below(untraced)), (0, 1));
    }

    #[test]
    fn nothing_passes_a_closed_gate_but_lines() {
        assert_eq!(
            seen(SpanGate::closed(LevelFilter::INFO), spans_and_a_line),
            (0, 1)
        );
    }

    #[test]
    fn finer_lines_are_not_even_asked_about() {
        let subscriber = registry()
            .with(Seen::default().with_filter(LevelFilter::WARN))
            .with(OPEN);
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    }
}
