//! The routes for whoever runs the service: is it alive, is it ready, what does it count?

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Problem;

/// Whether the service can do its work now, asked at every `GET /readyz`; cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> Result<(), String> + Send + Sync>);

impl Readiness {
    /// Ready while `check` says so; its error is told to the caller. It must not block: let it read a flag.
    pub fn new(check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Ready as soon as it answers at all.
    pub fn always() -> Self {
        Self::new(|| Ok(()))
    }

    /// The answer of this moment.
    pub fn check(&self) -> Result<(), String> {
        (self.0)()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Readiness").field(&self.check()).finish()
    }
}

pub(crate) fn routes(ready: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(metrics))
}

async fn readyz(State(ready): State<Readiness>) -> Result<&'static str, Problem> {
    ready.check().map_err(|reason| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not-ready",
            "The service is not ready",
        )
        .with_detail(reason)
    })?;
    Ok("ready\n")
}

async fn metrics() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        telemetry::prometheus_text(),
    )
}
