//! The HTTP of the viewer.

use std::sync::{MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http_edge::{ErrorPage, Path, Problem, Query};
use maud::Markup;
use serde::Deserialize;

use crate::Kept;
use crate::encoding;
use crate::receive;
use crate::render;
use crate::span::Span;
use crate::store::Store;

/// The largest export. A batch of the SDK has 512 spans.
const EXPORT_LIMIT: usize = 8 * 1024 * 1024;
/// The one form of exports that is taken, and of the answers to them.
const PROTOBUF: &str = "application/x-protobuf";
/// How many traces are listed.
const LISTED: usize = 100;

/// The routes of the viewer.
pub(crate) fn router(kept: Kept) -> Router {
    Router::new()
        .route(
            "/v1/traces",
            post(export).layer(DefaultBodyLimit::max(EXPORT_LIMIT)),
        )
        .route("/", get(list_asked))
        .route("/all", get(list_all))
        .route("/traces/{id}", get(show))
        .route("/api/traces/{id}", get(as_json))
        .route("/readyz", get(|| async { "ready\n" }))
        .fallback(async || {
            Problem::from_status(StatusCode::NOT_FOUND).with_detail("there is nothing at this path")
        })
        .method_not_allowed_fallback(async || Problem::from_status(StatusCode::METHOD_NOT_ALLOWED))
        .with_state(kept)
}

fn lock(kept: &Kept) -> MutexGuard<'_, Store> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn export(
    State(kept): State<Kept>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<impl IntoResponse, Problem> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind.is_none_or(|kind| !is_protobuf(kind)) {
        let problem = Problem::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        return Err(problem.with_detail("spans are taken as application/x-protobuf alone"));
    }
    let body = encoding::plain(&headers, body, EXPORT_LIMIT)?;
    let spans = receive::read(&body)
        .map_err(|error| Problem::from_status(StatusCode::BAD_REQUEST).with_detail(error.to_string()))?;
    let mut store = lock(&kept);
    for (trace, span) in spans {
        store.keep(trace, span);
    }
    // The answer to an accepted export is an empty message, which is no bytes at all.
    Ok([(header::CONTENT_TYPE, PROTOBUF)])
}

/// Whatever parameters the type has: none of them means anything.
fn is_protobuf(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case(PROTOBUF)
}

/// Without what the services do of their own accord, and without what somebody began whose own span is not here: an
/// auditor's looks and the lab's would crowd out what is looked for.
async fn list_asked(State(kept): State<Kept>) -> Response {
    let asked = |first: &Span| first.kind != "internal" && first.parent.is_none();
    let newest = lock(&kept).newest(LISTED, asked);
    page(StatusCode::OK, render::list(&newest, false))
}

async fn list_all(State(kept): State<Kept>) -> Response {
    let newest = lock(&kept).newest(LISTED, |_| true);
    page(StatusCode::OK, render::list(&newest, true))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowQuery {
    /// How often the page has looked for this trace by itself.
    #[serde(default)]
    looked: u8,
}

async fn show(
    State(kept): State<Kept>,
    Path(id): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let problem = Problem::from_status(StatusCode::NOT_FOUND);
        return Err(problem.with_detail("the id of a trace is 32 hexadecimal digits"));
    }
    let found = lock(&kept).trace(&id);
    Ok(match found {
        Some(spans) => page(StatusCode::OK, render::trace(&id, &spans)),
        None => page(StatusCode::NOT_FOUND, render::not_here(&id, query.looked)),
    })
}

async fn as_json(State(kept): State<Kept>, Path(id): Path<String>) -> Result<Response, Problem> {
    let found = lock(&kept).trace(&id);
    let spans = found.ok_or_else(|| {
        Problem::from_status(StatusCode::NOT_FOUND)
            .with_detail("no span of this trace was received, or it is forgotten")
    })?;
    Ok(axum::Json(spans).into_response())
}

/// How errors are shown to people.
pub(crate) fn error_page() -> ErrorPage {
    ErrorPage::where_preferred(|problem| {
        let details: Vec<_> = problem.details().collect();
        page(problem.status(), render::problem(problem.title(), &details))
    })
}

fn page(status: StatusCode, page: Markup) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (
            header::CONTENT_SECURITY_POLICY,
            render::CONTENT_SECURITY_POLICY.clone(),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, Html(page.into_string())).into_response()
}
