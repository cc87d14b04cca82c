//! Log lines that name their trace.

use std::any::Any;
use std::fmt::{self, Write as _};
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;
use crate::propagation::current_span;

/// What is not written unless the directives name it. The NATS client writes up to ten errors a second for as long as an
/// outage lasts; whoever uses it says the same once, with the reason, as `event-bus` does.
const QUIET: &str = "async_nats=off";

/// The layer that writes log lines to `writer`, filtered by `directives`.
pub(crate) fn layer<S, W>(
    log_format: LogFormat,
    directives: &str,
    writer: W,
) -> Result<Box<dyn Layer<S> + Send + Sync>, ParseError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(format!("{QUIET},{directives}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    Ok(match log_format {
        LogFormat::Text => lines
            .event_format(WithTrace::text(format::format()))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => {
            let json = format::json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            lines
                .fmt_fields(JsonFields::new())
                .event_format(WithTrace::json(json))
                .with_filter(filter)
                .boxed()
        }
    })
}

/// Lets another format write the line, then adds the ids of the current OpenTelemetry span at its end.
///
/// The formats of `tracing-subscriber` only know spans made by `tracing`; a server span is none of those.
struct WithTrace<F> {
    line: F,
    log_format: LogFormat,
}

impl<F> WithTrace<F> {
    fn text(line: F) -> Self {
        Self {
            line,
            log_format: LogFormat::Text,
        }
    }

    fn json(line: F) -> Self {
        Self {
            line,
            log_format: LogFormat::Json,
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(span) = current_span() else {
            return self.line.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        line.truncate(line.trim_end().len());
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        match self.log_format {
            LogFormat::Text => writeln!(line, " trace_id={trace_id} span_id={span_id}")?,
            LogFormat::Json => {
                // The line is one JSON object: reopen it before its last brace.
                line.truncate(line.len() - 1);
                writeln!(line, r#","trace_id":"{trace_id}","span_id":"{span_id}"}}"#)?;
            }
        }
        writer.write_str(&line)
    }
}

/// A panic at the same place in the background is written at most this often: what panics and is started again may do
/// so twice a second.
const BACKGROUND_PANIC_EVERY: Duration = Duration::from_mins(1);
/// Places that are remembered. There are not as many bugs.
const PANIC_PLACES: usize = 64;

/// Makes a panic a line of the log like any other, with the trace that it happened in.
///
/// The default hook writes several lines of its own, which name no trace and are no JSON. A panic within a request is
/// always written, since its line leads to that request.
pub(crate) fn log_panics() {
    let written = Mutex::new(Vec::new());
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let message = panic_message(panic.payload());
        let location = panic.location().map(ToString::to_string);
        if current_span().is_some() || is_due(&written, location.as_deref()) {
            tracing::error!(panic = message, location, "panicked");
        }
    }));
}

fn is_due(written: &Mutex<Vec<(String, Instant)>>, location: Option<&str>) -> bool {
    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
    let location = location.unwrap_or_default();
    written.retain(|(_, at)| at.elapsed() < BACKGROUND_PANIC_EVERY);
    if written.len() == PANIC_PLACES || written.iter().any(|(known, _)| known == location) {
        return false;
    }
    written.push((location.to_owned(), Instant::now()));
    true
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (_, Some(message)) => message,
        _ => "(no message)",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::Unsampled;
    use crate::propagation::{context_from_traceparent, inject_current};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// What `work` writes to the log, with spans as in a running service.
    fn lines(log_format: LogFormat, work: impl FnOnce()) -> String {
        lines_of(log_format, "info", work)
    }

    /// The same, as filtered by `directives`.
    fn lines_of(log_format: LogFormat, directives: &str, work: impl FnOnce()) -> String {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&written);
        let logs = layer(log_format, directives, move || Shared(Arc::clone(&writer))).unwrap();
        let provider = SdkTracerProvider::builder().build();
        let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(logs).with(spans), work);
        let written = written.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_text_line_ends_with_the_ids_of_a_span_that_tracing_did_not_make() {
        let text = lines(LogFormat::Text, || {
            let _server_span = context_from_traceparent(PARENT).attach();
            tracing::info!(account = 7, "renamed");
        });
        assert!(text.contains("renamed account=7"), "{text}");
        assert!(
            text.ends_with(&format!(" trace_id={TRACE} span_id=b7ad6b7169203331\n")),
            "{text}"
        );
    }

    #[test]
    fn a_json_line_stays_one_object_and_names_the_innermost_span() {
        let mut inner = std::collections::HashMap::new();
        let text = lines(LogFormat::Json, || {
            let _server_span = context_from_traceparent(PARENT).attach();
            info_span!("store").in_scope(|| {
                inject_current(&mut inner);
                tracing::warn!(account = 7, text = "}\n\"", "renamed");
            });
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["account"]), (&"WARN".into(), &7.into()));
        assert_eq!(
            (&line["message"], &line["text"]),
            (&"renamed".into(), &"}\n\"".into())
        );
        assert_eq!(line["trace_id"], TRACE);
        let span_id = line["span_id"].as_str().unwrap();
        assert_eq!(inner["traceparent"], format!("00-{TRACE}-{span_id}-01"));
        assert_ne!(
            span_id, "b7ad6b7169203331",
            "entering a span makes it the current one"
        );
    }

    #[test]
    fn a_line_of_a_request_that_is_not_traced_names_what_its_answer_names() {
        for log_format in [LogFormat::Text, LogFormat::Json] {
            let mut request = Unsampled::new(true);
            let text = lines(log_format, || request.enter(|| tracing::warn!("failed")));
            let named = request.named_trace_id().unwrap().to_string();
            assert!(text.contains("trace_id") && text.contains(&named), "{text}");
        }
    }

    #[test]
    fn a_line_outside_of_spans_has_no_ids() {
        for log_format in [LogFormat::Text, LogFormat::Json] {
            let text = lines(log_format, || tracing::info!("started"));
            assert!(text.contains("started") && !text.contains("trace_id"), "{text}");
        }
    }

    #[test]
    fn the_nats_client_is_quiet_unless_it_is_named() {
        let written = |directives| {
            lines_of(LogFormat::Text, directives, || {
                tracing::error!(target: "async_nats::connector", "authorization violation");
            })
        };
        for quiet in ["info", "debug", "trace,page=debug"] {
            assert_eq!(written(quiet), "", "{quiet}");
        }
        for named in ["info,async_nats=info", "async_nats=trace"] {
            assert!(written(named).contains("authorization violation"), "{named}");
        }
    }

    #[test]
    fn a_panic_in_the_background_is_due_once_a_minute_for_each_place() {
        let written = Mutex::new(Vec::new());
        let due = ["a.rs:1", "a.rs:1", "b.rs:2", "a.rs:1"].map(|place| is_due(&written, Some(place)));
        assert_eq!(due, [true, false, true, false]);
        for (_, at) in &mut *written.lock().unwrap() {
            *at = at.checked_sub(BACKGROUND_PANIC_EVERY).unwrap();
        }
        assert!(is_due(&written, Some("a.rs:1")));
    }

    #[test]
    fn directives_that_do_not_parse_are_refused() {
        assert!(layer::<tracing_subscriber::Registry, _>(LogFormat::Text, "page=loud", io::stderr).is_err());
    }
}
