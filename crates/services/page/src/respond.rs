//! The cache's answer as an HTTP response.
//!
//! On a hit nothing is rendered but the footer, and nothing compressed: the page's bytes are shared, and the footer goes out
//! behind them.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use fresh_cache::{Answer, Forward, Outcome};
use http_edge::conditional::{Evaluation, Preconditions};
use jiff::Timestamp;
use maud::Markup;

use crate::accept::{Format, takes_gzip};
use crate::body::two_pieces;
use crate::document::{Footers, about_html};
use crate::error::Refusal;
use crate::headers::{CACHE_STATUS, FRESH_AS_OF, SERVER_TIMING, cache_status, server_timing, value};
use crate::key::PageKey;
use crate::loader::Upstreams;
use crate::moment::{rfc3339, timestamp};
use crate::preferences::{PREFERENCE_APPLIED, Wait};
use crate::render::{Form, Page, Rendered, Served};
use crate::source::Source;
use crate::token::{self, CONSISTENCY_TOKEN};

/// The head of every answer, with a place for what differs: a copy of a map costs a third of filling one.
static HEAD: LazyLock<HeaderMap> = LazyLock::new(|| {
    let differs = || HeaderValue::from_static("");
    HeaderMap::from_iter([
        (header::VARY, HeaderValue::from_static(VARY)),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL)),
        (header::ETAG, differs()),
        (CONSISTENCY_TOKEN, differs()),
        (header::AGE, differs()),
        (CACHE_STATUS, differs()),
        (FRESH_AS_OF, differs()),
        (SERVER_TIMING, differs()),
    ])
});
/// The head with what programs are told of the body.
static JSON_HEAD: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut head = HEAD.clone();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    head
});
/// The head with what browsers are told of the body.
static HTML_HEAD: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut head = HEAD.clone();
    head.extend(about_html());
    head
});

/// The request headers that change the answer: its form, and, by the wait, which fragments are marked (RFC 7240, section 2).
const VARY: &str = "accept, accept-encoding, prefer";
/// Private: who may see an account is not ours to know. No-cache: every reader asks, which is what makes a page fresh; the
/// `ETag` makes asking cheap.
const CACHE_CONTROL: &str = "private, no-cache";

/// One answer of the cache, on its way out.
pub(crate) struct PageResponse<'a> {
    /// Which page was asked for.
    key: PageKey,
    /// What the cache answered.
    answer: &'a Answer<Upstreams>,
    /// How long it took to do so.
    took: Duration,
    /// How long the reader waits, if it said so.
    wait: Option<Wait>,
    /// What renders the footer.
    footers: &'a Footers,
    /// The words of `Cache-Status`.
    how: Cow<'static, str>,
    fresh_as_of: Timestamp,
    composed_at: Timestamp,
    age: Duration,
}

impl<'a> PageResponse<'a> {
    /// The answer of the cache, how long it took, and how long the reader waits.
    pub(crate) fn new(
        key: PageKey,
        answer: &'a Answer<Upstreams>,
        took: Duration,
        wait: Option<Wait>,
        footers: &'a Footers,
    ) -> Self {
        let composed_at = timestamp(answer.composed);
        Self {
            key,
            answer,
            took,
            wait,
            footers,
            how: cache_status(answer.outcome, &degraded(answer)),
            fresh_as_of: timestamp(answer.fresh_as_of),
            composed_at,
            age: answer.age,
        }
    }

    /// Answers a request that had these headers.
    pub(crate) fn respond(self, request: &HeaderMap, preconditions: &Preconditions) -> Response {
        let format = Format::preferred(request);
        let mut response = match self.answer.page.content() {
            Page::Shown(shown) => self.show(shown, format, request, preconditions),
            Page::NoAccount => self.refuse(Refusal::NoSuchAccount(self.key.account), format),
            Page::Nothing(reasons) => self.refuse(Refusal::NothingToShow(reasons.clone()), format),
        };
        self.describe(response.headers_mut());
        response
    }

