//! The limits of a request: how many run at once, the size of its body, its time. A panic ends that request alone.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use axum::routing::future::RouteFuture;
use tokio::time::{Sleep, sleep};
use tower::Service;

use crate::already_logged::AlreadyLogged;
use crate::options::EdgeOptions;
use crate::problem::Problem;

/// The bounds of a service, and how much of them is taken.
#[derive(Debug)]
pub(crate) struct Limits {
    body: usize,
    deadline: Duration,
    concurrency: usize,
    under_way: AtomicUsize,
}

impl Limits {
    pub(crate) fn new(options: &EdgeOptions) -> Self {
        Self {
            body: options.body_limit,
            deadline: options.deadline,
            concurrency: options.concurrency,
            under_way: AtomicUsize::new(0),
        }
    }

    /// Hands the request to its route, or refuses it.
    pub(crate) fn admit(&self, routes: &mut Route, mut request: Request) -> HandlerFuture {
        // Relaxed, here and where it is left: the number guards nothing but itself.
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= self.concurrency {
            return HandlerFuture::Refused;
        }
        // Said to the request, where the extractor of the body looks for it; most requests have none.
        if !request.body().is_end_stream() {
            DefaultBodyLimit::max(self.body).apply(&mut request);
        }
        HandlerFuture::UnderWay {
            route: routes.call(request),
            deadline: self.deadline,
            wait: None,
        }
    }

    /// Gives the place of an admitted or a refused request back.
    pub(crate) fn leave(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handler's answer to be, within its bounds.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and is in a box already"
)]
pub(crate) enum HandlerFuture {
    /// There was no room.
    Refused,
    /// The route answers.
    UnderWay {
        /// Its answer to be.
        route: RouteFuture<Infallible>,
        /// How long it may wait.
        deadline: Duration,
        /// Once it waits. Most do not, and are spared the timer.
        wait: Option<Pin<Box<Sleep>>>,
    },
}

impl HandlerFuture {
    /// Polls the handler. A panic ends this request and no other.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let Self::UnderWay {
            route,
            deadline,
            wait,
        } = self
        else {
            return Poll::Ready(refused());
        };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(route).poll(context))) {
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(response),
            Err(_panic) => Poll::Ready(panicked()),
            Ok(Poll::Pending) => {
                let wait = wait.get_or_insert_with(|| Box::pin(sleep(*deadline)));
                ready!(wait.as_mut().poll(context));
                self.abandon();
                Poll::Ready(try_later("the request took too long"))
            }
        }
    }

    /// Drops it where it waits.
    pub(crate) fn abandon(&mut self) {
        *self = Self::Refused;
    }
}

/// The metrics count refusals; a line for each would add to the load that is being refused.
fn refused() -> Response {
    (
        AlreadyLogged,
        try_later("the service is at its limit of concurrent requests"),
    )
        .into_response()
}

/// 503 rather than 504: it is this service that is slow, whatever the reason.
fn try_later(detail: &str) -> Response {
    let problem = Problem::from_status(StatusCode::SERVICE_UNAVAILABLE).with_detail(detail);
    ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], problem).into_response()
}

/// The panic hook has written the message, the place and the trace id; nothing of it is the client's business.
fn panicked() -> Response {
    (
        AlreadyLogged,
        Problem::from_status(StatusCode::INTERNAL_SERVER_ERROR),
    )
        .into_response()
}
