//! Puts around a service's routes what every service needs, in the one order that is right.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::Route;
use telemetry::Sampler;
use tower::{Layer, Service};

use crate::Problem;
use crate::request_future::Exchange;
use crate::health::{self, Readiness};
use crate::limits::Limits;
use crate::route_metrics::{Instruments, Series};

/// The bounds of a service. The defaults suit small JSON requests that take milliseconds.
#[derive(Clone, Debug)]
pub struct EdgeOptions {
    /// The largest request body, in bytes; beyond it 413.
    pub body_limit: usize,
    /// The longest a request may wait; beyond it 503, and the handler is dropped where it waits.
    pub deadline: Duration,
    /// How many requests may be under way; those beyond it are refused at once with 503, not queued.
    pub concurrency: usize,
    /// What decides which requests are traced; if none, what `telemetry::start` was told.
    pub sampler: Option<Sampler>,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            body_limit: 1024 * 1024,
            deadline: Duration::from_secs(10),
            concurrency: 1024,
            sampler: None,
        }
    }
}

/// Wraps a service's routes: server spans, limits, problems for everything that fails, health, metrics.
///
/// Adds `GET /livez`, `/readyz` and `/metrics`, which are neither traced nor limited: they must answer while the
/// service is overloaded. Call it after `telemetry::start`, whose providers it keeps.
pub fn edge(router: Router, ready: Readiness, options: EdgeOptions) -> Router {
    let service = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Makes routes of the handlers now, so that their layer is made once, and not with every clone of the router.
        .with_state(())
        .layer(Edge(Arc::new(Shared {
            limits: Limits::new(&options),
            instruments: Instruments::new(),
            sampler: options.sampler.unwrap_or_else(telemetry::sampler),
        })));
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

/// What the exchanges of one service share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) instruments: Instruments,
    pub(crate) sampler: Sampler,
}

/// One layer for all of it, and written by hand: each layer of a router costs every request two allocations, and each
/// function as a middleware some more.
#[derive(Clone, Debug)]
struct Edge(Arc<Shared>);

impl Layer<Route> for Edge {
    type Service = EdgeService;

    fn layer(&self, routes: Route) -> EdgeService {
        EdgeService {
            routes,
            series: Arc::new(Series::new(Arc::clone(&self.0))),
        }
    }
}

/// One route, or the fallback, behind the edge.
#[derive(Clone, Debug)]
struct EdgeService {
    routes: Route,
    series: Arc<Series>,
}

impl Service<Request> for EdgeService {
    type Response = Response;
    type Error = Infallible;
    type Future = Exchange;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request) -> Exchange {
        Exchange::begin(&self.series, &mut self.routes, request)
    }
}
