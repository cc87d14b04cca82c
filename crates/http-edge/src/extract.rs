//! Extractors that answer bad input with a [`Problem`].
//!
//! 400: not JSON, or a path or query that does not parse. 413: a body over the limit. 415: not sent as JSON.
//! 422: JSON of the wrong shape, such as a wrong type or an unknown field.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Problem;
use crate::conditional::REVALIDATED;

/// A JSON object as a body, in or out.
///
/// Nothing but an object: serde would also fill a struct from an array, in the order of its fields.
///
/// Out, it may be kept, but is asked about before each use ([`REVALIDATED`]); a handler that says otherwise is heeded.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = axum::Json::<Box<RawValue>>::from_request(request, state).await?.0;
        if !body.get().starts_with('{') {
            let problem = Problem::from_status(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(problem.with_detail("the body must be a JSON object"));
        }
        Ok(Self(axum::Json::from_bytes(body.get().as_bytes())?.0))
    }
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

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
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
