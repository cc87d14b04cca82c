//! What the process under test tells about itself. The providers are the process's, so every test asks by trace.

use std::fmt::{self, Write as _};
use std::sync::{LazyLock, Mutex, PoisonError};

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, RandomIdGenerator, SdkTracerProvider, SpanData,
};
use telemetry::SpanGate;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

/// A trace that a test made up, so that it can find what belongs to it.
pub(crate) struct Trace {
    pub(crate) id: String,
}

impl Trace {
    pub(crate) fn new() -> Self {
        LazyLock::force(&OBSERVED);
        Self {
            id: RandomIdGenerator::default().new_trace_id().to_string(),
        }
    }

    /// What a client of this trace sends.
    pub(crate) fn parent(&self) -> String {
        format!("00-{}-{PARENT_SPAN}-01", self.id)
    }

    /// What it sends if it is not to be traced.
    pub(crate) fn untraced_parent(&self) -> String {
        format!("00-{}-{PARENT_SPAN}-00", self.id)
    }

    /// One that a request says it has.
    pub(crate) fn named(id: &str) -> Self {
        Self { id: id.to_owned() }
    }

    /// The spans that have ended.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        let of_trace = |span: &SpanData| span.span_context.trace_id().to_string() == self.id;
        all_spans().into_iter().filter(of_trace).collect()
    }

    /// The one span of this name.
    pub(crate) fn span(&self, name: &str) -> SpanData {
        let mut named: Vec<_> = self
            .spans()
            .into_iter()
            .filter(|span| span.name == name)
            .collect();
        assert_eq!(named.len(), 1, "spans named {name:?} in {:?}", self.spans());
        named.remove(0)
    }

    /// The lines logged within it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = OBSERVED.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter(|(trace, _)| *trace == self.id)
            .map(|(_, line)| line.clone())
            .collect()
    }
}

/// The span id of the client in [`Trace::parent`].
pub(crate) const PARENT_SPAN: &str = "b7ad6b7169203331";

/// The spans of all tests that have ended.
pub(crate) fn all_spans() -> Vec<SpanData> {
    OBSERVED.spans.get_finished_spans().unwrap()
}

/// A span's attribute as text.
pub(crate) fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let attribute = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)?;
    Some(attribute.value.as_str().into_owned())
}

static OBSERVED: LazyLock<Observed> = LazyLock::new(Observed::start);

struct Observed {
    spans: InMemorySpanExporter,
    lines: Mutex<Vec<(String, String)>>,
}

impl Observed {
    fn start() -> Self {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        registry()
            .with(Lines)
            .with(layer)
            .with(LevelFilter::INFO)
            .with(SpanGate::new(LevelFilter::INFO))
            .init();
        global::set_tracer_provider(provider);
        let metrics =
            opentelemetry_prometheus::exporter().with_registry(prometheus::default_registry().clone());
        let metrics = SdkMeterProvider::builder()
            .with_reader(metrics.build().unwrap())
            .build();
        global::set_meter_provider(metrics);
        Self {
            spans,
            lines: Mutex::default(),
        }
    }
}

/// Keeps log lines with the trace they belong to.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let Some(trace) = telemetry::named_trace_id() else {
            return;
        };
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let mut lines = OBSERVED.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push((trace, line.0));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
