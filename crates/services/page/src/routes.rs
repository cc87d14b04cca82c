//! The HTTP of the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fresh_cache::{Answer, Consistency, FreshCache, ReadOptions};
use http_edge::conditional::Preconditions;
use http_edge::document::{self, ProblemForm};
use http_edge::{Json, Path, Problem, Query};
use opentelemetry::metrics::{BoundCounter, BoundHistogram};
use opentelemetry::{KeyValue, global};
use serde::Deserialize;
use tracing::Instrument as _;
use tracing::field::Empty;
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accept::Format;
use crate::caches::Caches;
use crate::document::{Footers, html};
use crate::error::Refusal;
use crate::headers::{OUTCOMES, outcome_name};
use crate::key::{AccountId, PageKey, Window};
use crate::loader::{AccountList, Upstreams};
use crate::preferences::{Preferences, Wait};
use crate::render::{PageJson, Served, render_accounts};
use crate::respond::PageResponse;
use crate::token::Tokens;

/// How many accounts one page of the list has.
const LIST_LIMIT: u32 = 60;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    caches: Caches,
    upstreams: Upstreams,
    footers: Footers,
    /// The wait of requests that name none.
    wait: Duration,
    answers: Answers,
}

impl App {
    /// Serves from `caches`, and the list of accounts from accounts itself.
    pub(crate) fn new(caches: Caches, upstreams: Upstreams, footers: Footers, wait: Duration) -> Self {
        Self {
            caches,
            upstreams,
            footers,
            wait,
            answers: Answers::new(),
        }
    }

    /// Reads a page; `None` if `only-if-cached` allows no load and the cache has no answer. In a span of its own, because a load
    /// belongs to the trace of the reader who began it.
    async fn read(&self, request: &PageRequest) -> Option<Answer<Upstreams>> {
        let PageRequest {
            cache,
            key,
            preferences,
            ..
        } = request;
        let options = request.options(self.wait);
        let span = tracing::info_span!("read page", window = key.window.as_str(), outcome = Empty);
        let answer = if preferences.only_if_cached {
            span.in_scope(|| cache.read_resident(key, options))?
        } else {
            cache.read(key, options).instrument(span.clone()).await
        };
        span.record("outcome", outcome_name(answer.outcome));
        self.answers.count(&answer);
        Some(answer)
    }

    /// Asks for the accounts after one of them.
    async fn list(&self, after: Option<&str>) -> Result<AccountList, Refusal> {
        let after = after
            .map(str::parse::<AccountId>)
            .transpose()
            .map_err(Refusal::After)?;
        self.upstreams
            .list_accounts(after, LIST_LIMIT)
            .await
            .map_err(Refusal::NoList)
    }
}

/// How old answers may be, in seconds: a watermark comes every quarter of one, and above one none is due but what is marked, or waited for a source.
const AGE_BOUNDS: [f64; 16] = [
    0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 10.0, 60.0, 300.0, 3600.0,
];

/// The answers by their outcome, and whether a fragment is stale or missing; and how old they were. All bound beforehand, because
/// looking a label up costs as much as checking a page.
#[derive(Debug)]
struct Answers {
    outcomes: Vec<(&'static str, [BoundCounter<u64>; 2])>,
    /// Of the answers that are not degraded, and of those that are.
    ages: [BoundHistogram<f64>; 2],
}

impl Answers {
    fn new() -> Self {
        let meter = global::meter("page");
        let counter = meter
            .u64_counter("page.answers")
            .with_description("Pages answered, by how the cache came by them. Is the cache worth having?")
            .build();
        let age = meter
            .f64_histogram("page.answer.age")
            .with_description("From the moment up to which an answer is complete to the answer. How fresh is what readers get?")
            .with_unit("s")
            .with_boundaries(AGE_BOUNDS.to_vec())
            .build();
        let bind = |outcome, degraded| {
            counter.bind(&[
                KeyValue::new("outcome", outcome),
                KeyValue::new("degraded", degraded),
            ])
        };
        let both = |outcome| (outcome, [bind(outcome, false), bind(outcome, true)]);
        Self {
            outcomes: OUTCOMES.map(both).into(),
            ages: [false, true].map(|degraded| age.bind(&[KeyValue::new("degraded", degraded)])),
        }
    }

