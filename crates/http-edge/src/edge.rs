//! Puts around a service's routes what every service needs, in the one order that is right.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::exchange::{Instruments, observe};
use crate::health::{self, Readiness};
use crate::{Problem, exchange::AlreadyLogged};

/// The bounds of a service. The defaults suit small JSON requests that take milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct EdgeOptions {
    /// The largest request body, in bytes; beyond it 413.
    pub body_limit: usize,
    /// The longest a request may take; beyond it 503, and the handler is dropped where it waits.
    pub deadline: Duration,
    /// How many requests may be under way; those beyond it are refused at once with 503, not queued.
    pub concurrency: usize,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            body_limit: 1024 * 1024,
            deadline: Duration::from_secs(10),
            concurrency: 1024,
        }
    }
}

/// Wraps a service's routes: server spans, limits, problems for everything that fails, health, metrics.
///
/// Adds `GET /livez`, `/readyz` and `/metrics`, which are neither traced nor limited: they must answer while the
/// service is overloaded. Call it after `telemetry::start`, whose providers it keeps.
pub fn edge(router: Router, ready: Readiness, options: EdgeOptions) -> Router {
    let limits = Arc::new(Limits {
        permits: Semaphore::new(options.concurrency),
        deadline: options.deadline,
    });
    // The last layer is the outermost: the span sees every answer, the panic's and the refusal's too.
    let service = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(options.body_limit))
        .layer(from_fn_with_state(limits, limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::new(Instruments::new()), observe));
    health::routes(ready)
        .method_not_allowed_fallback(method_not_allowed)
        .merge(service)
}

async fn not_found() -> Problem {
    Problem::from_status(StatusCode::NOT_FOUND).with_detail("there is nothing at this path")
}

async fn method_not_allowed() -> Problem {
    Problem::from_status(StatusCode::METHOD_NOT_ALLOWED)
}

#[derive(Debug)]
struct Limits {
    permits: Semaphore,
    deadline: Duration,
}

/// Refuses what is too much, and ends what takes too long.
async fn limit(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = limits.permits.try_acquire() else {
        // The metrics count refusals; a line for each would add to the load that is being refused.
        return (
            AlreadyLogged,
            try_later("the service is at its limit of concurrent requests"),
        )
            .into_response();
    };
    match tokio::time::timeout(limits.deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => try_later("the request took too long"),
    }
}

/// 503 rather than 504: it is this service that is slow, whatever the reason.
fn try_later(detail: &str) -> Response {
    let problem = Problem::from_status(StatusCode::SERVICE_UNAVAILABLE).with_detail(detail);
    ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], problem).into_response()
}

/// The panic hook has written the message, the place and the trace id; nothing of it is the client's business.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    (
        AlreadyLogged,
        Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR),
    )
        .into_response()
}
