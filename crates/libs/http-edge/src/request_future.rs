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

use crate::already_logged::AlreadyLogged;
use crate::limits::Work;
use crate::route_metrics::{Labels, Series};
use crate::problem::Cause;
use crate::trace::Trace;

const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// One request under way: it runs within its trace and its limits, is measured, and is logged if it fails.
pub(crate) struct Exchange {
    trace: Trace,
    work: Work,
    series: Arc<Series>,
    labels: Labels,
    started: Instant,
    ended: bool,
}

impl Exchange {
    /// Takes a request in, and hands it to the routes if there is room.
    pub(crate) fn begin(series: &Arc<Series>, routes: &mut Route, request: Request) -> Self {
        let started = Instant::now();
        let series = Series::of_route(series, request.extensions().get::<MatchedPath>());
        let labels = Labels::of(&request);
        labels.count_in();
        let shared = series.shared();
        let trace = Trace::begin(&series, labels, &request, started);
        let work = shared.limits.admit(routes, request);
        Self {
            trace,
            work,
            series,
            labels,
            started,
            ended: false,
        }
    }

    /// Names the trace in the answer, if there is one or somebody was told its id; logs what failed.
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
        let Self { trace, series, .. } = self;
        trace.enter(|| {
            tracing::error!(
                status = status.as_u16(),
                route = series.route(),
                cause,
                "the request failed"
            );
        });
    }

    /// What was counted in is counted out.
    fn end(&mut self) {
        self.ended = true;
        self.series.shared().limits.leave();
        self.labels.count_out();
        self.series.record(self.labels, self.started.elapsed());
        self.trace.end();
    }
}

impl Future for Exchange {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.get_mut();
        let Self { trace, work, .. } = exchange;
        let mut response = ready!(trace.enter(|| work.poll(context)));
        exchange.answer(&mut response);
        exchange.end();
        Poll::Ready(Ok(response))
    }
}

/// A client that goes away drops the exchange where it waits.
impl Drop for Exchange {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // First, and in its trace: it may have spans open.
        self.trace.enter(|| self.work.abandon());
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
