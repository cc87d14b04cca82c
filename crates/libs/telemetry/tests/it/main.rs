//! Telemetry as a service starts it: once per process, so this is one test.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::global;
use telemetry::{Decision, Sampler, StartError, TelemetryConfig, Unsampled};
use test_support::OtlpSink;
use tracing::{debug_span, info_span};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_sends_its_spans_before_it_ends_and_counts_in_prometheus_text() {
    let sink = OtlpSink::spawn().await;
    let config = TelemetryConfig {
        otel_exporter_otlp_endpoint: Some(sink.endpoint()),
        log: "warn".to_owned(),
        ..Default::default()
    };
    let running = telemetry::start("accounts", &config).unwrap();
    assert!(matches!(
        telemetry::start("accounts", &config),
        Err(StartError::AlreadyStarted(_))
    ));

    let trace_id = info_span!("outer").in_scope(|| {
        debug_span!("too fine to be traced")
            .in_scope(|| info_span!("inner", account = 7).in_scope(telemetry::current_trace_id))
    });
    let unsampled = exhaust(&telemetry::sampler());
    let mut request = unsampled.expect("a thousand requests at once are not all traced");
    let quoted = request.enter(|| info_span!("not traced").in_scope(telemetry::named_trace_id));
    assert_ne!(quoted, None);

    global::meter("test")
        .u64_counter("renames")
        .build()
        .add(2, &[KeyValue::new("source", "accounts")]);
    tokio::time::timeout(Duration::from_secs(5), running.shutdown())
        .await
        .unwrap();

    let spans = sink.spans();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (outer, inner) = (find("outer"), find("inner"));
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert_eq!(outer.parent_span_id, "");
    assert_eq!(Some(&inner.trace_id), trace_id.as_ref());
    assert_eq!(
        (outer.service.as_str(), outer.kind.as_str()),
        ("accounts", "internal")
    );
    assert_eq!(inner.attributes["account"], "7");

    let text = telemetry::prometheus_text();
    assert!(text.contains("renames_total{source=\"accounts\"} 2"), "{text}");
    assert!(
        text.contains("# TYPE process_cpu_time_seconds_total counter"),
        "{text}"
    );
    assert!(
        value(&text, "process_memory_usage_bytes") > 100_000.0,
        "no program is as small: {text}"
    );
    let before = value(&text, "process_cpu_time_seconds_total");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        std::hint::spin_loop();
    }
    let spent = value(&telemetry::prometheus_text(), "process_cpu_time_seconds_total") - before;
    assert!(spent > 0.0 && spent < 5.0, "{spent} s of work");
}

/// The first request of many that is not traced.
fn exhaust(sampler: &Sampler) -> Option<Unsampled> {
    (0..1_000).find_map(|_| match sampler.decide(None, Instant::now()) {
        Decision::Traced(_) => None,
        Decision::Unsampled(unsampled) => Some(unsampled),
    })
}

/// What the line of this name says, which has no labels.
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
