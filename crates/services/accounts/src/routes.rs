//! The HTTP of the service.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event_bus::{Claim, Publishing, Version};
use http_edge::conditional::{Evaluation, Preconditions, REVALIDATED, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, Query, present};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::account::{AccountChange, AccountId, Description, Invalid, Name, NewAccount};
use crate::answer::{AccountAnswer, AccountList, etag};
use crate::error::StoreError;
use crate::events;
use crate::store::{Found, Store, Stored};

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
const LIST_LIMIT: u32 = 100;

#[derive(OpenApi)]
#[openapi(info(title = "accounts", description = "Owns accounts: the names on the pages."))]
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
        tracing::warn!(latency = ?service.injected_latency, "latency is injected into GET an account, as it was asked for");
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
        .routes(routes!(list_accounts, create_account))
        .routes(routes!(get_account, update_account, delete_account))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 100)]
    limit: Option<u32>,
    /// The id after which to begin.
    after: Option<i64>,
}

/// The accounts, by id.
#[utoipa::path(get, path = "/accounts", params(ListQuery), responses(
    (status = 200, body = AccountList),
    (status = 412, description = "an `If-Match` that names an entity tag: the list has none", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "a limit out of range", body = Problem, content_type = "application/problem+json"),
))]
async fn list_accounts(
    State(store): State<Store>,
    Query(query): Query<ListQuery>,
    preconditions: Preconditions,
) -> Result<Response, Response> {
    let limit = query.limit.unwrap_or(LIST_LIMIT);
    if !(1..=LIST_LIMIT).contains(&limit) {
        return Err(invalid_fields()
            .with_field("limit", "must be 1 to 100")
            .into_response());
    }
    if let Some(answer) = decided_by(&preconditions) {
        return Err(answer);
    }
    let after = AccountId(query.after.unwrap_or(0));
    // One more than is shown: only then is something known to follow.
    let mut accounts = store
        .list_accounts(after, limit + 1)
        .await
        .map_err(StoreError::into_response)?;
    let follows = accounts.len() > limit as usize;
    accounts.truncate(limit as usize);
    let next = accounts.last().map(|account| account.id.0).filter(|_| follows);
    Ok(Json(AccountList {
        accounts: accounts.iter().map(AccountAnswer::from).collect(),
        next,
    })
    .into_response())
}

/// The answer, where the preconditions alone decide it: the list always exists, and has no entity tag.
fn decided_by(preconditions: &Preconditions) -> Option<Response> {
    match preconditions.evaluate(None) {
        Evaluation::Perform => None,
        Evaluation::NotModified => Some((StatusCode::NOT_MODIFIED, [REVALIDATED]).into_response()),
        Evaluation::Failed => Some(
            Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "The list of accounts exists and has no ETag, which the preconditions do not allow",
            )
            .into_response(),
        ),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
    )]
    name: String,
    #[serde(default)]
    #[schema(
        max_length = 280,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$"
    )]
    description: String,
}

/// Creates an account.
#[utoipa::path(post, path = "/accounts", request_body = CreateAccount, responses(
    (status = 201, body = AccountAnswer, headers(("ETag" = String), ("Location" = String), ("Consistency-Token" = String))),
    (status = 412, description = "a precondition that does not hold: the list exists, and has no entity tag", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "a field that cannot be taken", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn create_account(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    preconditions: Preconditions,
    Json(body): Json<CreateAccount>,
) -> Result<Response, Response> {
    if let Some(answer) = decided_by(&preconditions) {
        return Err(answer);
    }
    let new = body.validate().map_err(Problem::into_response)?;
    let stored = store
        .create_account(new)
        .await
        .map_err(StoreError::into_response)?;
    let location = format!("/accounts/{}", stored.account.id.0);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        mutated(&stored, publishing.claim()),
    )
        .into_response())
}

