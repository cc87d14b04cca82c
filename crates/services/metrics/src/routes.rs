//! The HTTP of the service.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event_bus::{Claim, Nonce, Publishing, Version};
use http_edge::conditional::{Evaluation, Preconditions, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, Query};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::answer::{MetricsAnswer, RecordedAnswer, etag, samples_etag};
use crate::error::{StoreError, invalid_fields, version_mismatch};
use crate::events;
use crate::recording::RecordSamples;
use crate::sample::AccountId;
use crate::store::Store;
use crate::window::{Frame, Window};

const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
/// For how many whole seconds the answer holds unless samples come. No `max-age`: samples may come at once, and caches that hear no
/// events must ask (RFC 9111, section 4.2).
const VALID_FOR: HeaderName = HeaderName::from_static("valid-for");
const ACCOUNT_LIFE: HeaderName = HeaderName::from_static("account-life");

#[derive(OpenApi)]
#[openapi(info(
    title = "metrics",
    description = "Owns metrics: samples of those URLs, and their summaries."
))]
struct Document;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) store: Store,
    /// Whether this process publishes for the source.
    pub(crate) publishing: Publishing,
    /// Injected for lessons; 0 in production.
    pub(crate) injected_latency: Duration,
}

pub(crate) fn router(service: Service) -> Router {
    if !service.injected_latency.is_zero() {
        tracing::warn!(latency = ?service.injected_latency, "latency is injected into GET metrics, as it was asked for");
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
        .routes(routes!(record_samples))
        .routes(routes!(get_metrics))
}

/// Records samples: all of them, or none. A batch that is sent again changes nothing.
#[utoipa::path(post, path = "/accounts/{id}/samples", params(
    ("id" = i64, Path, minimum = 1),
    ("If-Match" = Option<String>, Header, description = "the versions that may be added to, as this answers them: without the end of a window"),
), request_body = RecordSamples, responses(
    (status = 201, body = RecordedAnswer, headers(("ETag" = String), ("Consistency-Token" = String))),
    (status = 400, description = "a precondition that cannot be read", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "the account was deleted, or would have more than 500 endpoints", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "the samples are not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 422, description = "fields that cannot be taken, each named with its sample's index", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = String))),
    (status = 507, description = "there is no room on the database's disk; nothing was done", body = Problem, content_type = "application/problem+json"),
))]
async fn record_samples(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<RecordSamples>,
) -> Result<Response, Response> {
    if id < 1 {
        return Err(invalid_fields()
            .with_field("id", "must be a positive integer")
            .into_response());
    }
    let batch = body.validate(Timestamp::now()).map_err(Problem::into_response)?;
    let wanted = move |version| preconditions.allow(&samples_etag(version));
    let recorded = service
        .store
        .record(AccountId(id), wanted, batch)
        .await
        .map_err(StoreError::into_response)?;
    let answer = RecordedAnswer {
        account_id: id,
        revision: recorded.version.revision,
        recorded: recorded.samples,
    };
    Ok((
        StatusCode::CREATED,
        version_headers(AccountId(id), recorded.version, service.publishing.claim()),
        Json(answer),
    )
        .into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MetricsQuery {
    /// How far back: `1h`, `24h` or `7d`.
    #[param(pattern = "^(1h|24h|7d)$", default = "24h")]
    window: Option<String>,
}

/// The account's samples, summarised per endpoint; 304 if `If-None-Match` names the current answer.
#[utoipa::path(get, path = "/accounts/{id}/metrics", params(("id" = i64, Path), MetricsQuery), responses(
    (status = 200, description = "also for an account that was never heard of, or is deleted: without endpoints", body = MetricsAnswer, headers(
        ("ETag" = String, description = "\"incarnation-revision-nonce-vform-end\", the end of the window in unix seconds"),
        ("Valid-For" = u64, description = "the whole seconds left until the end of the window: for so long the answer holds, unless samples come"),
        ("Feed-Claim" = String, description = "whose watermarks vouch for the answer, as ce-claim on the stream; absent while it is not certain that this process publishes"),
        ("Account-Life" = String, description = "whose samples these are: the account's life, 16 hexadecimal digits; only where it is known"),
        ("Server-Timing" = String, description = "injected;dur: only where latency is injected, in milliseconds"),
    )),
    (status = 304, description = "not modified", headers(
        ("Valid-For" = u64, description = "as of 200"),
        ("Account-Life" = String, description = "as of 200"),
    )),
    (status = 412, description = "the answer is not at a version that `If-Match` names; the ETag is the current one", body = Problem, content_type = "application/problem+json", headers(("ETag" = String))),
    (status = 422, description = "a window there is not", body = Problem, content_type = "application/problem+json"),
))]
async fn get_metrics(
    State(service): State<Service>,
    Path(id): Path<i64>,
    Query(query): Query<MetricsQuery>,
    preconditions: Preconditions,
) -> Result<Response, Response> {
    // Taken once, after the request arrived: the answer is a function of the revision, the window and its end (rule 9).
    let now = Timestamp::now();
    let window = query
        .window
        .as_deref()
        .map_or(Ok(Window::default()), Window::parse);
    let window =
        window.map_err(|invalid| invalid_fields().with_field("window", invalid.0).into_response())?;
    let frame = Frame::holding(now, window);
    let answer = answer(&service.store, AccountId(id), frame, &preconditions)
        .await
        .map_err(StoreError::into_response)?;
    let valid_for = frame.seconds_left(now).to_string();
    let response = (service.claim(), [(VALID_FOR, valid_for)], answer).into_response();
    Ok(service.hold_back(response).await)
}

/// 304 from the version alone; else version and samples from one snapshot, which may be newer than that version.
async fn answer(
    store: &Store,
    account: AccountId,
    frame: Frame,
    preconditions: &Preconditions,
) -> Result<Response, StoreError> {
    let known = store.known(account).await?;
    let current = etag(known.version, frame);
    if let Some(short) = without_summary(preconditions, current) {
        return Ok((life_header(known.owner.life()), short).into_response());
    }
    let summarised = store.summarise(account, frame).await?;
    let current = etag(summarised.version, frame);
    let life = life_header(summarised.life);
    // `If-Match` named the version of before, perhaps.
    if let Some(short) = without_summary(preconditions, current.clone()) {
        return Ok((life, short).into_response());
    }
    let body = MetricsAnswer::new(account, summarised.version.revision, frame, &summarised.endpoints);
    Ok(([(header::ETAG, current)], life, Json(body)).into_response())
}

/// The answer, where the preconditions make it one that shows no samples.
fn without_summary(preconditions: &Preconditions, etag: String) -> Option<Response> {
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => None,
        Evaluation::NotModified => Some(not_modified(etag)),
        Evaluation::Failed => Some(version_mismatch(etag)),
    }
}

/// Says whose the answer is.
fn life_header(life: Option<Nonce>) -> Option<[(HeaderName, String); 1]> {
    life.map(|life| [(ACCOUNT_LIFE, life.to_string())])
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

/// What a client needs to read its own write: the page answers with at least this version (rule 13).
fn version_headers(account: AccountId, version: Version, claim: Option<Claim>) -> [(HeaderName, String); 2] {
    let token = version.consistency_token(events::SOURCE, account.0, claim);
    [(header::ETAG, samples_etag(version)), (CONSISTENCY_TOKEN, token)]
}
