//! A collector that is gone is said once, when it is noticed, and once when it is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Sends spans as `exporter` does. The SDK would write an error to the log for every batch that does not get through.
#[derive(Debug)]
pub(crate) struct SaidOnce<E> {
    exporter: E,
    /// Spans lost in the outage that goes on; none if there is none. Batches are sent one after the other.
    lost: AtomicUsize,
}

impl<E> SaidOnce<E> {
    pub(crate) fn new(exporter: E) -> Self {
        Self {
            exporter,
            lost: AtomicUsize::new(0),
        }
    }

    fn note(&self, spans: usize, result: &OTelSdkResult) {
        match result {
            Ok(()) => {
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(lost, "spans are sent again");
                }
            }
            Err(error) => {
                if self.lost.fetch_add(spans, Ordering::Relaxed) == 0 {
                    tracing::warn!(%error, "spans cannot be sent; they are dropped until they can");
                }
            }
        }
    }
}

impl<E: SpanExporter> SpanExporter for SaidOnce<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.note(spans, &result);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "the last spans were not sent");
        }
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{self, Write as _};
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::field::{Field, Visit};
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::{Layer, registry};

    use super::*;

    /// Fails for the batches that are listed.
    #[derive(Debug)]
    struct Failing {
        batches: Vec<usize>,
        sent: AtomicUsize,
    }

    impl SpanExporter for Failing {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            let batch = self.sent.fetch_add(1, Ordering::Relaxed);
            if self.batches.contains(&batch) {
                return Err(OTelSdkError::InternalFailure("refused".into()));
            }
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }

    /// What is logged while these batches of eight, of one span each, do not get through.
    fn log(failing: &[usize]) -> Vec<String> {
        let lines = Lines::default();
        tracing::subscriber::with_default(registry().with(lines.clone()), || {
            let exporter = SaidOnce::new(Failing {
                batches: failing.to_vec(),
                sent: AtomicUsize::new(0),
            });
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter)
                .build();
            for _ in 0..8 {
                drop(provider.tracer("test").start("span"));
            }
            provider.shutdown().unwrap();
        });
        let lines = lines.0.lock().unwrap().clone();
        lines
            .into_iter()
            .filter(|line| !line.starts_with("DEBUG"))
            .collect()
    }

    #[test]
    fn an_outage_is_said_when_it_begins_and_when_it_ends() {
        let begun = "WARN message=spans cannot be sent; they are dropped until they can error=Operation failed: refused";
        let ended = |lost: usize| format!("INFO message=spans are sent again lost={lost}");
        assert_eq!(log(&[]), [""; 0]);
        assert_eq!(log(&[1, 2, 3, 5]), [begun, &ended(3), begun, &ended(1)]);
    }

    #[test]
    fn an_outage_at_the_end_is_counted() {
        let [.., last] = &log(&[6, 7])[..] else {
            panic!("nothing was said");
        };
        assert_eq!(last, "WARN message=the last spans were not sent lost=2");
    }
}
