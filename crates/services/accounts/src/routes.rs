//! The HTTP of the service.

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event_bus::Version;
use http_edge::conditional::{Evaluation, Preconditions, REVALIDATED, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, Query, present};
use serde::Deserialize;
use source_service::{AnswerHeaders, WriteRefused};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::account::{AccountChange, AccountId, Description, Invalid, Name, NewAccount};
use crate::answer::{AccountAnswer, AccountList, etag};
use crate::error::Error;
use crate::store::{Found, Store, Stored};

const LIST_LIMIT: u32 = 100;

#[derive(OpenApi)]
#[openapi(info(title = "accounts", description = "Owns accounts: the names on the pages."))]
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
) -> Result<Response, Error> {
    let limit = query.limit()?;
    if is_held(&preconditions)? {
        return Ok((StatusCode::NOT_MODIFIED, [REVALIDATED]).into_response());
    }
    let after = AccountId(query.after.unwrap_or(0));
    // One more than is shown, to know whether any follow.
    let mut accounts = store.list_accounts(after, limit + 1).await?;
    let follows = accounts.len() > limit as usize;
    accounts.truncate(limit as usize);
    let next = accounts.last().map(|account| account.id.0).filter(|_| follows);
    let accounts = accounts.iter().map(AccountAnswer::from).collect();
    Ok(Json(AccountList { accounts, next }).into_response())
}

impl ListQuery {
    fn limit(&self) -> Result<u32, Error> {
        let limit = self.limit.unwrap_or(LIST_LIMIT);
        if (1..=LIST_LIMIT).contains(&limit) {
            Ok(limit)
        } else {
            Err(Error::InvalidFields(vec![("limit", Invalid("must be 1 to 100"))]))
        }
    }
}

/// Whether the preconditions say that the client holds the list, which always exists and has no entity tag.
fn is_held(preconditions: &Preconditions) -> Result<bool, Error> {
    match preconditions.evaluate(None) {
        Evaluation::Perform => Ok(false),
        Evaluation::NotModified => Ok(true),
        Evaluation::Failed => Err(Error::ListExists),
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
    (status = 422, description = "a field is invalid", body = Problem, content_type = "application/problem+json"),
    WriteRefused,
))]
async fn create_account(
    State(service): State<Service>,
    preconditions: Preconditions,
    Json(body): Json<CreateAccount>,
) -> Result<impl IntoResponse, Error> {
    // A POST is never "not modified": only the error counts here.
    is_held(&preconditions)?;
    let stored = service.store.create_account(body.validate()?).await?;
    let location = [(header::LOCATION, format!("/accounts/{}", stored.account.id.0))];
    Ok((StatusCode::CREATED, location, service.written(&stored)))
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
    service.headers.read(answer).await
}

async fn answer(store: &Store, id: AccountId, preconditions: &Preconditions) -> Result<Response, Error> {
    let Found { version, account } = store.find_account(id).await?;
    let etag = etag(version);
    let Some(account) = account else {
        // An absence has a version too, which readers may hold (rule 14).
        if preconditions.hold_absence(&etag) {
            return Ok(not_modified(etag));
        }
        return Err(Error::NoSuchAccount(version));
    };
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => {
            Ok(([(header::ETAG, etag)], Json(AccountAnswer::from(&account))).into_response())
        }
        Evaluation::NotModified => Ok(not_modified(etag)),
        Evaluation::Failed => Err(Error::VersionMismatch(version)),
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
    (status = 422, description = "a field is invalid", body = Problem, content_type = "application/problem+json"),
    WriteRefused,
))]
async fn update_account(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<UpdateAccount>,
) -> Result<impl IntoResponse, Error> {
    let change = body.validate()?;
    let wanted = move |version| preconditions.allow(&etag(version));
    let stored = service
        .store
        .change_account(AccountId(id), wanted, change)
        .await?;
    Ok(service.written(&stored))
}

/// Deletes the account; the other services consume the event and delete what is theirs.
#[utoipa::path(delete, path = "/accounts/{id}", params(
    ("id" = i64, Path), ("If-Match" = Option<String>, Header, description = "the versions that may be deleted"),
), responses(
    (status = 204, description = "deleted", headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such account", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the account is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    WriteRefused,
))]
async fn delete_account(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
) -> Result<impl IntoResponse, Error> {
    let wanted = move |version| preconditions.allow(&etag(version));
    let version = service.store.delete_account(AccountId(id), wanted).await?;
    let etag = [(header::ETAG, etag(version))];
    Ok((StatusCode::NO_CONTENT, etag, service.headers.written(id, version)))
}

impl Service {
    /// The answer to a write: the account as it is now, and what its writer needs to read it.
    fn written(&self, stored: &Stored) -> impl IntoResponse + use<> {
        let account = &stored.account;
        let version = Version {
            incarnation: stored.incarnation,
            revision: account.revision,
            nonce: account.nonce,
        };
        (
            [(header::ETAG, etag(version))],
            self.headers.written(account.id.0, version),
            Json(AccountAnswer::from(account)),
        )
    }
}

impl CreateAccount {
    fn validate(self) -> Result<NewAccount, Error> {
        match (Name::parse(self.name), Description::parse(self.description)) {
            (Ok(name), Ok(description)) => Ok(NewAccount { name, description }),
            (name, description) => Err(invalid(name.err(), description.err())),
        }
    }
}

impl UpdateAccount {
    fn validate(self) -> Result<AccountChange, Error> {
        match (
            self.name.map(Name::parse).transpose(),
            self.description.map(Description::parse).transpose(),
        ) {
            (Ok(name), Ok(description)) => Ok(AccountChange { name, description }),
            (name, description) => Err(invalid(name.err(), description.err())),
        }
    }
}

/// Says everything that is wrong at once.
fn invalid(name: Option<Invalid>, description: Option<Invalid>) -> Error {
    let fields = [("name", name), ("description", description)];
    let invalid = fields
        .into_iter()
        .filter_map(|(field, invalid)| Some((field, invalid?)));
    Error::InvalidFields(invalid.collect())
}
