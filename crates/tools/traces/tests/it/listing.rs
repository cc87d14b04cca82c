//! Which traces are listed, and where.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::Viewer;

/// The ids of two spans of one trace.
const PARENT: u8 = 1;
const CHILD: u8 = 2;

impl Viewer {
    /// Exports one span. What is a child begins after its parent.
    async fn export(&self, trace: u8, id: u8, parent: Option<u8>, kind: SpanKind) {
        let start = if parent.is_some() { 2_000 } else { 1_000 };
        let span = Span {
            trace_id: vec![trace; 16],
            span_id: vec![id; 8],
            parent_span_id: parent.map_or_else(Vec::new, |parent| vec![parent; 8]),
            kind: kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: start + 500,
            ..Span::default()
        };
        let spans = ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![spans],
                ..ResourceSpans::default()
            }],
        };
        let answer = reqwest::Client::new()
            .post(format!("{}/v1/traces", self.url))
            .header("content-type", "application/x-protobuf")
            .body(request.encode_to_vec())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Whether a page links a trace.
    async fn lists(&self, page: &str, trace: u8) -> bool {
        let answer = reqwest::get(format!("{}{page}", self.url)).await.unwrap();
        let link = format!("/traces/{}", format!("{trace:02x}").repeat(16));
        answer.text().await.unwrap().contains(&link)
    }
}

#[tokio::test]
async fn a_request_is_listed_and_what_a_service_did_of_its_own_accord_only_among_all() {
    let viewer = Viewer::start().await;
    viewer.export(1, PARENT, None, SpanKind::Server).await;
    viewer.export(2, PARENT, None, SpanKind::Internal).await;
    assert!(viewer.lists("/", 1).await && viewer.lists("/all", 1).await);
    assert!(!viewer.lists("/", 2).await && viewer.lists("/all", 2).await);
}

#[tokio::test]
async fn what_began_elsewhere_is_only_among_all_until_its_beginning_comes() {
    let viewer = Viewer::start().await;
    viewer.export(1, CHILD, Some(PARENT), SpanKind::Server).await;
    assert!(!viewer.lists("/", 1).await && viewer.lists("/all", 1).await);
    viewer.export(1, PARENT, None, SpanKind::Client).await;
    assert!(viewer.lists("/", 1).await && viewer.lists("/all", 1).await);
}
