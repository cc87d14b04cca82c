//! The JSON that is answered.

use event_bus::Version;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::sample::{AccountId, EndpointId, ResponseMs, Sample, UnixMs};
use crate::summary::{Point, Summary};
use crate::window::Frame;

/// The version of this file's forms (rule 25). It is part of every `ETag`, so that an answer of another form is another answer: raise it
/// with every change of what `GET` answers.
pub const FORM: u32 = 1;

/// What a batch of samples changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordedAnswer {
    #[schema(example = 1)]
    pub(crate) account_id: i64,
    /// Counts the changes of this account's samples, from 1.
    #[schema(example = 7)]
    pub(crate) revision: u64,
    /// How many samples are new or differ from what was known; 0 for a repeated batch.
    #[schema(example = 17)]
    pub(crate) recorded: usize,
}

/// An account's samples in a window of time, summarised.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricsAnswer {
    #[schema(example = 1)]
    account_id: i64,
    /// Counts the changes of this account's samples; 0 if there never were any.
    #[schema(example = 7)]
    revision: u64,
    #[schema(example = "24h")]
    window: &'static str,
    /// The window's first moment. RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    start: String,
    /// The moment after its last; this answer holds until then, unless samples come.
    #[schema(format = DateTime)]
    end: String,
    #[schema(example = 1800)]
    bucket_seconds: i64,
    /// The endpoints with samples in the window, by id.
    endpoints: Vec<EndpointAnswer>,
}

/// The samples of one endpoint, summarised.
#[derive(Debug, Serialize, ToSchema)]
struct EndpointAnswer {
    #[schema(example = 3)]
    endpoint_id: i64,
    #[schema(example = 48)]
    samples: usize,
    /// The share of samples that are not down.
    #[schema(example = 0.9792)]
    uptime: f64,
    /// Percentiles are nearest-rank, over the samples that are not down; null if all of them are.
    #[schema(example = 218)]
    p50_ms: Option<u32>,
    #[schema(example = 400)]
    p95_ms: Option<u32>,
    #[schema(example = 900)]
    p99_ms: Option<u32>,
    last: SampleAnswer,
    /// One per bucket, from `start`.
    series: Vec<PointAnswer>,
}

/// The newest sample of an endpoint in the window.
#[derive(Debug, Serialize, ToSchema)]
struct SampleAnswer {
    #[schema(format = DateTime)]
    at: String,
    /// `up`, `degraded` or `down`.
    #[schema(example = "up")]
    state: &'static str,
    /// 0 where no answer came.
    #[schema(example = 200)]
    status_code: u16,
    #[schema(example = 218)]
    response_ms: u32,
}

/// One bucket.
#[derive(Debug, Serialize, ToSchema)]
struct PointAnswer {
    #[schema(example = 2)]
    samples: usize,
    /// Null without samples.
    #[schema(example = 1.0)]
    uptime: Option<f64>,
    /// Null without a sample that is not down.
    #[schema(example = 220)]
    p50_ms: Option<u32>,
}

impl MetricsAnswer {
    pub(crate) fn new(
        account: AccountId,
        revision: u64,
        frame: Frame,
        summaries: &[(EndpointId, Summary)],
    ) -> Self {
        Self {
            account_id: account.0,
            revision,
            window: frame.window().as_str(),
            start: time(frame.start()),
            end: time(frame.end()),
            bucket_seconds: frame.window().bucket_seconds(),
            endpoints: summaries
                .iter()
                .map(|(endpoint, summary)| EndpointAnswer::new(*endpoint, summary))
                .collect(),
        }
    }
}

impl EndpointAnswer {
    fn new(endpoint: EndpointId, summary: &Summary) -> Self {
        Self {
            endpoint_id: endpoint.get(),
            samples: summary.samples,
            uptime: summary.uptime,
            p50_ms: summary.p50.map(ResponseMs::get),
            p95_ms: summary.p95.map(ResponseMs::get),
            p99_ms: summary.p99.map(ResponseMs::get),
            last: SampleAnswer::from(&summary.last),
            series: summary.series.iter().map(PointAnswer::from).collect(),
        }
    }
}

impl From<&Sample> for SampleAnswer {
    fn from(sample: &Sample) -> Self {
        Self {
            at: time(sample.at),
            state: sample.state.as_str(),
            status_code: sample.status_code.get(),
            response_ms: sample.response_ms.get(),
        }
    }
}

impl From<&Point> for PointAnswer {
    fn from(point: &Point) -> Self {
        Self {
            samples: point.samples,
            uptime: point.uptime,
            p50_ms: point.p50.map(ResponseMs::get),
        }
    }
}

fn time(at: UnixMs) -> String {
    let at = Timestamp::from_millisecond(at.0).expect("a frame lies around the clock's now");
    format!("{at:.3}")
}

/// Names the samples; an answer's `ETag` has the window's end too.
pub(crate) fn samples_etag(version: Version) -> String {
    format!("\"{version}-v{FORM}\"")
}

/// The `ETag` of an answer: which state it shows, in which form, and the end of its window.
pub(crate) fn etag(version: Version, frame: Frame) -> String {
    format!("\"{version}-v{FORM}-{}\"", frame.end_seconds())
}
