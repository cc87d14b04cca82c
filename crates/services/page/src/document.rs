//! An HTML answer: bytes that every reader shares, and behind them a footer of its own.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;

use crate::body::two_pieces;
use crate::render::{CONTENT_SECURITY_POLICY, Served, render_footer};

/// Renders footers, which link the trace where traces can be looked at: an address with `{trace_id}` in it, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Footers(pub(crate) Option<String>);

impl Footers {
    /// Adds the current trace to what the footer says, and renders it.
    pub(crate) fn footer(&self, served: Served<'_>) -> Bytes {
        self.footer_of(telemetry::current_trace_id().as_deref(), served)
    }

    /// The same with the trace of that id.
    pub(crate) fn footer_of(&self, trace_id: Option<&str>, served: Served<'_>) -> Bytes {
        let link = |id: &str| self.0.as_ref().map(|pattern| pattern.replace("{trace_id}", id));
        let trace_url = trace_id.and_then(link);
        render_footer(&Served {
            trace_id,
            trace_url: trace_url.as_deref(),
            ..served
        })
    }
}

/// A page's bytes, and behind them the footer, which closes what they left open.
pub(crate) fn html(opening: Bytes, footer: Bytes) -> Response {
    let mut response = Response::new(two_pieces(opening, footer));
    response.headers_mut().extend(about_html());
    response
}

pub(crate) fn about_html() -> [(HeaderName, HeaderValue); 4] {
    [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone()),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}
