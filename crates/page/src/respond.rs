//! The cache's answer as an HTTP response.
//!
//! On a hit nothing is rendered but the foot: the page's bytes are shared, and the foot goes out behind them.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fresh_cache::{Answer, SourceId};
use futures::stream;
use http_edge::conditional;
use jiff::Timestamp;

use crate::accept::Format;
use crate::compose::Upstreams;
use crate::error::Refusal;
use crate::headers::{
    CACHE_STATUS, FRESH_AS_OF, SERVER_TIMING, cache_status, fresh_as_of, server_timing, value,
};
use crate::key::PageKey;
use crate::moment::timestamp;
use crate::render::{CONTENT_SECURITY_POLICY, Page, Rendered, Served, render_foot};
use crate::source::Source;
use crate::token::{self, CONSISTENCY_TOKEN};

/// Where traces can be looked at: an address with `{trace_id}` in it, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Traces(pub(crate) Option<String>);

impl Traces {
    /// Adds the current trace to what the foot says, and renders it.
    pub(crate) fn foot(&self, served: Served<'_>) -> Bytes {
        let trace_id = telemetry::current_trace_id();
        let link = |id: &String| self.0.as_ref().map(|pattern| pattern.replace("{trace_id}", id));
        let trace_url = trace_id.as_ref().and_then(link);
        render_foot(&Served {
            trace_id: trace_id.as_deref(),
            trace_url: trace_url.as_deref(),
            ..served
        })
    }
}

/// One answer of the cache, on its way out.
pub(crate) struct Outgoing<'a> {
    /// Which page was asked for.
    pub(crate) key: PageKey,
    /// What the cache answered.
    pub(crate) answer: &'a Answer<Upstreams>,
    /// How long it took to do so.
    pub(crate) took: Duration,
    /// Where the foot sends who wants to see the trace.
    pub(crate) traces: &'a Traces,
}

impl Outgoing<'_> {
    /// Answers a request that had these headers.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let format = Format::preferred(request);
        let mut response = match self.answer.entry.page() {
            Page::Shown(shown) => self.show(shown, format, request),
            Page::NoAccount => self.refuse(Refusal::NoSuchAccount(self.key.account), format),
            Page::Nothing(reasons) => self.refuse(Refusal::NothingToShow(reasons.clone()), format),
        };
        self.describe(response.headers_mut());
        response
    }

    fn show(&self, shown: &Rendered, format: Format, request: &HeaderMap) -> Response {
        let form = match format {
            Format::Html => &shown.html,
            Format::Json => &shown.json,
        };
        let etag = [(header::ETAG, value(form.etag.clone()))];
        if conditional::not_modified(request, &form.etag) && !navigates(request) {
            return (StatusCode::NOT_MODIFIED, etag).into_response();
        }
        let bytes = form.bytes.clone();
        match format {
            Format::Html => (etag, html(bytes, self.foot(&shown.revisions))).into_response(),
            Format::Json => (etag, json(bytes)).into_response(),
        }
    }

    fn refuse(&self, refusal: Refusal, format: Format) -> Response {
        refusal.respond(format, || self.foot(&[]))
    }

    fn foot(&self, revisions: &[(Source, u64)]) -> Bytes {
        self.traces.foot(Served {
            how: Some(&self.cache_status()),
            fresh_as_of: Some(timestamp(self.answer.fresh_as_of)),
            composed_at: Some(timestamp(self.answer.composed)),
            age: Some(self.age()),
            revisions,
            ..Served::default()
        })
    }

    /// How the answer was served and how fresh it is: on every answer, 304 and refusals included.
    fn describe(&self, headers: &mut HeaderMap) {
        let answer = self.answer;
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        // Private: who may see an account is not ours to know. No-cache: every reader asks, which is what
        // makes a page fresh; the ETag makes asking cheap.
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        );
        headers.insert(header::AGE, value(self.age().as_secs().to_string()));
        headers.insert(CACHE_STATUS, value(self.cache_status()));
        headers.insert(FRESH_AS_OF, value(fresh_as_of(timestamp(answer.fresh_as_of))));
        headers.insert(CONSISTENCY_TOKEN, value(self.tokens()));
        headers.insert(SERVER_TIMING, value(server_timing(self.took, &answer.fetches)));
    }

    /// What the page shows, for the reader to hold us, or another replica, to (rule 13).
    fn tokens(&self) -> String {
        let version = |source: Source| self.answer.entry.version(SourceId(source.index()));
        let shown = Source::ALL
            .into_iter()
            .filter_map(|source| Some((source, version(source)?)));
        token::write(self.key.account, shown)
    }

    fn cache_status(&self) -> String {
        cache_status(self.answer.outcome, &degraded(self.answer))
    }

    fn age(&self) -> Duration {
        let age = Timestamp::now().duration_since(timestamp(self.answer.composed));
        age.try_into().unwrap_or_default()
    }
}

/// Whether a browser opens the page for a person to look at (Fetch Metadata).
///
/// It then gets the page in full even if it has it: a 304 would leave the old foot on the screen, which tells
/// how an earlier answer was served, and that is what people reload this page for.
fn navigates(request: &HeaderMap) -> bool {
    request
        .get("sec-fetch-dest")
        .is_some_and(|destination| destination == "document")
}

/// `endpoints stale, metrics missing, accounts behind`, or nothing.
fn degraded(answer: &Answer<Upstreams>) -> String {
    let parts = Source::ALL
        .iter()
        .zip(answer.entry.parts())
        .filter(|(_, part)| part.reason().is_some());
    let words = parts.map(|(source, part)| match part.part() {
        Some(_) => format!("{source} stale"),
        None => format!("{source} missing"),
    });
    let behind = answer
        .behind
        .iter()
        .map(|source| format!("{} behind", Source::ALL[source.0]));
    words.chain(behind).collect::<Vec<_>>().join(", ")
}

/// A page's bytes, and behind them the foot, which closes what they left open.
pub(crate) fn html(opening: Bytes, foot: Bytes) -> Response {
    let length = opening.len() + foot.len();
    let chunks = stream::iter([Ok::<_, Infallible>(opening), Ok(foot)]);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone()),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

fn json(bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    (headers, bytes).into_response()
}
