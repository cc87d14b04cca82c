//! The one shape of every error answer: problem details of RFC 9457.

use std::error::Error;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::already_logged::AlreadyLogged;
use crate::cache_control::REVALIDATED;

/// What a client is told about a request that failed, as `application/problem+json`.
///
/// `type` is the relative reference `/problems/<slug>`: a stable name for programs to match on, not an address
/// to open. A problem that says no more than its status has the type `about:blank`, as the RFC asks.
/// The id of the current trace is added when the answer is made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A stable name of this kind of problem, or `about:blank`.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "/problems/account-not-found")]
    kind: Kind,
    /// What this kind of problem is, for people.
    title: &'static str,
    /// The answer's status code.
    #[serde(serialize_with = "write_status")]
    #[schema(value_type = u16, example = 404)]
    status: StatusCode,
    /// What went wrong this time, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// The trace of this request: what to quote when asking for help.
    // Boxed to keep `Result<_, Problem>` small.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    trace_id: Option<Box<str>>,
    /// The parts of the request that were wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
    /// For the log alone, never for the client.
    #[serde(skip)]
    #[schema(ignore)]
    cause: Option<Cause>,
    /// Whether the client is told to come again in a second.
    #[serde(skip)]
    #[schema(ignore)]
    passing: bool,
    /// Whether the log has it from somebody else.
    #[serde(skip)]
    #[schema(ignore)]
    logged: bool,
}

/// The slug of a kind of problem, or none for `about:blank`.
#[derive(Clone, Copy, Debug)]
struct Kind(Option<&'static str>);

/// One part of the request that was wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Its name in the request.
    #[schema(example = "name")]
    field: String,
    /// What it must be.
    #[schema(example = "must be 1 to 100 characters")]
    detail: String,
}

/// Why an answer failed; it rides along with the response until the edge writes it to the log.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) Arc<dyn Error + Send + Sync>);

impl Problem {
    /// A problem of the kind `/problems/<slug>`; the title is the same each time it occurs.
    pub fn new(status: StatusCode, slug: &'static str, title: &'static str) -> Self {
        Self {
            kind: Kind(Some(slug)),
            title,
            status,
            detail: None,
            trace_id: None,
            errors: Vec::new(),
            cause: None,
            passing: false,
            logged: false,
        }
    }

    /// A passing state of the service, of which its owner is told elsewhere: 503 with `Retry-After` (RFC 9110, sections 15.6.4 and
    /// 10.2.3). It is not written to the log: it would be once per request.
    pub fn unavailable(slug: &'static str, title: &'static str) -> Self {
        Self {
            passing: true,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, slug, title)
        }
        .already_logged()
    }

    /// A problem that is fully described by its status code.
    pub fn from_status(status: StatusCode) -> Self {
        Self {
            kind: Kind(None),
            ..Self::new(status, "", reason(status))
        }
    }

    /// The answer to a failure of our own: the client is told nothing but the trace, the log gets the causes.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from_status(StatusCode::INTERNAL_SERVER_ERROR).with_cause(cause)
    }

    /// Says what went wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names a part of the request that was wrong; may be called once per part.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldProblem {
            field: field.into(),
            detail: detail.into(),
        });
        self
    }

    /// Gives the log what the client is not told. The edge writes it, with all its sources, if the status is 5xx.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(Cause(Arc::from(cause.into())));
        self
    }

    /// Keeps the edge from writing it to the log, for what is said there once and not with every request.
    #[must_use]
    pub fn already_logged(mut self) -> Self {
        self.logged = true;
        self
    }

    /// What this kind of problem is, for people.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// What went wrong this time, and of each part of the request that was wrong what it must be, for people.
    pub fn details(&self) -> impl Iterator<Item = String> {
        let fields = self.errors.iter();
        let fields = fields.map(|FieldProblem { field, detail }| format!("{field}: {detail}"));
        self.detail.clone().into_iter().chain(fields)
    }

    /// The trace of the request, once the answer is made.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_id.as_deref()
    }

    /// The status code of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        // A request that is not traced gets an id now, for the log to be searched for.
        self.trace_id = telemetry::named_trace_id().map(String::into_boxed_str);
        let body = serde_json::to_vec(&self).expect("a problem is plain strings and numbers");
        let content_type = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        // Without it caches guess how long a 404 holds (RFC 9111, section 4.2.2).
        let mut response = (self.status, [REVALIDATED], [content_type], body).into_response();
        if self.passing {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, second);
        }
        if self.logged {
            response.extensions_mut().insert(AlreadyLogged);
        }
        if let Some(cause) = self.cause.take() {
            response.extensions_mut().insert(cause);
        }
        // For an `ErrorPage`.
        response.extensions_mut().insert(self);
        response
    }
}

/// The name that RFC 9110 gives to a status; the library still has those of RFC 7231 and RFC 4918 for two of them.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Content Too Large",
        StatusCode::UNPROCESSABLE_ENTITY => "Unprocessable Content",
        other => other.canonical_reason().unwrap_or("Unknown status"),
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(slug) => serializer.collect_str(&format_args!("/problems/{slug}")),
            None => serializer.serialize_str("about:blank"),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn write_status<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_written_as_the_standard_asks() {
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-account",
            "The account is not valid",
        )
        .with_detail("one field is wrong")
        .with_field("name", "must be 1 to 100 characters")
        .with_cause("for the log alone");
        let expected = json!({
            "type": "/problems/invalid-account",
            "title": "The account is not valid",
            "status": 422,
            "detail": "one field is wrong",
            "errors": [{"field": "name", "detail": "must be 1 to 100 characters"}],
        });
        assert_eq!(serde_json::to_value(problem).unwrap(), expected);
    }

    #[test]
    fn a_bare_status_has_no_type_of_its_own() {
        let problem = serde_json::to_value(Problem::from_status(StatusCode::NOT_FOUND)).unwrap();
        assert_eq!(
            problem,
            json!({"type": "about:blank", "title": "Not Found", "status": 404})
        );
    }

    #[test]
    fn statuses_are_named_as_in_rfc_9110() {
        let title = |status| Problem::from_status(status).title();
        assert_eq!(title(StatusCode::PAYLOAD_TOO_LARGE), "Content Too Large");
        assert_eq!(title(StatusCode::UNPROCESSABLE_ENTITY), "Unprocessable Content");
        assert_eq!(title(StatusCode::MISDIRECTED_REQUEST), "Misdirected Request");
    }

    #[test]
    fn a_passing_state_says_when_to_come_again_and_is_not_logged_per_request() {
        let response = Problem::unavailable("database-locked", "The database is locked").into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        assert!(response.extensions().get::<AlreadyLogged>().is_some());
        let failure = Problem::internal("a bug").into_response();
        assert!(failure.headers().get(header::RETRY_AFTER).is_none());
        assert!(failure.extensions().get::<AlreadyLogged>().is_none());
    }

    #[test]
    fn the_schema_is_what_is_written() {
        let schema = serde_json::to_value(<Problem as utoipa::PartialSchema>::schema()).unwrap();
        assert_eq!(schema["required"], json!(["type", "title", "status"]));
        let mut names: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["detail", "errors", "status", "title", "trace_id", "type"]);
    }
}
