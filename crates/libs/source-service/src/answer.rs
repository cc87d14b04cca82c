//! What the answers of a source say beside their content.

use std::time::Duration;

use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use event_bus::{Publishing, Version};

/// Whose watermarks vouch for an answer (rule 21).
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
/// What a client sends along to read its own write (rule 13).
const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds to the answers of a source what its readers and writers need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AnswerHeaders {
    source: &'static str,
    publishing: Publishing,
    injected_latency: Duration,
}

impl AnswerHeaders {
    pub(crate) fn new(source: &'static str, publishing: Publishing, injected_latency: Duration) -> Self {
        if !injected_latency.is_zero() {
            tracing::warn!(latency = ?injected_latency, "latency is injected into reads, as the settings say");
        }
        Self {
            source,
            publishing,
            injected_latency,
        }
    }

    /// Names whose watermarks vouch for what was read: those of this process, while it is certain that it publishes.
    ///
    /// Then holds the answer back, if latency is injected. The answer is made by then: what goes out is as old as that of a
    /// slow query.
    pub async fn read(&self, answer: impl IntoResponse) -> Response {
        let claim = self
            .publishing
            .claim()
            .map(|claim| [(FEED_CLAIM, claim.to_string())]);
        let response = (claim, answer).into_response();
        if self.injected_latency.is_zero() {
            return response;
        }
        tokio::time::sleep(self.injected_latency).await;
        let timing = format!("injected;dur={}", self.injected_latency.as_millis());
        ([(SERVER_TIMING, timing)], response).into_response()
    }

    /// What a client needs to read its own write: a page that is asked for with it shows at least this version (rule 13).
    pub fn written(&self, entity: i64, version: Version) -> [(HeaderName, String); 1] {
        let token = version.consistency_token(self.source, entity, self.publishing.claim());
        [(CONSISTENCY_TOKEN, token)]
    }
}
