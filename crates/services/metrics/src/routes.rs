//! The HTTP of the service.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use event_bus::Nonce;
use http_edge::conditional::{Evaluation, Preconditions, not_modified};
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, Query};
use jiff::Timestamp;
use serde::Deserialize;
use source_service::{AnswerHeaders, WriteRefused};
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::answer::{MetricsAnswer, RecordedAnswer, etag, samples_etag};
use crate::error::Error;
use crate::recording::RecordSamples;
use crate::sample::{AccountId, Invalid};
use crate::store::{Recorded, Store};
use crate::window::{Frame, Window};

/// For how many whole seconds the answer holds unless samples come. No `max-age`: samples may come at once, and caches that receive no
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
    (status = 422, description = "fields are invalid, each named with its sample's index", body = Problem, content_type = "application/problem+json"),
    WriteRefused,
))]
async fn record_samples(
    State(service): State<Service>,
    Path(id): Path<i64>,
    preconditions: Preconditions,
    Json(body): Json<RecordSamples>,
) -> Result<impl IntoResponse, Error> {
    if id < 1 {
        return Err(Error::invalid_field("id", Invalid("must be a positive integer")));
    }
    let batch = body.validate(Timestamp::now())?;
    let wanted = move |version| preconditions.allow(&samples_etag(version));
    let Recorded { version, samples } = service.store.record(AccountId(id), wanted, batch).await?;
    let etag = [(header::ETAG, samples_etag(version))];
    let answer = RecordedAnswer {
        account_id: id,
        revision: version.revision,
        recorded: samples,
    };
    Ok((
        StatusCode::CREATED,
        etag,
        service.headers.written(id, version),
        Json(answer),
    ))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MetricsQuery {
    /// How far back.
    #[param(inline, value_type = Option<Window>)]
    window: Option<String>,
}

/// The account's samples, summarised per endpoint; 304 if `If-None-Match` names the current answer.
#[utoipa::path(get, path = "/accounts/{id}/metrics", params(("id" = i64, Path), MetricsQuery), responses(
    (status = 200, description = "also for an account without any event, or a deleted one: without endpoints", body = MetricsAnswer, headers(
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
) -> Result<Response, Error> {
    // Taken once, after the request arrived: the answer is a function of the revision, the window and its end (rule 9).
    let now = Timestamp::now();
    let frame = Frame::holding(now, query.window()?);
    let answer = answer(&service.store, AccountId(id), frame, &preconditions).await?;
    let valid_for = [(VALID_FOR, frame.seconds_left(now).to_string())];
    Ok(service.headers.read((valid_for, answer)).await)
}

impl MetricsQuery {
    fn window(&self) -> Result<Window, Error> {
        let window = self.window.as_deref().map(Window::parse).transpose();
        let window = window.map_err(|invalid| Error::invalid_field("window", invalid))?;
        Ok(window.unwrap_or_default())
    }
}

/// 304 from the version alone; else version and samples from one snapshot, which may be newer than that version.
async fn answer(
    store: &Store,
    account: AccountId,
    frame: Frame,
    preconditions: &Preconditions,
) -> Result<Response, Error> {
    let known = store.known(account).await?;
    let current = etag(known.version, frame);
    if let Some(short) = without_summary(preconditions, current)? {
        return Ok((life_header(known.owner.life()), short).into_response());
    }
    let summarised = store.summarise(account, frame).await?;
    let current = etag(summarised.version, frame);
    let life = life_header(summarised.life);
    // `If-Match` named the version of before, perhaps.
    if let Some(short) = without_summary(preconditions, current.clone())? {
        return Ok((life, short).into_response());
    }
    let body = MetricsAnswer::new(account, summarised.version.revision, frame, &summarised.endpoints);
    Ok(([(header::ETAG, current)], life, Json(body)).into_response())
}

/// The answer, where the preconditions make it one that shows no samples.
fn without_summary(preconditions: &Preconditions, etag: String) -> Result<Option<Response>, Error> {
    match preconditions.evaluate(Some(&etag)) {
        Evaluation::Perform => Ok(None),
        Evaluation::NotModified => Ok(Some(not_modified(etag))),
        Evaluation::Failed => Err(Error::EtagMismatch(etag)),
    }
}

/// Says whose the answer is.
fn life_header(life: Option<Nonce>) -> Option<[(HeaderName, String); 1]> {
    life.map(|life| [(ACCOUNT_LIFE, life.to_string())])
}