    fn show(
        &self,
        shown: &Rendered,
        format: Format,
        request: &HeaderMap,
        preconditions: &Preconditions,
    ) -> Response {
        let form = match format {
            Format::Html => &shown.html,
            Format::Json => &shown.json,
        };
        let etag = form.etag.to_str().expect("an ETag is made of text");
        let known = match preconditions.evaluate(Some(etag)) {
            Evaluation::Failed => {
                let mut response = self.refuse(Refusal::PreconditionFailed(etag.to_owned()), format);
                response.headers_mut().insert(header::ETAG, form.etag.clone());
                return response;
            }
            evaluation => evaluation == Evaluation::NotModified && !navigates(request),
        };
        let (mut headers, body) = if known {
            (HEAD.clone(), Body::empty())
        } else {
            let (head, footer) = match format {
                Format::Html => (&HTML_HEAD, self.footer(Some(&shown.revisions))),
                Format::Json => (&JSON_HEAD, Bytes::new()),
            };
            let mut headers = HeaderMap::clone(head);
            let body = body(form, footer, request, &mut headers);
            (headers, body)
        };
        headers.insert(header::ETAG, form.etag.clone());
        headers.insert(CONSISTENCY_TOKEN, shown.tokens.clone());
        let mut response = Response::new(body);
        *response.headers_mut() = headers;
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    }

    fn refuse(&self, refusal: Refusal, format: Format) -> Response {
        let mut response = refusal.respond(format, || self.footer(None));
        let headers = response.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static(VARY));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
        headers.insert(CONSISTENCY_TOKEN, value(self.tokens()));
        response
    }

    fn footer(&self, revisions: Option<&Markup>) -> Bytes {
        self.footers.footer(Served {
            how: Some(&self.how),
            fresh_as_of: Some(self.fresh_as_of),
            composed_at: Some(self.composed_at),
            age: Some(self.age),
            revisions,
            ..Served::default()
        })
    }

    /// How the answer was served and how fresh it is: on every answer, 304 and refusals included.
    fn describe(self, headers: &mut HeaderMap) {
        headers.insert(header::AGE, self.age.as_secs().into());
        headers.insert(FRESH_AS_OF, value(rfc3339(self.fresh_as_of)));
        headers.insert(
            SERVER_TIMING,
            value(server_timing(self.took, &self.answer.fetches)),
        );
        headers.insert(CACHE_STATUS, value(self.how));
        // A strategy that keeps nothing waits until the load ends.
        let bypass = matches!(
            self.answer.outcome,
            Outcome::Forwarded {
                why: Forward::Bypass,
                ..
            }
        );
        let wait = self.wait.filter(|_| !bypass);
        if let Some(applied) = wait.and_then(|wait| wait.applied(self.took)) {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
    }

    /// What the page shows, for the reader to hold us, or another replica, to (rule 13).
    fn tokens(&self) -> String {
        let fragments = Source::ALL.into_iter().zip(self.answer.page.fragments());
        let shown = fragments.filter_map(|(source, state)| {
            let fragment = state.fragment()?;
            Some((source, fragment.version, fragment.claim))
        });
        token::write(self.key.account, shown)
    }
}

/// Whether a browser opens the page for a person to look at (Fetch Metadata).
///
/// It then gets the page in full even if it has it: a 304 would leave the old footer on the screen, which tells
/// how an earlier answer was served, and that is what people reload this page for.
fn navigates(request: &HeaderMap) -> bool {
    request
        .get("sec-fetch-dest")
        .is_some_and(|destination| destination == "document")
}

/// `endpoints stale, metrics missing, accounts behind`, or nothing.
fn degraded(answer: &Answer<Upstreams>) -> String {
    if answer.degraded().next().is_none() && answer.behind.is_empty() {
        return String::new();
    }
    let states = Source::ALL
        .iter()
        .zip(answer.page.fragments())
        .filter(|(_, state)| state.reason().is_some());
    let words = states.map(|(source, state)| match state.fragment() {
        Some(_) => format!("{source} stale"),
        None => format!("{source} missing"),
    });
    let behind = answer
        .behind
        .iter()
        .map(|(source, _)| format!("{} behind", Source::ALL[source.0]));
    words.chain(behind).collect::<Vec<_>>().join(", ")
}

/// The form and behind it the footer, compressed if the reader takes it so.
fn body(form: &Form, footer: Bytes, request: &HeaderMap, headers: &mut HeaderMap) -> Body {
    match takes_gzip(request).then(|| form.gzipped()).flatten() {
        Some(opening) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            two_pieces(opening.bytes(), opening.close(&footer))
        }
        None => two_pieces(form.bytes.clone(), footer),
    }
}
