//! Puts around a service's routes what every service needs, in the one order that is right.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::Route;
use tower::{Layer, Service};

use crate::health::{self, Readiness};
use crate::limits::Limits;
use crate::options::EdgeOptions;
use crate::problem::Problem;
use crate::request_future::{RequestFuture, RouteEdge, Shared};
use crate::route_metrics::instruments;
use crate::trace::Tracing;

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
        .layer(EdgeLayer(Arc::new(Shared {
            limits: Limits::new(&options),
            duration: instruments(),
            tracing: Tracing::new(options.sampler.unwrap_or_else(telemetry::sampler)),
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

/// One layer for all of it, and written by hand: each layer of a router costs every request two allocations, and each
/// function as a middleware some more.
#[derive(Clone, Debug)]
struct EdgeLayer(Arc<Shared>);

impl Layer<Route> for EdgeLayer {
    type Service = EdgeService;

    fn layer(&self, routes: Route) -> EdgeService {
        EdgeService {
            routes,
            edge: Arc::new(RouteEdge::new(Arc::clone(&self.0))),
        }
    }
}

/// One route, or the fallback, behind the edge.
#[derive(Clone, Debug)]
struct EdgeService {
    routes: Route,
    edge: Arc<RouteEdge>,
}

impl Service<Request> for EdgeService {
    type Response = Response;
    type Error = Infallible;
    type Future = RequestFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, request: Request) -> RequestFuture {
        RequestFuture::begin(&self.edge, &mut self.routes, request)
    }
}
