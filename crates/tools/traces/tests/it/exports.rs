//! Exports as other programs send them (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use reqwest::Response;

use crate::Viewer;

fn span(trace: &[u8], id: &[u8]) -> Span {
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        name: "exported".to_owned(),
        start_time_unix_nano: 1_000_000,
        end_time_unix_nano: 3_000_000,
        ..Span::default()
    }
}

fn export_of(spans: Vec<Span>) -> Vec<u8> {
    let scope = ScopeSpans {
        spans,
        ..ScopeSpans::default()
    };
    let of_service = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![of_service],
    };
    request.encode_to_vec()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn send(viewer: &Viewer, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let request = reqwest::Client::new().post(format!("{}/v1/traces", viewer.url));
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body).send().await.unwrap()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test]
async fn an_export_is_taken_compressed_and_whatever_parameters_its_type_has() {
    let viewer = Viewer::start().await;
    let plain = |number: u8| export_of(vec![span(&[number; 16], &[1; 8])]);
    let charset = ("content-type", "Application/X-Protobuf; charset=utf-8");
    let cases: [(&[_], Vec<u8>); 4] = [
        (&[PROTOBUF], plain(1)),
        (&[charset], plain(2)),
        (&[PROTOBUF, GZIP], gzip(&plain(3))),
        (&[PROTOBUF, ("content-encoding", "identity")], plain(4)),
    ];
    for (number, (headers, body)) in (1..).zip(cases) {
        let answer = send(&viewer, headers, body).await;
        assert_eq!(answer.status(), 200, "{headers:?}");
        assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
        assert_eq!(answer.bytes().await.unwrap(), "");
        let trace = format!("{number:02x}").repeat(16);
        assert_eq!(
            viewer.spans(&trace).await.unwrap(),
            ["unknown: exported"],
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_unpacked_and_what_is_too_large_then_is_refused() {
    let viewer = Viewer::start().await;
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert_eq!(send(&viewer, &[PROTOBUF, GZIP], bomb).await.status(), 413);
    assert_eq!(
        send(&viewer, &[PROTOBUF, GZIP], b"no gzip".to_vec())
            .await
            .status(),
        400
    );
    let other = ("content-encoding", "br");
    assert_eq!(send(&viewer, &[PROTOBUF, other], Vec::new()).await.status(), 415);
    let json = ("content-type", "application/json");
    assert_eq!(send(&viewer, &[json], b"{}".to_vec()).await.status(), 415);
}

#[tokio::test]
async fn an_id_that_is_none_is_not_listed() {
    let viewer = Viewer::start().await;
    let spans = vec![
        span(&[0; 16], &[1; 8]),
        span(&[7; 15], &[1; 8]),
        span(&[], &[1; 8]),
        span(&[8; 16], &[0; 8]),
        span(&[9; 16], &[1; 8]),
    ];
    assert_eq!(send(&viewer, &[PROTOBUF], export_of(spans)).await.status(), 200);
    let list = reqwest::get(format!("{}/all", viewer.url)).await.unwrap();
    let list = list.text().await.unwrap();
    assert_eq!(list.matches("href=\"/traces/").count(), 1, "{list}");
    assert!(list.contains(&"09".repeat(16)));
}

#[tokio::test]
async fn what_happened_within_a_span_is_shown() {
    let viewer = Viewer::start().await;
    let text = |text: &str| AnyValue {
        value: Some(Value::StringValue(text.to_owned())),
    };
    let attribute = KeyValue {
        key: "level".to_owned(),
        value: Some(text("WARN")),
        ..KeyValue::default()
    };
    let event = Event {
        time_unix_nano: 2_500_000,
        name: "<asked again>".to_owned(),
        attributes: vec![attribute],
        ..Event::default()
    };
    let span = Span {
        events: vec![event],
        ..span(&[1; 16], &[1; 8])
    };
    send(&viewer, &[PROTOBUF], export_of(vec![span])).await;
    let page = reqwest::get(format!("{}/traces/{}", viewer.url, "01".repeat(16)))
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("<dt>+1.500 ms</dt><dd>&lt;asked again&gt; level=WARN</dd>"),
        "{page}"
    );
}
