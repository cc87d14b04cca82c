//! Starts everything at once, and ends it in order.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::outage::SaidOnce;
use crate::sampling::{Follow, set_sampler};
use crate::{Sampler, SpanGate, TelemetryConfig, logs, process};

/// Spans of this level and above are traced.
const TRACED: LevelFilter = LevelFilter::INFO;
/// How long the last spans and metrics may take to leave at exit: a collector that is gone must not hold a service up.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Why telemetry could not start. All of these are mistakes in the settings or in the program.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log directives do not parse.
    #[error("the log filter {directives:?} is not valid")]
    LogFilter {
        /// What was asked for.
        directives: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The OTLP exporter refused its settings.
    #[error("the OTLP exporter for {endpoint:?} cannot be made")]
    Exporter {
        /// Where the spans or the metrics were to go.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: ExporterBuildError,
    },
    /// The Prometheus registry refused the exporter.
    #[error("the Prometheus exporter cannot be made")]
    Prometheus(#[source] OTelSdkError),
    /// Logs already go somewhere else: a process has one subscriber.
    #[error("telemetry was already started in this process")]
    AlreadyStarted(#[source] TryInitError),
}

/// The running telemetry of this process; [`shutdown`](Self::shutdown) it last.
#[derive(Debug)]
#[must_use = "spans of the last seconds, and metrics of the last minute, are lost without shutdown"]
pub struct Telemetry {
    tracer_provider: Option<SdkTracerProvider>,
    /// Where metrics are sent by OTLP.
    meter_provider: Option<SdkMeterProvider>,
    /// Writes the last lines when it is dropped.
    _log_writer: WorkerGuard,
}

/// Starts logs, traces and metrics for this process, under the name `service`.
///
/// Trace ids exist with or without a collector. With one, spans leave in batches from a thread of the
/// exporter's own: when the queue is full they are dropped, and no request ever waits.
pub fn start(service: &'static str, config: &TelemetryConfig) -> Result<Telemetry, StartError> {
    // A reader of our output who stops reading must not stop us: lines beyond the queue are dropped.
    let (stderr, log_writer) = tracing_appender::non_blocking(std::io::stderr());
    let logs =
        logs::layer(config.log_format, &config.log, stderr).map_err(|source| StartError::LogFilter {
            directives: config.log.clone(),
            source,
        })?;
    let sampler = config.sampler();
    // Nobody sees more than the traces' level or the log's.
    let max_level = logs.max_level_hint().unwrap_or(LevelFilter::TRACE).max(TRACED);
    global::set_text_map_propagator(TraceContextPropagator::new());
    logs::log_panics();
    if config.otel_sdk_disabled {
        tracing_subscriber::registry()
            .with(logs)
            .with(SpanGate::closed(max_level))
            .try_init()
            .map_err(StartError::AlreadyStarted)?;
        set_sampler(sampler);
        config.warn_of_ignored();
        return Ok(Telemetry {
            tracer_provider: None,
            meter_provider: None,
            _log_writer: log_writer,
        });
    }

    let resource = resource(service, config);
    let tracer_provider = tracer_provider(config, sampler.clone(), resource.clone())?;
    // Not the log's filter: who asks for fewer lines does not ask for traces with holes.
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer_provider.tracer(service))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        // It would write `exception.stacktrace` as a list, which is to be one text. The error stays an attribute of its event.
        .with_error_fields_to_exceptions(false)
        .with_error_records_to_exceptions(false)
        .with_filter(TRACED);
    tracing_subscriber::registry()
        .with(logs)
        .with(spans)
        .with(SpanGate::new(max_level))
        .try_init()
        .map_err(StartError::AlreadyStarted)?;
    set_sampler(sampler);
    config.warn_of_ignored();
    global::set_tracer_provider(tracer_provider.clone());
    let registry = prometheus::default_registry().clone();
    let meter_provider = meter_provider(config, resource, registry)?;
    global::set_meter_provider(meter_provider.clone());
    process::observe(&global::meter("telemetry"));
    Ok(Telemetry {
        tracer_provider: Some(tracer_provider),
        meter_provider: config.metrics_endpoint().map(|_| meter_provider),
        _log_writer: log_writer,
    })
}

impl Telemetry {
    /// Sends what is left, for at most two seconds.
    pub async fn shutdown(self) {
        let Self {
            tracer_provider,
            meter_provider,
            _log_writer,
        } = self;
        let spans = async {
            if let Some(provider) = tracer_provider {
                flush("spans", move || provider.shutdown_with_timeout(FLUSH_DEADLINE)).await;
            }
        };
        // Not shut down: what was counted can still be read as text.
        let metrics = async {
            if let Some(provider) = meter_provider {
                flush("metrics", move || provider.force_flush()).await;
            }
        };
        tokio::join!(spans, metrics);
    }
}

/// Sends the last of `what`, on a thread, because `flush` waits; and on one of its own, because a runtime that ends waits for
/// its blocking threads, and the SDK knows no deadline for metrics.
async fn flush(what: &'static str, flush: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let (told, sent) = oneshot::channel();
    std::thread::spawn(move || told.send(flush()));
    match tokio::time::timeout(FLUSH_DEADLINE, sent).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last {what} were not sent"),
        Ok(Err(_)) => tracing::warn!("the flush of the last {what} failed"),
        Err(_) => tracing::warn!("the last {what} were not sent in time"),
    }
}

