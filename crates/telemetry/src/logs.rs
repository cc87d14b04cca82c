//! Log lines that name their trace.

use std::fmt::{self, Write as _};

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;
use crate::propagation::current_span;

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
    let filter = EnvFilter::try_new(directives)?;
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
