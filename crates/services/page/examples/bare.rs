//! What the page service is compared with: an axum handler that answers with the bytes of one page, and does nothing else.
//!
//! `bare LISTEN URL` asks the page service for the page at `URL` once, and from then on gives every reader of
//! `/accounts/{id}` the same status, headers and body. `scripts/hotpath` runs it.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use bytes::Bytes;
use tokio::net::TcpListener;

/// What it answers with.
struct Page {
    headers: HeaderMap,
    body: Bytes,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, url] = &arguments[..] else {
        anyhow::bail!("usage: bare LISTEN URL");
    };
    let response = reqwest::get(url).await?.error_for_status().context(url.clone())?;
    let mut headers = response.headers().clone();
    // These two are the server's own, for this page as for any.
    headers.remove(header::DATE);
    headers.remove(header::CONTENT_LENGTH);
    let body = response.bytes().await?;
    let page = Arc::new(Page { headers, body });
    let router = Router::new().route("/accounts/{id}", get(show)).with_state(page);
    let listener = TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn show(State(page): State<Arc<Page>>, Path(_id): Path<String>) -> (HeaderMap, Bytes) {
    (page.headers.clone(), page.body.clone())
}