    fn count(&self, answer: &Answer<Upstreams>) {
        let outcome = outcome_name(answer.outcome);
        let degraded = answer.degraded().next().is_some();
        let counters = self.outcomes.iter().find(|(name, _)| *name == outcome);
        let (_, counters) = counters.expect("every outcome has its counters");
        counters[usize::from(degraded)].add(1);
        self.ages[usize::from(degraded)].record(age(answer).as_secs_f64());
    }
}

/// How old the page's word is, without a look at the clock: the answer was dated by one.
fn age(answer: &Answer<Upstreams>) -> Duration {
    let answered = answer.composed.saturating_add(answer.age);
    answered.saturating_since(answer.fresh_as_of)
}

#[derive(OpenApi)]
#[openapi(info(
    title = "page",
    description = "Composes the fragments of one account into a page."
))]
struct Document;

pub(crate) fn router(app: App) -> Router {
    let router: Router<_> = documented().into();
    router
        .route("/openapi.json", get(async || Json(openapi())))
        .with_state(Arc::new(app))
}

/// The OpenAPI document of this service.
pub fn openapi() -> utoipa::openapi::OpenApi {
    document::complete(documented().into_openapi(), ProblemForm::JsonOrHtml)
}

fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_accounts))
        .routes(routes!(show_page))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The id of the account after which the list goes on.
    #[param(value_type = Option<i64>, minimum = 1)]
    after: Option<String>,
}

/// The accounts, each linking its page. Asked of accounts every time.
#[utoipa::path(get, path = "/", params(ListQuery), responses(
    (status = 200, body = String, content_type = "text/html"),
    (status = 400, description = "`after` is not an account", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "accounts does not answer", body = Problem, content_type = "application/problem+json"),
))]
async fn list_accounts(
    State(app): State<Arc<App>>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Response {
    let served = Served {
        how: Some("not cached"),
        ..Served::default()
    };
    match app.list(query.after.as_deref()).await {
        Ok(list) => html(
            render_accounts(&list.accounts, list.next).into(),
            app.footers.footer(served),
        ),
        Err(refusal) => refusal.respond(Format::preferred(&headers), || app.footers.footer(served)),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    /// The span of time shown.
    #[param(inline, value_type = Option<Window>)]
    window: Option<String>,
}

/// The page of an account.
#[utoipa::path(get, path = "/accounts/{id}", params(("id" = i64, Path, minimum = 1), PageQuery,
    ("Consistency-Token" = Option<String>, Header, pattern = "^((accounts|endpoints|metrics)/[1-9][0-9]{0,17}/[0-9a-f]{32}=[0-9]{1,18}-[0-9a-f]{16}(-[0-9a-f]{16})?(, ?(accounts|endpoints|metrics)/[1-9][0-9]{0,17}/[0-9a-f]{32}=[0-9]{1,18}-[0-9a-f]{16}(-[0-9a-f]{16})?){0,63})?$", description = "what writes and pages answered, separated by commas: the page reflects at least these"),
    ("Cache-Control" = Option<String>, Header, description = "`max-age=5`: accepts a cached page that is at most 5 seconds old, and renews it in the background; `no-cache` or `max-age=0`: composes the page for this request; `only-if-cached`: a page from the cache, or 504. Invalid values are ignored"),
    ("Prefer" = Option<String>, Header, description = "`wait-ms=150`, or `wait=1` in seconds: how long the reader waits for a load. After that it gets what is known, marked as stale. If nothing is known yet, it waits until something is. Invalid values are ignored"),
    ("Cache-Strategy" = Option<String>, Header, pattern = "^(none|ttl|versioned|invalidate|prepopulate)$", description = "`none`, `ttl`, `versioned`, `invalidate` or `prepopulate`, where the replica allows it"),
), responses(
    (status = 200, description = "the page, HTML or JSON by `Accept`; fragments may be missing or stale, and say so",
        content((String = "text/html"), (PageJson = "application/json")),
        headers(
            ("ETag" = String), ("Vary" = String), ("Cache-Control" = String),
            ("Cache-Status" = String, description = "RFC 9211: `page; hit`, `page; fwd=miss; stored`, …"),
            ("Fresh-As-Of" = String, description = "the moment up to which the page is complete, RFC 3339"),
            ("Age" = u64, description = "seconds since the page was composed"),
            ("Server-Timing" = String, description = "the cache and each source that was asked"),
            ("Consistency-Token" = String, description = "the versions shown; sent along with the next request, they make any replica reflect them"),
            ("Preference-Applied" = Option<String>, description = "the `wait` or `wait-ms` of the request, if the page was answered in that time plus 25 ms"),
            ("Trace-Id" = String),
            ("Served-By" = Option<String>, description = "the name of the replica, if it has one"),
        )),
    (status = 304, description = "`If-None-Match` names this page; the headers are those of 200"),
    (status = 400, description = "not an account, a window, a token or a strategy", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "no such account", body = Problem, content_type = "application/problem+json"),
    (status = 412, description = "`If-Match` does not name this page; the ETag is its", body = Problem, content_type = "application/problem+json"),
    (status = 504, description = "`only-if-cached`, and nothing cached satisfies the request", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "no source answers and nothing is known", body = Problem, content_type = "application/problem+json"),
))]
async fn show_page(State(app): State<Arc<App>>, request: PageRequest) -> Response {
    let began = Instant::now();
    let Some(answer) = app.read(&request).await else {
        let footer = || app.footers.footer(Served::default());
        return Refusal::NotCached.respond(Format::preferred(&request.headers), footer);
    };
    let wait = request.preferences.wait;
    let response = PageResponse::new(request.key, &answer, began.elapsed(), wait, &app.footers);
    response.respond(&request.headers, &request.preconditions)
}