/// Everything that has been counted so far, in the Prometheus text format.
pub fn prometheus_text() -> String {
    prometheus::TextEncoder::new()
        .encode_to_string(&prometheus::gather())
        .unwrap_or_else(|error| format!("# the metrics cannot be written as text: {error}\n"))
}

/// Who is speaking: the setting, else `OTEL_RESOURCE_ATTRIBUTES`, else the program's own name.
fn resource(service: &'static str, config: &TelemetryConfig) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(service)
        // All programs of this workspace have one version, which is this crate's too.
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match config.service_name() {
        Some(name) => resource.with_service_name(name.to_owned()).build(),
        None => resource.build(),
    }
}

/// Makes trace ids always, and sends spans only if there is a place to send them to.
fn tracer_provider(
    config: &TelemetryConfig,
    sampler: Sampler,
    resource: Resource,
) -> Result<SdkTracerProvider, StartError> {
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Follow(sampler));
    let Some(endpoint) = config.traces_endpoint() else {
        return Ok(provider.build());
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&endpoint)
        .build();
    let exporter = exporter.map_err(|source| StartError::Exporter { endpoint, source })?;
    Ok(provider.with_batch_exporter(SaidOnce::new(exporter)).build())
}

/// Keeps metrics in `registry`, and sends them every minute if there is a place to send them to.
fn meter_provider(
    config: &TelemetryConfig,
    resource: Resource,
    registry: prometheus::Registry,
) -> Result<SdkMeterProvider, StartError> {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry)
        .scope_info_enabled(false)
        .build()
        .map_err(StartError::Prometheus)?;
    let provider = SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(exporter);
    let Some(endpoint) = config.metrics_endpoint() else {
        return Ok(provider.build());
    };
    let exporter = MetricExporter::builder()
        .with_http()
        .with_endpoint(&endpoint)
        .build();
    let exporter = exporter.map_err(|source| StartError::Exporter { endpoint, source })?;
    Ok(provider.with_periodic_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::{Span, Tracer};

    use super::*;

    fn provider(config: &TelemetryConfig) -> Result<SdkTracerProvider, StartError> {
        tracer_provider(config, config.sampler(), resource("test", config))
    }

    /// A telemetry that sends to `address`, as `start` makes it, but without the process's globals.
    fn sending_to(address: &str) -> Telemetry {
        let config = TelemetryConfig {
            otel_exporter_otlp_endpoint: Some(address.to_owned()),
            ..Default::default()
        };
        let provider = provider(&config).unwrap();
        Telemetry {
            tracer_provider: Some(provider),
            meter_provider: None,
            _log_writer: tracing_appender::non_blocking(std::io::sink()).1,
        }
    }

    /// Many more spans than the queue holds (2,048), then the flush: neither may wait for the collector.
    async fn assert_unharmed_by(address: &str) {
        let telemetry = sending_to(address);
        let tracer = telemetry.tracer_provider.as_ref().unwrap().tracer("test");
        let started = Instant::now();
        for _ in 0..20_000 {
            tracer.start("work").end();
        }
        let spans_took = started.elapsed();
        assert!(
            spans_took < Duration::from_secs(2),
            "spans waited for the collector: {spans_took:?}"
        );

        let started = Instant::now();
        telemetry.shutdown().await;
        let flush_took = started.elapsed();
        assert!(
            flush_took < FLUSH_DEADLINE + Duration::from_secs(5),
            "the flush took {flush_took:?}"
        );
    }

    #[tokio::test]
    async fn a_collector_that_is_gone_costs_spans_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert_unharmed_by(&address).await;
    }

    #[tokio::test]
    async fn a_collector_that_never_answers_costs_spans_and_nothing_else() {
        // Never accepted, yet connected: the kernel answers for the listener.
        let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_unharmed_by(&format!("http://{}", black_hole.local_addr().unwrap())).await;
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_refused() {
        let config = TelemetryConfig {
            otel_exporter_otlp_endpoint: Some("http://no host".to_owned()),
            ..Default::default()
        };
        let error = provider(&config).unwrap_err();
        assert!(matches!(error, StartError::Exporter { .. }), "{error}");
    }

    /// A telemetry that has counted something and sends no spans, but metrics to `collector`.
    fn counting_for(collector: &TcpListener) -> Telemetry {
        let address = collector.local_addr().unwrap();
        let config = TelemetryConfig {
            otel_exporter_otlp_metrics_endpoint: Some(format!("http://{address}/v1/metrics")),
            ..Default::default()
        };
        let registry = prometheus::Registry::new();
        let provider = meter_provider(&config, resource("test", &config), registry).unwrap();
        let counter = provider.meter("test").u64_counter("told.to.a.collector").build();
        counter.add(1, &[]);
        Telemetry {
            tracer_provider: None,
            meter_provider: Some(provider),
            _log_writer: tracing_appender::non_blocking(std::io::sink()).1,
        }
    }

    /// Takes one export, and says so.
    fn receive(collector: &TcpListener) -> Vec<u8> {
        let (mut connection, _): (TcpStream, _) = collector.accept().unwrap();
        let mut request = Vec::new();
        // What the name stands in is the body, which comes last.
        while !request.windows(19).any(|part| part == b"told.to.a.collector") {
            let mut some = [0; 4096];
            let length = connection.read(&mut some).unwrap();
            let so_far = String::from_utf8_lossy(&request);
            assert!(length > 0, "the request ended: {so_far}");
            request.extend_from_slice(&some[..length]);
        }
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        request
    }

    #[tokio::test]
    async fn metrics_are_sent_where_the_setting_says_and_at_the_latest_at_exit() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let telemetry = counting_for(&collector);
        // As the process's globals do: the last one to go would flush too.
        let _global = telemetry.meter_provider.clone();
        let receiving = tokio::task::spawn_blocking(move || receive(&collector));
        telemetry.shutdown().await;
        // Whoever forgot the flush would be waited for until the minute is over.
        let request = tokio::time::timeout(Duration::from_secs(10), receiving).await;
        assert!(request.unwrap().unwrap().starts_with(b"POST /v1/metrics "));
    }

    #[tokio::test]
    async fn a_collector_that_takes_no_metrics_holds_nobody_up() {
        let black_hole = TcpListener::bind("127.0.0.1:0").unwrap();
        let telemetry = counting_for(&black_hole);
        let _global = telemetry.meter_provider.clone();
        let started = Instant::now();
        telemetry.shutdown().await;
        let took = started.elapsed();
        assert!(took >= FLUSH_DEADLINE, "it tried for as long as it may: {took:?}");
        assert!(
            took < FLUSH_DEADLINE + Duration::from_secs(5),
            "the flush took {took:?}"
        );
    }

    #[test]
    fn a_trace_has_an_id_without_a_collector() {
        let provider = provider(&TelemetryConfig::default()).unwrap();
        let span = provider.tracer("test").start("work");
        assert!(span.span_context().is_valid() && span.span_context().is_sampled());
    }

    #[test]
    fn the_setting_names_the_service_before_the_program_does() {
        let name = |config: &TelemetryConfig| {
            resource("accounts", config)
                .get(&"service.name".into())
                .map(|name| name.to_string())
        };
        assert_eq!(name(&TelemetryConfig::default()).as_deref(), Some("accounts"));
        let renamed = TelemetryConfig {
            otel_service_name: Some("accounts-b".into()),
            ..Default::default()
        };
        assert_eq!(name(&renamed).as_deref(), Some("accounts-b"));
    }
}
