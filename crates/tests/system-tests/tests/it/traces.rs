//! One trace from a write, through the broker, to every replica; and one from a page to its sources' queries.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use stack::{Options, Source, Stack, Window};
use test_support::{CollectedSpan, OtlpSink};

pub(crate) async fn traced_stack(replicas: usize) -> (Stack, OtlpSink) {
    let sink = OtlpSink::spawn().await;
    let flags = vec!["--otel-exporter-otlp-endpoint".to_owned(), sink.endpoint()];
    (
        Stack::start_with(Options {
            replicas,
            flags,
            ..Options::default()
        })
        .await,
        sink,
    )
}

/// The spans of a trace, once `complete` holds of them: exporters send in batches.
async fn trace(sink: &OtlpSink, id: &str, complete: impl Fn(&[CollectedSpan]) -> bool) -> Vec<CollectedSpan> {
    test_support::eventually(Duration::from_secs(30), async || {
        let spans: Vec<_> = sink
            .spans()
            .into_iter()
            .filter(|span| span.trace_id == id)
            .collect();
        if complete(&spans) {
            Ok(spans)
        } else {
            Err(format!("{spans:#?}"))
        }
    })
    .await
}

/// The span of this name at this service; its parent is `parent`.
fn child<'a>(
    spans: &'a [CollectedSpan],
    parent: &CollectedSpan,
    service: &str,
    name: &str,
) -> &'a CollectedSpan {
    let of_name = |span: &&CollectedSpan| span.service == service && span.name == name;
    spans
        .iter()
        .filter(of_name)
        .find(|span| span.parent_span_id == parent.span_id)
        .unwrap_or_else(|| {
            panic!(
                "no {name} of {service} below {} {} in {spans:#?}",
                parent.service, parent.name
            )
        })
}

