//! The HTTP of the service.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event_bus::{Claim, Publishing, Version};
use http_edge::conditional::{Evaluation, Preconditions, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, present};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::answer::{EndpointAnswer, EndpointListAnswer, etag};
use crate::endpoint::{AccountId, EndpointChange, EndpointId, EndpointUrl, Invalid, Name, NewEndpoint};
use crate::error::StoreError;
use crate::events;
use crate::store::{Store, Stored};

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
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
    /// Whether this process publishes for the source.
    pub(crate) publishing: Publishing,
    /// Injected for lessons; 0 in production.
    pub(crate) injected_latency: Duration,
}

pub(crate) fn router(service: Service) -> Router {
    if !service.injected_latency.is_zero() {
        tracing::warn!(latency = ?service.injected_latency, "latency is injected into GET the endpoints of an account, as it was asked for");
    }
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
/// Of an account that was never heard of: an empty list of revision 0.
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
) -> Result<Response, StoreError> {
    let evaluate = move |version| preconditions.evaluate(Some(&etag(version)));
    let unneeded = {
        let evaluate = evaluate.clone();
        move |version| evaluate(version) != Evaluation::Perform
    };
    let listed = service.store.list_endpoints(AccountId(id), unneeded).await?;
    let version = listed.version;
    let response = match (listed.list, evaluate(version)) {
        (Some(list), _) => {
            let etag = [(header::ETAG, etag(version))];
            (etag, Json(EndpointListAnswer::from(&list))).into_response()
        }
        (None, Evaluation::Failed) => return Err(StoreError::VersionMismatch(version)),
        (None, _) => not_modified(etag(version)),
    };
    let life = listed.life.map(|life| [(ACCOUNT_LIFE, life.to_string())]);
    let response = (service.claim(), life, response).into_response();
    Ok(service.hold_back(response).await)
}

impl Service {
    /// Says whose watermarks vouch for the answer: those of this process, while it is certain that it publishes.
    fn claim(&self) -> Option<[(HeaderName, String); 1]> {
        let claim = self.publishing.claim()?;
        Some([(FEED_CLAIM, claim.to_string())])
    }

    /// After the answer was made, and holding nothing: what goes out is as old as that of a slow query would be.
    async fn hold_back(&self, mut response: Response) -> Response {
        if self.injected_latency.is_zero() {
            return response;
        }
        tokio::time::sleep(self.injected_latency).await;
        let timing = format!("injected;dur={}", self.injected_latency.as_millis());
        let timing = HeaderValue::try_from(timing).expect("digits are a header's");
        response.headers_mut().insert(SERVER_TIMING, timing);
        response
    }
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
    (status = 422, description = "a field that cannot be taken", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn add_endpoint(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<AddEndpoint>,
) -> Result<Response, Response> {
    // Whether an account exists, only the accounts service knows; that this one never will is plain.
    if id < 1 {
        return Err(invalid_fields()
            .with_field("id", "must be at least 1")
            .into_response());
    }
    let new = body.validate().map_err(Problem::into_response)?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = store
        .add_endpoint(AccountId(id), wanted, new)
        .await
        .map_err(StoreError::into_response)?;
    let location = format!("/accounts/{id}/endpoints/{}", stored.endpoint.id.0);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        mutated(&stored, publishing.claim()),
    )
        .into_response())
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
) -> Result<Response, StoreError> {
    let Stored { version, endpoint } = store.find_endpoint(AccountId(id), EndpointId(endpoint)).await?;
    let etag = etag(version);
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => {
            Ok(([(header::ETAG, etag)], Json(EndpointAnswer::from(&endpoint))).into_response())
        }
        Evaluation::NotModified => Ok(not_modified(etag)),
        Evaluation::Failed => Err(StoreError::VersionMismatch(version)),
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
    (status = 422, description = "a field that cannot be taken", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn change_endpoint(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    Path((id, endpoint)): Path<(i64, i64)>,
    preconditions: Preconditions,
    Json(body): Json<ChangeEndpoint>,
) -> Result<Response, Response> {
    let change = body.validate().map_err(Problem::into_response)?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = store
        .change_endpoint(AccountId(id), EndpointId(endpoint), wanted, change)
        .await
        .map_err(StoreError::into_response)?;
    Ok(mutated(&stored, publishing.claim()).into_response())
}

/// Removes an endpoint.
#[utoipa::path(delete, path = "/accounts/{id}/endpoints/{endpoint}", params(
    ("id" = i64, Path), ("endpoint" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions of the list that may be changed"),
), responses(
    (status = 204, description = "removed", headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such endpoint", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the list is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn remove_endpoint(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    Path((id, endpoint)): Path<(i64, i64)>,
    preconditions: Preconditions,
) -> Result<impl IntoResponse, StoreError> {
    let wanted = move |version| preconditions.allow(&etag(version));
    let version = store
        .remove_endpoint(AccountId(id), EndpointId(endpoint), wanted)
        .await?;
    Ok((
        StatusCode::NO_CONTENT,
        version_headers(AccountId(id), version, publishing.claim()),
    ))
}

impl AddEndpoint {
    fn validate(self) -> Result<NewEndpoint, Problem> {
        match (Name::parse(self.name), EndpointUrl::parse(&self.url)) {
            (Ok(name), Ok(url)) => Ok(NewEndpoint { name, url }),
            (name, url) => Err(refusal(name.err(), url.err())),
        }
    }
}

impl ChangeEndpoint {
    fn validate(self) -> Result<EndpointChange, Problem> {
        match (
            self.name.map(Name::parse).transpose(),
            self.url.as_deref().map(EndpointUrl::parse).transpose(),
        ) {
            (Ok(name), Ok(url)) => Ok(EndpointChange { name, url }),
            (name, url) => Err(refusal(name.err(), url.err())),
        }
    }
}

/// Says everything that is wrong at once.
fn refusal(name: Option<Invalid>, url: Option<Invalid>) -> Problem {
    [("name", name), ("url", url)]
        .into_iter()
        .filter_map(|(field, invalid)| Some((field, invalid?)))
        .fold(invalid_fields(), |problem, (field, invalid)| {
            problem.with_field(field, invalid.0)
        })
}

fn invalid_fields() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-fields",
        "Some fields cannot be taken as they are",
    )
}

fn mutated(stored: &Stored, claim: Option<Claim>) -> impl IntoResponse {
    (
        version_headers(stored.endpoint.account_id, stored.version, claim),
        Json(EndpointAnswer::from(&stored.endpoint)),
    )
}

/// What a client needs to read its own write: the page answers with at least this version (rule 13).
fn version_headers(account: AccountId, version: Version, claim: Option<Claim>) -> [(HeaderName, String); 2] {
    let token = version.consistency_token(events::SOURCE, account.0, claim);
    [(header::ETAG, etag(version)), (CONSISTENCY_TOKEN, token)]
}