/// The account, or 304 if `If-None-Match` names its version.
#[utoipa::path(get, path = "/accounts/{id}", params(("id" = i64, Path)), responses(
    (status = 200, body = AccountAnswer, headers(
        ("ETag" = String, description = "\"incarnation-revision-nonce-vform\""),
        ("Feed-Claim" = String, description = "whose watermarks vouch for the answer, as ce-claim on the stream; absent while it is not certain that this process publishes"),
        ("Server-Timing" = String, description = "injected;dur: only where latency is injected, in milliseconds"),
    )),
    (status = 304, description = "not modified"),
    (status = 404, description = "no such account; the ETag is the absence's", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the account is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
))]
async fn get_account(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
) -> Response {
    let answer = answer(&service.store, AccountId(id), &preconditions).await;
    let response = (service.claim(), answer).into_response();
    service.hold_back(response).await
}

async fn answer(store: &Store, id: AccountId, preconditions: &Preconditions) -> Result<Response, StoreError> {
    let Found { version, account } = store.find_account(id).await?;
    let etag = etag(version);
    let Some(account) = account else {
        // An absence has a version too, which readers may hold (rule 14).
        if preconditions.hold_absence(&etag) {
            return Ok(not_modified(etag));
        }
        return Err(StoreError::NoSuchAccount(version));
    };
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => {
            Ok(([(header::ETAG, etag)], Json(AccountAnswer::from(&account))).into_response())
        }
        Evaluation::NotModified => Ok(not_modified(etag)),
        Evaluation::Failed => Err(StoreError::VersionMismatch(version)),
    }
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
struct UpdateAccount {
    #[serde(default, deserialize_with = "present")]
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\x00-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$",
        nullable = false
    )]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(
        max_length = 280,
        pattern = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$",
        nullable = false
    )]
    description: Option<String>,
}

/// Changes what is given and leaves the rest.
#[utoipa::path(patch, path = "/accounts/{id}", params(
    ("id" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions that may be changed"),
), request_body = UpdateAccount, responses(
    (status = 200, body = AccountAnswer, headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such account", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the account is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 422, description = "a field that cannot be taken", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn update_account(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<UpdateAccount>,
) -> Result<Response, Response> {
    let change = body.validate().map_err(Problem::into_response)?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = store
        .change_account(AccountId(id), wanted, change)
        .await
        .map_err(StoreError::into_response)?;
    Ok(mutated(&stored, publishing.claim()).into_response())
}

/// Deletes the account; the other services hear it and delete what is theirs.
#[utoipa::path(delete, path = "/accounts/{id}", params(
    ("id" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions that may be deleted"),
), responses(
    (status = 204, description = "deleted", headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such account", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the account is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn delete_account(
    State(store): State<Store>,
    State(publishing): State<Publishing>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
) -> Result<impl IntoResponse, StoreError> {
    let wanted = move |version| preconditions.allow(&etag(version));
    let version = store.delete_account(AccountId(id), wanted).await?;
    Ok((
        StatusCode::NO_CONTENT,
        version_headers(AccountId(id), version, publishing.claim()),
    ))
}

impl CreateAccount {
    fn validate(self) -> Result<NewAccount, Problem> {
        match (Name::parse(self.name), Description::parse(self.description)) {
            (Ok(name), Ok(description)) => Ok(NewAccount { name, description }),
            (name, description) => Err(refusal(name.err(), description.err())),
        }
    }
}

impl UpdateAccount {
    fn validate(self) -> Result<AccountChange, Problem> {
        match (
            self.name.map(Name::parse).transpose(),
            self.description.map(Description::parse).transpose(),
        ) {
            (Ok(name), Ok(description)) => Ok(AccountChange { name, description }),
            (name, description) => Err(refusal(name.err(), description.err())),
        }
    }
}

/// Says everything that is wrong at once.
fn refusal(name: Option<Invalid>, description: Option<Invalid>) -> Problem {
    [("name", name), ("description", description)]
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
    let version = Version {
        incarnation: stored.incarnation,
        revision: stored.account.revision,
        nonce: stored.account.nonce,
    };
    (
        version_headers(stored.account.id, version, claim),
        Json(AccountAnswer::from(&stored.account)),
    )
}

/// What a client needs to read its own write: the page answers with at least this version (rule 13).
fn version_headers(id: AccountId, version: Version, claim: Option<Claim>) -> [(HeaderName, String); 2] {
    let token = version.consistency_token(events::SOURCE, id.0, claim);
    [(header::ETAG, etag(version)), (CONSISTENCY_TOKEN, token)]
}
