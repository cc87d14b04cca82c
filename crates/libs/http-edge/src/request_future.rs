//! The server's side of one request, from its arrival to the head of its answer.
//!
//! Made by hand rather than by `opentelemetry-instrumentation-tower`: that layer never counts a request out of
//! `http.server.active_requests` when its client goes away (every load test ends so), ends the span only with its
//! last clone, and leaves `url.scheme` empty. The conventions are the same.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::Route;
use opentelemetry::metrics::Histogram;

use crate::already_logged::AlreadyLogged;
use crate::limits::{HandlerFuture, Limits};
use crate::problem::Cause;
use crate::route_metrics::{Labels, RouteMetrics};
use crate::trace::{Trace, Tracing};

const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// What the requests of one service share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) duration: Histogram<f64>,
    pub(crate) tracing: Tracing,
}

/// What the requests of one route share, in one allocation: a request clones one pointer.
#[derive(Debug)]
pub(crate) struct RouteEdge {
    service: Arc<Shared>,
    metrics: RouteMetrics,
}

impl RouteEdge {
    pub(crate) fn new(service: Arc<Shared>) -> Self {
        Self {
            metrics: RouteMetrics::new(&service.duration),
            service,
        }
    }

    /// The edge of a request that matched this route: `edge`, or one of its own if it is not of that route.
    fn of_route(edge: &Arc<Self>, route: Option<&MatchedPath>) -> Arc<Self> {
        if edge.metrics.is_of(route) {
            return Arc::clone(edge);
        }
        let other = Self::new(Arc::clone(&edge.service));
        other.metrics.is_of(route);
        Arc::new(other)
    }
}

/// One request under way: it runs within its trace and its limits, is measured, and is logged if it fails.
pub(crate) struct RequestFuture {
    trace: Trace,
    handler: HandlerFuture,
    edge: Arc<RouteEdge>,
    labels: Labels,
    started: Instant,
    ended: bool,
}

impl RequestFuture {
    /// Takes a request in, and hands it to the routes if there is room.
    pub(crate) fn begin(edge: &Arc<RouteEdge>, routes: &mut Route, request: Request) -> Self {
        let started = Instant::now();
        let edge = RouteEdge::of_route(edge, request.extensions().get::<MatchedPath>());
        let labels = Labels::of(&request);
        labels.count_in();
        let Shared { tracing, limits, .. } = &*edge.service;
        let trace = tracing.begin(&request, labels, edge.metrics.route(), started);
        let handler = limits.admit(routes, request);
        Self {
            trace,
            handler,
            edge,
            labels,
            started,
            ended: false,
        }
    }

    /// Names the trace in the answer, if there is one or its id was given out; logs what failed.
    fn answer(&mut self, response: &mut Response) {
        let status = response.status();
        self.labels.answered(status);
        self.trace.answered(status);
        if status.is_server_error() {
            let cause = response.extensions().get::<Cause>().map(|cause| chain(&*cause.0));
            self.trace
                .failed(status.as_str(), cause.as_deref().unwrap_or_default());
            if response.extensions().get::<AlreadyLogged>().is_none() {
                self.log_failure(status, cause.as_deref());
            }
        }
        if let Some(id) = self.trace.id() {
            let id = HeaderValue::try_from(id.to_string());
            response
                .headers_mut()
                .insert(TRACE_ID, id.expect("hexadecimal digits are a header's value"));
        }
    }

    /// The only place where a failed request is written to the log, with everything that led to it.
    fn log_failure(&mut self, status: StatusCode, cause: Option<&str>) {
        let Self { trace, edge, .. } = self;
        trace.enter(|| {
            tracing::error!(
                status = status.as_u16(),
                route = edge.metrics.route(),
                cause,
                "the request failed"
            );
        });
    }

    /// What was counted in is counted out.
    fn end(&mut self) {
        self.ended = true;
        self.edge.service.limits.leave();
        self.labels.count_out();
        self.edge.metrics.record(self.labels, self.started.elapsed());
        self.trace.end();
    }
}

impl Future for RequestFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let request = self.get_mut();
        let Self { trace, handler, .. } = request;
        let mut response = ready!(trace.enter(|| handler.poll(context)));
        request.answer(&mut response);
        request.end();
        Poll::Ready(Ok(response))
    }
}

/// A client that goes away drops the request where it waits.
impl Drop for RequestFuture {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // First, and in its trace: it may have spans open.
        self.trace.enter(|| self.handler.abandon());
        self.trace.failed("cancelled", "the client went away");
        self.end();
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let _ = write!(line, ": {source}");
        next = source.source();
    }
    line
}
