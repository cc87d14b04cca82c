//! What can go wrong here, and how it is answered.

use std::sync::Arc;

use axum::http::StatusCode;
use http_edge::Problem;

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The broker cannot be reached.
    #[error("cannot connect to the broker")]
    Connect(#[from] async_nats::ConnectError),
    /// The events cannot be subscribed to.
    #[error("cannot subscribe to the events")]
    Subscribe(#[from] async_nats::SubscribeError),
    /// The listener failed.
    #[error("cannot serve")]
    Serve(#[from] std::io::Error),
}

/// Why there is no page. It is not cached.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Accounts says so.
    #[error("there is no such account")]
    NoSuchAccount,
    /// A source did not answer.
    #[error("a source does not answer")]
    NoAnswer(#[from] reqwest::Error),
    /// A source answered with another status than was agreed on.
    #[error("a source answered {0}")]
    Unexpected(StatusCode),
    /// A source's answer has no `ETag` that tells its version.
    #[error("a source's answer has no version")]
    NoVersion,
}

impl ComposeError {
    /// The answer to a reader. Shared, because all who waited for one load get its error.
    pub(crate) fn problem(self: Arc<Self>) -> Problem {
        match *self {
            Self::NoSuchAccount => Problem::from_status(StatusCode::NOT_FOUND),
            _ => Problem::from_status(StatusCode::SERVICE_UNAVAILABLE)
                .with_detail(self.to_string())
                .with_cause(self),
        }
    }
}
