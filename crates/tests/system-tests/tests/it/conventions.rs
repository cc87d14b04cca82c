//! The semantic conventions of OpenTelemetry (<https://opentelemetry.io/docs/specs/semconv/>) as data, and every span that real
//! processes send against them.

use std::time::Duration;

use stack::{Source, Stack, Window};
use test_support::{CollectedSpan, OtlpSink};

use crate::traces::traced_stack;

/// Every attribute that a span may have here, and its type.
const TYPES: [(&str, &str); 23] = [
    ("db.operation.name", "string"),
    ("db.system.name", "string"),
    ("error.type", "string"),
    ("http.request.method", "string"),
    ("http.response.status_code", "int"),
    ("http.route", "string"),
    ("messaging.destination.name", "string"),
    ("messaging.destination.template", "string"),
    ("messaging.message.id", "string"),
    ("messaging.operation.name", "string"),
    ("messaging.operation.type", "string"),
    ("messaging.system", "string"),
    ("network.protocol.version", "string"),
    ("server.address", "string"),
    ("server.port", "int"),
    ("url.full", "string"),
    ("url.path", "string"),
    ("url.query", "string"),
    ("url.scheme", "string"),
    ("user_agent.original", "string"),
    // Our own: no convention knows pages.
    ("outcome", "string"),
    ("window", "string"),
    // What `tracing` adds.
    ("target", "string"),
];

/// Which spans must have what: those of a kind, if they have the attribute that is the condition.
const REQUIRED: [(&str, Option<&str>, &[&str]); 7] = [
    (
        "server",
        None,
        &[
            "http.request.method",
            "url.path",
            "url.scheme",
            "network.protocol.version",
        ],
    ),
    // Recommended: what the request says it is for, which none of ours omits.
    ("server", None, &["server.address", "server.port"]),
    ("server", None, &["http.response.status_code", "http.route"]),
    (
        "client",
        None,
        &["http.request.method", "server.address", "server.port", "url.full"],
    ),
    (
        "producer",
        None,
        &[
            "messaging.system",
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.destination.name",
            "messaging.destination.template",
            "messaging.message.id",
        ],
    ),
    (
        "consumer",
        None,
        &[
            "messaging.system",
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.destination.name",
            "messaging.destination.template",
            "messaging.message.id",
        ],
    ),
    ("internal", Some("db.operation.name"), &["db.system.name"]),
];

/// What every process says of itself.
const RESOURCE: [&str; 5] = [
    "service.name",
    "service.version",
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
];

/// The metrics that the conventions know, as Prometheus names them: which attributes every data point must have, and which it may.
/// No other metric has a name that begins as theirs do.
const METRICS: [(&str, &[&str], &[&str]); 4] = [
    (
        "http_server_request_duration_seconds",
        &["http_request_method", "http_response_status_code", "url_scheme"],
        &["error_type", "http_route", "network_protocol_version"],
    ),
    (
        "http_server_active_requests",
        &["http_request_method", "url_scheme"],
        &[],
    ),
    ("process_cpu_time_seconds_total", &[], &[]),
    ("process_memory_usage_bytes", &[], &[]),
];

/// What is wrong with a line of `/metrics`.
fn faults_of_line(line: &str) -> Option<String> {
    let (series, _) = line.rsplit_once(' ')?;
    let (name, attributes) = series.split_once('{').unwrap_or((series, ""));
    if !name.starts_with("http_") && !name.starts_with("process_") {
        return None;
    }
    let parts = ["_bucket", "_sum", "_count"];
    let name = parts
        .into_iter()
        .find_map(|part| name.strip_suffix(part))
        .unwrap_or(name);
    let Some((_, must, may)) = METRICS.iter().find(|(known, ..)| *known == name) else {
        return Some(format!("{name} is not of the conventions"));
    };
    // No value of ours has a comma.
    let said: Vec<_> = attributes
        .split(',')
        .filter_map(|attribute| attribute.split_once('=').map(|(name, _)| name))
        .filter(|name| *name != "le")
        .collect();
    let absent = must.iter().find(|name| !said.contains(*name));
    let unknown = said
        .iter()
        .find(|name| !must.contains(*name) && !may.contains(*name));
    absent
        .map(|absent| format!("{name} lacks {absent}: {line}"))
        .or_else(|| unknown.map(|unknown| format!("{name} has {unknown}: {line}")))
}

