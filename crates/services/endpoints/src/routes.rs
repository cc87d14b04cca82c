//! The HTTP of the service.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http_edge::conditional::{Evaluation, Preconditions, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, present};
use serde::Deserialize;
use source_service::{AnswerHeaders, WriteRefused};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::answer::{EndpointAnswer, EndpointListAnswer, etag};
use crate::endpoint::{AccountId, EndpointChange, EndpointId, EndpointUrl, Invalid, Name, NewEndpoint};
use crate::error::Error;
use crate::store::{Listed, Store, Stored};

const ACCOUNT_LIFE: HeaderName = HeaderName::from_static("account-life");

#[derive(OpenApi)]
#[openapi(info(
    title = "endpoints",
    description = "Owns endpoints: the URLs an account monitors."
))]
struct Document;

/// What the handlers work with.
#[derive(Debug, Clone, FromRef)]
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) headers: AnswerHeaders,
}

pub(crate) fn router(service: Service) -> Router {
    let router: Router<_> = documented().into();
    router
        .route("/openapi.json", get(async || Json(openapi())))
        .with_state(service)
}

/// The OpenAPI document of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    document::complete(documented().into_openapi(), ProblemForm::Json)
}

fn documented() -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_endpoints, add_endpoint))
        .routes(routes!(get_endpoint, change_endpoint, remove_endpoint))
}

/// The endpoints of an account, by id, or 304 if `If-None-Match` names their version.
///
/// Of an account without any event: an empty list of revision 0.
#[utoipa::path(get, path = "/accounts/{id}/endpoints", params(("id" = i64, Path)), responses(
    (status = 200, body = EndpointListAnswer, headers(
        ("ETag" = String, description = "\"incarnation-revision-nonce-vform\""),
        ("Feed-Claim" = String, description = "whose watermarks vouch for the answer, as ce-claim on the stream; absent while it is not certain that this process publishes"),
        ("Account-Life" = String, description = "whose endpoints these are: the account's life, 16 hexadecimal digits; only where it is known"),
        ("Server-Timing" = String, description = "injected;dur: only where latency is injected, in milliseconds"),
    )),
    (status = 304, description = "not modified", headers(
        ("Account-Life" = String, description = "as of 200"),
    )),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
))]
async fn list_endpoints(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
) -> Result<Response, Error> {
    let answer = answer(&service.store, AccountId(id), preconditions).await?;
    Ok(service.headers.read(answer).await)
}

/// The list and its version are of one snapshot; the list is not read if the preconditions make it unneeded.
async fn answer(store: &Store, id: AccountId, preconditions: Preconditions) -> Result<Response, Error> {
    let evaluate = move |version| preconditions.evaluate(Some(&etag(version)));
    let unneeded = {
        let evaluate = evaluate.clone();
        move |version| evaluate(version) != Evaluation::Perform
    };
    let Listed { version, life, list } = store.list_endpoints(id, unneeded).await?;
    let life = life.map(|life| [(ACCOUNT_LIFE, life.to_string())]);
    let response = match (list, evaluate(version)) {
        (Some(list), _) => {
            let etag = [(header::ETAG, etag(version))];
            (etag, Json(EndpointListAnswer::from(&list))).into_response()
        }
        (None, Evaluation::Failed) => return Err(Error::VersionMismatch(version)),
        (None, _) => not_modified(etag(version)),
    };
    Ok((life, response).into_response())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddEndpoint {
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
    )]
    name: String,
    /// http or https, with a host and without credentials.
    #[schema(format = "uri", max_length = 2048)]
    url: String,
}

/// Adds an endpoint to an account; 500 at most.
#[utoipa::path(post, path = "/accounts/{id}/endpoints", params(
    ("id" = i64, Path, minimum = 1), ("If-Match" = Option<String>, Header, description = "the versions of the list that may be changed"),
), request_body = AddEndpoint, responses(
    (status = 201, body = EndpointAnswer, headers(("ETag" = String), ("Location" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "the account is deleted, or has 500 endpoints", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 422, description = "a field is invalid", body = Problem, content_type = "application/problem+json"),
    WriteRefused,
))]
async fn add_endpoint(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<AddEndpoint>,
) -> Result<impl IntoResponse, Error> {
    // Whether an account exists, only the accounts service knows; that this one never will is plain.
    if id < 1 {
        return Err(Error::InvalidFields(vec![("id", Invalid("must be at least 1"))]));
    }
    let new = body.validate()?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = service.store.add_endpoint(AccountId(id), wanted, new).await?;
    let location = format!("/accounts/{id}/endpoints/{}", stored.endpoint.id.0);
    let location = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, location, service.written(&stored)))
}