/// What a reader of a page asks for.
///
/// An extractor of its own, so that a cached page's future need not hold the whole request beside each parameter: a small
/// future is cheaper to move.
struct PageRequest {
    cache: FreshCache<Upstreams>,
    key: PageKey,
    tokens: Tokens,
    preferences: Preferences,
    preconditions: Preconditions,
    headers: HeaderMap,
}

impl PageRequest {
    /// The options of this read; `wait` applies if the request names none.
    fn options(&self, wait: Duration) -> ReadOptions<'_, AccountId> {
        let Preferences {
            no_cache, max_age, ..
        } = self.preferences;
        ReadOptions {
            consistency: if no_cache {
                Consistency::FullyConsistent(&self.tokens.0)
            } else {
                Consistency::AtLeastAsFresh(&self.tokens.0)
            },
            max_wait: Some(self.preferences.wait.map_or(wait, Wait::duration)),
            max_age,
        }
    }
}

impl FromRequest<Arc<App>> for PageRequest {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, _) = request.into_parts();
        let id = Path::<String>::from_request_parts(&mut parts, app).await;
        let query = Query::<PageQuery>::from_request_parts(&mut parts, app).await;
        let preconditions = Preconditions::of(&parts.method, &parts.headers);
        let (Path(id), Query(query), preconditions) = id
            .and_then(|id| Ok((id, query?, preconditions?)))
            .map_err(IntoResponse::into_response)?;
        let headers = parts.headers;
        let understood = page_key(&id, query.window.as_deref()).and_then(|key| {
            let tokens = Tokens::read(&headers, key.account).map_err(Refusal::Token)?;
            let cache = app.caches.chosen(&headers).map_err(Refusal::Strategy)?;
            Ok((key, tokens, cache.clone()))
        });
        let refuse = |refusal: Refusal| {
            refusal.respond(Format::preferred(&headers), || {
                app.footers.footer(Served::default())
            })
        };
        let (key, tokens, cache) = understood.map_err(refuse)?;
        Ok(Self {
            cache,
            key,
            tokens,
            preferences: Preferences::of(&headers),
            preconditions,
            headers,
        })
    }
}

fn page_key(id: &str, window: Option<&str>) -> Result<PageKey, Refusal> {
    let account = id.parse().map_err(Refusal::Account)?;
    let window = window.map_or(Ok(Window::default()), str::parse)?;
    Ok(PageKey { account, window })
}
