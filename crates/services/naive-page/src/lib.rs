#![doc = include_str!("../README.md")]

mod cache;
mod compose;
mod config;
mod error;

pub use config::Config;
pub use error::{ComposeError, RunError};

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use http_edge::{EdgeOptions, Path, Problem, Query, Readiness, ServeOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cache::{Pages, WINDOWS};
use crate::compose::Sources;

#[derive(Clone)]
struct App {
    pages: Pages,
    sources: Arc<Sources>,
}

/// Wires the service and runs it until `stop`: the subscription that invalidates, the sources, the route.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let pages = cache::pages();
    let client = async_nats::connect(&config.nats_url).await?;
    let events = client.subscribe(format!("{}.>", config.subject_prefix)).await?;
    let applying = tokio::spawn(cache::apply_events(events, pages.clone()));

    let options = ServeOptions {
        allowed_hosts: config.allowed_hosts.clone(),
        ..ServeOptions::default()
    };
    let client = http_edge::client();
    let sources = Arc::new(Sources { client, config });
    let router = Router::new()
        .route("/accounts/{id}", get(show_page))
        .with_state(App { pages, sources });
    let router = http_edge::edge(router, Readiness::always(), EdgeOptions::default());
    let served = http_edge::serve(listener, router, options, stop).await;
    applying.abort();
    Ok(served?)
}

#[derive(Debug, serde::Deserialize)]
struct PageQuery {
    window: Option<String>,
}

async fn show_page(
    State(app): State<App>,
    Path(account): Path<u64>,
    Query(query): Query<PageQuery>,
) -> Result<impl IntoResponse, Problem> {
    let asked = query.window.as_deref().unwrap_or("24h");
    let window = WINDOWS.into_iter().find(|window| *window == asked);
    let window = window.ok_or_else(|| Problem::from_status(StatusCode::BAD_REQUEST))?;

    // Whoever joins another reader's load counts as a hit.
    let mut cache_status = "page; hit";
    let load = async {
        cache_status = "page; fwd=miss; stored";
        app.sources.compose(account, window).await.map(Arc::new)
    };
    let page = app.pages.try_get_with((account, window), load).await;
    let page = page.map_err(ComposeError::problem)?;
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "private, no-cache"),
        ("cache-status", cache_status),
        ("consistency-token", &page.versions),
    ];
    Ok((
        headers.map(|(name, value)| (name, value.to_owned())),
        page.json.clone(),
    ))
}