/// One endpoint. Its `ETag` is its account's: it changes at least when the endpoint does.
#[utoipa::path(get, path = "/accounts/{id}/endpoints/{endpoint}", params(("id" = i64, Path), ("endpoint" = i64, Path)), responses(
    (status = 200, body = EndpointAnswer, headers(("ETag" = String))),
    (status = 304, description = "not modified"),
    (status = 404, description = "no such endpoint", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
))]
async fn get_endpoint(
    State(store): State<Store>,
    Path((id, endpoint)): Path<(i64, i64)>,
    preconditions: Preconditions,
) -> Result<Response, Error> {
    let Stored { version, endpoint } = store.find_endpoint(AccountId(id), EndpointId(endpoint)).await?;
    let etag = etag(version);
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => {
            Ok(([(header::ETAG, etag)], Json(EndpointAnswer::from(&endpoint))).into_response())
        }
        Evaluation::NotModified => Ok(not_modified(etag)),
        Evaluation::Failed => Err(Error::VersionMismatch(version)),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeEndpoint {
    #[serde(default, deserialize_with = "present")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$",
        nullable = false
    )]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(format = "uri", max_length = 2048, nullable = false)]
    url: Option<String>,
}

/// Changes what is given and leaves the rest.
#[utoipa::path(patch, path = "/accounts/{id}/endpoints/{endpoint}", params(
    ("id" = i64, Path), ("endpoint" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions of the list that may be changed"),
), request_body = ChangeEndpoint, responses(
    (status = 200, body = EndpointAnswer, headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such endpoint", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 422, description = "a field is invalid", body = Problem, content_type = "application/problem+json"),
    WriteRefused,
))]
async fn change_endpoint(
    State(service): State<Service>,
    Path((id, endpoint)): Path<(i64, i64)>,
    preconditions: Preconditions,
    Json(body): Json<ChangeEndpoint>,
) -> Result<impl IntoResponse, Error> {
    let change = body.validate()?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = service
        .store
        .change_endpoint(AccountId(id), EndpointId(endpoint), wanted, change)
        .await?;
    Ok(service.written(&stored))
}

/// Removes an endpoint.
#[utoipa::path(delete, path = "/accounts/{id}/endpoints/{endpoint}", params(
    ("id" = i64, Path), ("endpoint" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions of the list that may be changed"),
), responses(
    (status = 204, description = "removed", headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such endpoint", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    WriteRefused,
))]
async fn remove_endpoint(
    State(service): State<Service>,
    Path((id, endpoint)): Path<(i64, i64)>,
    preconditions: Preconditions,
) -> Result<impl IntoResponse, Error> {
    let wanted = move |version| preconditions.allow(&etag(version));
    let version = service
        .store
        .remove_endpoint(AccountId(id), EndpointId(endpoint), wanted)
        .await?;
    let etag = [(header::ETAG, etag(version))];
    Ok((StatusCode::NO_CONTENT, etag, service.headers.written(id, version)))
}

impl Service {
    /// The answer to a write: the endpoint as it is now, and what its writer needs to read it.
    fn written(&self, stored: &Stored) -> impl IntoResponse + use<> {
        (
            [(header::ETAG, etag(stored.version))],
            self.headers.written(stored.endpoint.account_id.0, stored.version),
            Json(EndpointAnswer::from(&stored.endpoint)),
        )
    }
}

impl AddEndpoint {
    fn validate(self) -> Result<NewEndpoint, Error> {
        match (Name::parse(self.name), EndpointUrl::parse(&self.url)) {
            (Ok(name), Ok(url)) => Ok(NewEndpoint { name, url }),
            (name, url) => Err(invalid(name.err(), url.err())),
        }
    }
}

impl ChangeEndpoint {
    fn validate(self) -> Result<EndpointChange, Error> {
        match (
            self.name.map(Name::parse).transpose(),
            self.url.as_deref().map(EndpointUrl::parse).transpose(),
        ) {
            (Ok(name), Ok(url)) => Ok(EndpointChange { name, url }),
            (name, url) => Err(invalid(name.err(), url.err())),
        }
    }
}

/// Says everything that is wrong at once.
fn invalid(name: Option<Invalid>, url: Option<Invalid>) -> Error {
    let fields = [("name", name), ("url", url)];
    let invalid = fields
        .into_iter()
        .filter_map(|(field, invalid)| Some((field, invalid?)));
    Error::InvalidFields(invalid.collect())
}
