//! Extractors that answer bad input with a [`Problem`].
//!
//! 400: not JSON, or a path or query that does not parse. 413: a body over the limit. 415: not sent as JSON, or compressed.
//! 422: JSON of the wrong shape, such as a wrong type, a null or an unknown field.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Path as FieldPath;

use crate::cache_control::REVALIDATED;
use crate::problem::Problem;

const JSON: &str = "application/json";

/// A JSON object as a body, in or out.
///
/// In, it is taken as `application/json` alone, and not compressed. The formats of patches, such as `application/merge-patch+json`,
/// are refused: they mean something else by a null or an array. Nothing but an object: serde would also fill a struct from an array,
/// in the order of its fields.
///
/// Out, it may be kept, but is asked about before each use ([`REVALIDATED`]); a handler that says otherwise is heeded.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        if let Some(refusal) = refuse_other_media(request.method(), request.headers()) {
            return Err(refusal);
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::from(rejection).into_response())?;
        object(&body).map(Self).map_err(IntoResponse::into_response)
    }
}

fn refuse_other_media(method: &Method, headers: &HeaderMap) -> Option<Response> {
    let unsupported = |detail: &str, accepted: (HeaderName, &'static str)| {
        let problem = Problem::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail(detail);
        ([accepted], problem).into_response()
    };
    if !is_json(headers) {
        let mut refusal = unsupported(
            "the body must be sent as `Content-Type: application/json`",
            (header::ACCEPT, JSON),
        );
        if *method == Method::PATCH {
            // RFC 5789, section 2.2.
            let accepted = axum::http::HeaderValue::from_static(JSON);
            refusal.headers_mut().insert(ACCEPT_PATCH, accepted);
        }
        return Some(refusal);
    }
    if is_encoded(headers) {
        return Some(unsupported(
            "the body must be sent without a Content-Encoding",
            (header::ACCEPT_ENCODING, "identity"),
        ));
    }
    None
}

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Whether the one content type is JSON. The parameter `charset=utf-8` says nothing new (RFC 8259, section 8.1), every other something
/// that is not honoured here.
fn is_json(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(line)), None) = (lines.next().map(|line| line.to_str()), lines.next()) else {
        return false;
    };
    let mut words = line.split(';').map(str::trim);
    let named = words.next().is_some_and(|word| word.eq_ignore_ascii_case(JSON));
    named && words.all(|word| word.is_empty() || is_utf8(word))
}

fn is_utf8(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

/// Whether the body is in some coding, such as gzip, that would have to be undone (RFC 9110, section 15.5.16).
fn is_encoded(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|error| no_json(&error))?;
    if !raw.get().starts_with('{') {
        let problem = Problem::from_status(StatusCode::UNPROCESSABLE_ENTITY);
        return Err(problem.with_detail("the body must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut json).map_err(|error| wrong_shape(error.path(), error.inner()))
}

fn no_json(error: &serde_json::Error) -> Problem {
    Problem::from_status(StatusCode::BAD_REQUEST).with_detail(error.to_string())
}

/// Names the field, where there is one: what is wrong with the object itself, such as that a field is missing, says so.
fn wrong_shape(path: &FieldPath, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        return no_json(error);
    }
    let problem = Problem::from_status(StatusCode::UNPROCESSABLE_ENTITY);
    if path.iter().next().is_none() {
        return problem.with_detail(error.to_string());
    }
    problem
        .with_detail(format!("{path}: {error}"))
        .with_field(path.to_string(), error.to_string())
}

/// Deserializes a field that may be absent and not null: `#[serde(default, deserialize_with = "http_edge::present")]`.
///
/// Serde takes null for absent. But who sends `{"description": null}` wants something, and must be told that it is not done.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(field: D) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// The parameters of the path.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The parameters of the query.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        ([REVALIDATED], axum::Json(self.0)).into_response()
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        rejected(rejection.status(), &rejection, rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        rejected(rejection.status(), &rejection, rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        rejected(rejection.status(), &rejection, rejection.body_text())
    }
}

/// The innermost reason names the field and the place; what the layers above add is about our types.
fn rejected(status: StatusCode, rejection: &dyn std::error::Error, whole: String) -> Problem {
    let reason = std::iter::successors(rejection.source(), |error| error.source()).last();
    let detail = reason.map_or(whole, ToString::to_string);
    if status.is_server_error() {
        // The handler asks for parameters that its route does not have: our mistake, not the client's.
        return Problem::internal(detail);
    }
    Problem::from_status(status).with_detail(detail)
}