fn root<'a>(spans: &'a [CollectedSpan], service: &str, name: &str) -> &'a CollectedSpan {
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_empty())
        .expect("a trace has a first span");
    assert_eq!((root.service.as_str(), root.name.as_str()), (service, name));
    root
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_its_commit_its_publish_and_both_replicas_are_one_trace() {
    let (stack, sink) = traced_stack(2).await;
    let id = stack.create_account("before").await;
    let response = stack.rename_account(id, "after").await;
    let trace_id = response.trace_id;

    let processed = |spans: &[CollectedSpan]| {
        spans
            .iter()
            .filter(|s| s.service == "page" && s.kind == "consumer")
            .count()
    };
    let spans = trace(&sink, &trace_id, |spans| {
        processed(spans) == 2 && spans.iter().any(|s| s.kind == "server")
    })
    .await;

    let request = root(&spans, "accounts", "PATCH /accounts/{id}");
    assert_eq!(request.kind, "server");
    let change = child(&spans, request, "accounts", "change_account");
    let commit = child(&spans, change, "accounts", "commit");
    let publish = child(&spans, commit, "accounts", "publish events.accounts.*");
    assert_eq!(publish.kind, "producer");
    let hops = spans
        .iter()
        .filter(|span| span.service == "page" && span.name == "process events.accounts.*");
    let parents: Vec<_> = hops.map(|span| span.parent_span_id.as_str()).collect();
    assert_eq!(
        parents,
        [publish.span_id.as_str(); 2],
        "each replica processed what was published"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_its_three_requests_and_their_queries_are_one_trace() {
    let (stack, sink) = traced_stack(1).await;
    let id = stack.create_account("a").await;
    let page = stack.page(0, id).await;
    let servers = |spans: &[CollectedSpan]| spans.iter().filter(|span| span.kind == "server").count();
    let spans = trace(&sink, &page.trace_id, |spans| servers(spans) == 4).await;

    let request = root(&spans, "page", "GET /accounts/{id}");
    let read = child(&spans, request, "page", "read page");
    let routes = [
        ("accounts", "GET /accounts/{id}", "find_account"),
        ("endpoints", "GET /accounts/{id}/endpoints", "list_endpoints"),
        ("metrics", "GET /accounts/{id}/metrics", "summarise"),
    ];
    for (service, route, query) in routes {
        let asked = child(&spans, read, "page", route);
        assert_eq!(asked.kind, "client");
        let answered = child(&spans, asked, service, route);
        assert_eq!(answered.kind, "server");
        child(&spans, answered, service, query);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_joins_the_load_of_another_points_to_its_trace() {
    let (stack, sink) = traced_stack(1).await;
    let id = stack.create_account("a").await;
    // An event during the load would give the second reader a load of its own.
    stack.until_applied(0, Source::Accounts, 0).await;
    stack.gate.hold_requests();
    let second = async {
        stack.gate.held().await;
        stack.page(0, id).await
    };
    let release = async {
        until_missed(&stack, 2).await;
        stack.gate.open();
    };
    let (first, second, ()) = tokio::join!(stack.page(0, id), second, release);
    assert!(
        second.cache_status.contains("collapsed"),
        "{}",
        second.cache_status
    );

    let reads = |spans: &[CollectedSpan]| spans.iter().any(|span| span.name == "read page");
    let asking = trace(&sink, &first.trace_id, reads).await;
    let waiting = trace(&sink, &second.trace_id, reads).await;
    let read = |spans: &[CollectedSpan]| spans.iter().find(|span| span.name == "read page").cloned();
    let (asking, waiting) = (read(&asking).unwrap(), read(&waiting).unwrap());
    assert_eq!(asking.links, [], "who asks waits for nobody else");
    assert_eq!(waiting.links, [(first.trace_id, asking.span_id)]);
}

/// Waits until so many reads have found no page.
async fn until_missed(stack: &Stack, reads: u64) {
    test_support::eventually(Duration::from_secs(20), async || {
        let labels = [("outcome", "miss")];
        match stack.count(&stack.pages[0], "page_reads_total", &labels).await {
            missed if missed >= reads => Ok(()),
            missed => Err(format!("{missed} reads found no page")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publish_of_a_restarted_source_belongs_to_the_trace_of_the_write() {
    let (mut stack, sink) = traced_stack(1).await;
    let id = stack.create_account("before").await;
    stack.nats.kill();
    let response = stack.rename_account(id, "after").await;
    let trace_id = response.trace_id;
    // Its spans leave in batches: once they have, it may die.
    trace(&sink, &trace_id, |spans| {
        spans.iter().any(|span| span.name == "commit")
    })
    .await;
    stack.sources[Source::Accounts].kill().await;
    stack.nats.restart();
    stack.sources[Source::Accounts].restart(|_| {}).await;
    let spans = trace(&sink, &trace_id, |spans| {
        let there = |kind| spans.iter().any(|span| span.kind == kind);
        there("producer") && there("consumer")
    })
    .await;
    let publish = spans.iter().find(|span| span.kind == "producer").unwrap();
    let commit = spans.iter().find(|span| span.name == "commit").unwrap();
    assert_eq!(publish.parent_span_id, commit.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_wants_untraced_is_untraced_at_every_service_and_its_event_says_so() {
    let (stack, sink) = traced_stack(1).await;
    let id = stack.create_account("before").await;
    stack.until_applied(0, Source::Accounts, 0).await;
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let untraced = [
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ),
        ("cache-control", "no-cache"),
    ];
    for _ in 0..5 {
        stack.page_with(0, id, Window::Day, &untraced).await;
    }
    let url = stack.sources[Source::Accounts].url(&format!("/accounts/{id}"));
    let write = stack
        .request(Method::PATCH, url)
        .json(&json!({ "name": "after" }));
    stack.send(write.header(untraced[0].0, untraced[0].1)).await;

    // What is exported after it comes after it: the reads of a trace that is wanted.
    let wanted = stack.page_with(0, id, Window::Day, &untraced[1..]).await;
    let servers = |spans: &[CollectedSpan]| spans.iter().filter(|span| span.kind == "server").count();
    trace(&sink, &wanted.trace_id, |spans| servers(spans) == 4).await;
    let begun = sink.spans().into_iter().filter(|span| {
        let asked = span.kind == "server" && span.parent_span_id.is_empty();
        asked && !span.name.starts_with("POST") && span.trace_id != wanted.trace_id
    });
    assert_eq!(begun.collect::<Vec<_>>(), []);
    assert!(sink.spans().iter().all(|span| span.trace_id != trace_id));
    let told = last_event(&stack, id).await;
    assert!(
        told.starts_with(&format!("00-{trace_id}-")) && told.ends_with("-00"),
        "{told}"
    );
}

/// What the last event about an account says of its writer's trace.
async fn last_event(stack: &Stack, account: u64) -> String {
    let client = async_nats::connect(stack.nats.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client)
        .get_stream("EVENTS")
        .await
        .unwrap();
    let subject = format!("events.accounts.{account}");
    test_support::eventually(Duration::from_secs(20), async || {
        let event = stream.get_last_raw_message_by_subject(&subject).await.unwrap();
        let told = event.headers.get("traceparent").map(ToString::to_string);
        let revision = event.headers.get("ce-revision").map(ToString::to_string);
        told.filter(|_| revision.as_deref() == Some("2"))
            .ok_or(format!("revision {revision:?}"))
    })
    .await
}

/// The specification of OpenTelemetry: warn, and go on as if the setting were not given.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_of_telemetry_that_cannot_be_used_is_warned_of_and_ends_nothing() {
    let flags = ["--otel-traces-sampler=xray", "--otel-exporter-otlp-protocol=grpc"];
    let stack = Stack::start_with(Options {
        flags: flags.map(str::to_owned).to_vec(),
        ..Options::default()
    })
    .await;
    for service in stack.services() {
        test_support::eventually(Duration::from_secs(10), async || {
            let log = service.log();
            let warned = |setting| {
                let warnings = log
                    .iter()
                    .filter(|line| line["level"] == "WARN" && line["setting"] == setting);
                warnings.count()
            };
            match ["OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_PROTOCOL"].map(warned) {
                [1, 1] => Ok(()),
                other => Err(format!("{other:?} in {log:#?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_carry_the_trace_of_their_request() {
    let (mut stack, _sink) = traced_stack(1).await;
    stack.sources[Source::Metrics].kill().await;
    let id = stack.create_account("a").await;
    let page = stack.page(0, id).await;
    test_support::eventually(Duration::from_secs(10), async || {
        let log = stack.pages[0].log();
        let found = log.iter().any(|line| line["trace_id"] == page.trace_id.as_str());
        if found {
            Ok(())
        } else {
            Err(format!("no line of trace {} in {log:#?}", page.trace_id))
        }
    })
    .await;
}
