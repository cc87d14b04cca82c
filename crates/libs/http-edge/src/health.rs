//! The routes for whoever runs the service: is it alive, is it ready, what does it count?

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::time::timeout;

use crate::problem::Problem;

/// How long a check may take: whoever asks, such as the check of a container's health, waits for two seconds.
const CHECKED_WITHIN: Duration = Duration::from_secs(1);

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync;

/// Whether the service can do its work now, asked at every `GET /readyz`; cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Check>);

impl Readiness {
    /// Ready while `check` says so; its error is told to the caller. It must not block: let it read a flag.
    pub fn new(check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self::asking(move || std::future::ready(check().map(|()| String::new())))
    }

    /// Ready while `check` says so within a second. What it says beside that is told to the caller too, as its error is.
    pub fn asking<F>(check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(check())))
    }

    /// Ready as soon as it answers at all.
    pub fn always() -> Self {
        Self::new(|| Ok(()))
    }

    /// The answer of this moment.
    pub async fn check(&self) -> Result<String, String> {
        let checked = timeout(CHECKED_WITHIN, (self.0)()).await;
        checked.unwrap_or_else(|_| Err("the check takes too long".to_owned()))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readiness").finish_non_exhaustive()
    }
}

pub(crate) fn routes(ready: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(metrics))
}

async fn readyz(State(ready): State<Readiness>) -> Result<String, Problem> {
    let beside = ready.check().await.map_err(|reason| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "The service is not ready",
        )
        .with_detail(reason)
    })?;
    Ok(match &*beside {
        "" => "ready\n".to_owned(),
        beside => format!("ready; {beside}\n"),
    })
}

async fn metrics() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::prometheus_text(),
    )
}
