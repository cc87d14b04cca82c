//! The lab's own page: the stack as a picture, live, and the controls that break it and put it right again.

mod audience;
mod buttons;
mod comparison;
mod controls;
mod flow;
mod guard;
mod naive;
mod page;
mod picture;
mod refused;
mod scrape;
mod side_by_side;
mod stage;
mod verdict;

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures::stream::{self, Stream};
use http_edge::{AllowedHosts, ErrorPage, Json, Path, Problem, Query, ServeOptions};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::audience::Audience;
use self::comparison::{Comparison, Standing};
use self::controls::{Asked, Control};
use stack::ports::local;

pub use self::stage::Stage;

/// What the page may load: its own style and script, and its own stream of pictures.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    stage: Arc<Stage>,
    audience: Arc<Audience>,
    comparison: Comparison,
}

/// Listens on a port of this machine; whoever connects waits for [`serve`].
pub async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind(local(port))
        .await
        .with_context(|| format!("port {port}, wanted for the lab's page, cannot be used"))
}

/// Serves the page under these names, until it is dropped.
pub async fn serve(listener: TcpListener, stage: Arc<Stage>, allowed_hosts: AllowedHosts) -> Result<()> {
    let options = ServeOptions {
        allowed_hosts,
        error_page: Some(ErrorPage::where_preferred(show_problem)),
    };
    let audience = Arc::default();
    let shared = Shared {
        stage: Arc::clone(&stage),
        audience: Arc::clone(&audience),
        comparison: Comparison::default(),
    };
    tokio::select! {
        served = http_edge::serve(listener, router(shared), options, CancellationToken::new()) => {
            served.context("serving the lab's page")
        }
        never = audience::perform(stage, audience) => match never {},
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route(
            "/lab.css",
            get(async || asset("text/css; charset=utf-8", page::STYLE)),
        )
        .route(
            "/lab.js",
            get(async || asset("text/javascript; charset=utf-8", page::SCRIPT)),
        )
        .route(
            "/uPlot.js",
            get(async || asset("text/javascript; charset=utf-8", page::CHART_LIBRARY)),
        )
        .route(
            "/charts.js",
            get(async || asset("text/javascript; charset=utf-8", page::CHARTS)),
        )
        .route(
            "/strategies.js",
            get(async || asset("text/javascript; charset=utf-8", page::STRATEGIES_SCRIPT)),
        )
        .route("/events", get(stream_pictures))
        .route("/comparison", get(show_comparison))
        .route("/do/compare", post(start_comparison))
        .route("/do/{control}", post(perform_control))
        .fallback(async || {
            Problem::from_status(StatusCode::NOT_FOUND).with_detail("there is nothing at this path")
        })
        .method_not_allowed_fallback(async || Problem::from_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(middleware::map_response(protect))
        .layer(middleware::from_fn(guard::guard))
        .with_state(shared)
}

async fn show_page(State(shared): State<Shared>) -> Html<String> {
    Html(page::render(&shared.stage).into_string())
}

async fn stream_pictures(
    State(shared): State<Shared>,
) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    let pictures = stream::unfold(shared.audience.look(), |mut pictures| async move {
        pictures.changed().await.ok()?;
        let picture = Event::default().data(&**pictures.borrow_and_update());
        Some((Ok(picture), pictures))
    });
    Sse::new(pictures).keep_alive(KeepAlive::default())
}

/// What a control answers.
#[derive(Serialize)]
struct Done {
    /// In words.
    done: String,
}

async fn perform_control(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> std::result::Result<Json<Done>, Problem> {
    let control = Control::read(&name, asked)?;
    let stage = shared.stage;
    // In a task of its own: a browser that goes away must not leave a part between its end and its start.
    let performed = tokio::spawn(async move { stage.perform(control).await }).await;
    let done = performed.map_err(Problem::internal)??;
    Ok(Json(Done { done }))
}

/// Answers at once: the comparison goes on by itself, and no other control waits for it.
async fn start_comparison(State(shared): State<Shared>) -> std::result::Result<Json<Done>, Problem> {
    let done = shared.comparison.start(&shared.stage)?;
    Ok(Json(Done { done }))
}

async fn show_comparison(State(shared): State<Shared>) -> Json<Standing> {
    Json(shared.comparison.standing())
}

/// How errors are shown to people: who is refused by name gets them without the lab's own head.
fn show_problem(problem: &Problem) -> Response {
    let details: Vec<_> = problem.details().collect();
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    let page = page::render_problem(problem.title(), &details);
    (policy, Html(page.into_string())).into_response()
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn protect(mut response: Response) -> Response {
    let policies = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in policies {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}