/// What is wrong with a span.
fn faults(span: &CollectedSpan) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, kind) in &span.types {
        match TYPES.iter().find(|(known, _)| known == name) {
            None => faults.push(format!("{name} is not known")),
            Some((_, expected)) if kind != expected => {
                faults.push(format!("{name} is {kind}, not {expected}"));
            }
            Some(_) => {}
        }
    }
    for (kind, condition, names) in REQUIRED {
        let meant = span.kind == kind && condition.is_none_or(|name| span.types.contains_key(name));
        let absent = names
            .iter()
            .filter(|name| meant && !span.types.contains_key(**name));
        faults.extend(absent.map(|name| format!("{name} is absent")));
    }
    let absent = RESOURCE.iter().filter(|name| !span.resource.contains_key(**name));
    faults.extend(absent.map(|name| format!("{name} of the resource is absent")));
    faults.extend(fault_of_name(span));
    faults.extend(fault_of_error(span));
    faults
}

/// `{operation} {destination}`, as the conventions for messages name spans.
fn fault_of_name(span: &CollectedSpan) -> Option<String> {
    let operation = span.attributes.get("messaging.operation.name")?;
    let destination = span.attributes.get("messaging.destination.template")?;
    (span.name != format!("{operation} {destination}")).then(|| "the name is another one".to_owned())
}

/// A request that fails has an error: to a server from 500 on, to a client from 400 on.
fn fault_of_error(span: &CollectedSpan) -> Option<String> {
    let status: u16 = span.attributes.get("http.response.status_code")?.parse().ok()?;
    let fails_from = if span.kind == "client" { 400 } else { 500 };
    let expected = (status >= fails_from).then(|| status.to_string());
    let said = span.attributes.get("error.type").cloned();
    (said != expected).then(|| format!("error.type of {status} is {said:?}"))
}

/// Does all that makes a span: writes, reads, what is not there, and a source that is down.
async fn do_everything(stack: &mut Stack) -> [String; 2] {
    let id = stack.create_account("before").await;
    let endpoint = stack.add_endpoint(id, "a", "https://a.example/").await;
    stack.record(id, endpoint, 7).await;
    let write = stack.rename_account(id, "after").await;
    stack.page(0, id).await;
    stack.page(0, 4_711).await;
    stack.sources[Source::Metrics].kill().await;
    let degraded = stack.page_with(0, id, Window::Hour, &[]).await;
    [write.trace_id, degraded.trace_id]
}

/// All spans, once these traces are there whole.
async fn spans(sink: &OtlpSink, [write, degraded]: &[String; 2]) -> Vec<CollectedSpan> {
    test_support::eventually(Duration::from_secs(30), async || {
        let spans = sink.spans();
        let there = |trace: &String, kind| spans.iter().any(|s| s.trace_id == *trace && s.kind == kind);
        let whole = ["server", "producer", "consumer"].map(|kind| there(write, kind));
        let whole = whole.into_iter().all(|there| there) && there(degraded, "client");
        if whole { Ok(spans) } else { Err(spans.len()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_span_keeps_the_conventions() {
    let (mut stack, sink) = traced_stack(1).await;
    let traces = do_everything(&mut stack).await;
    let spans = spans(&sink, &traces).await;
    let mut wrong = std::collections::BTreeMap::new();
    for span in &spans {
        for fault in faults(span) {
            wrong.entry((span.kind.clone(), fault)).or_insert(span);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for kind in ["server", "client", "producer", "consumer", "internal"] {
        assert!(spans.iter().any(|span| span.kind == kind), "no span is {kind}");
    }
    let failed = spans
        .iter()
        .any(|span| span.attributes.contains_key("error.type"));
    assert!(failed, "a source was down, and no span says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_one_id_at_its_producer_and_its_consumer() {
    let (mut stack, sink) = traced_stack(1).await;
    let traces = do_everything(&mut stack).await;
    let spans = spans(&sink, &traces).await;
    let id = |kind| {
        let span = spans
            .iter()
            .find(|span| span.trace_id == traces[0] && span.kind == kind)
            .unwrap();
        span.attributes["messaging.message.id"].clone()
    };
    assert_eq!(id("producer"), id("consumer"));
    assert!(id("producer").starts_with("accounts:"), "{}", id("producer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_conventions_keeps_them() {
    let stack = Stack::start().await;
    let id = stack.create_account("a").await;
    let endpoint = stack.add_endpoint(id, "a", "https://a.example/").await;
    stack.record(id, endpoint, 7).await;
    stack.page(0, id).await;
    for service in stack.services() {
        let metrics = reqwest::get(service.url("/metrics")).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let faults: Vec<_> = metrics.lines().filter_map(faults_of_line).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        for (name, ..) in METRICS {
            let kind = format!("# TYPE {name} ");
            assert!(
                metrics.contains(&kind),
                "{name} is absent from {}",
                service.url("")
            );
        }
    }
}
