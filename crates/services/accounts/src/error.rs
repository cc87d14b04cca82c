//! What can go wrong here, and how it is answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_bus::Version;
use http_edge::Problem;

use crate::answer::etag;

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database cannot be opened or migrated.
    #[error("cannot open the database")]
    Store(#[from] StoreError),
    /// The broker's URL cannot be used.
    #[error(transparent)]
    Broker(#[from] event_bus::ConnectError),
    /// The listener failed, or a task ended that the service rests on.
    #[error(transparent)]
    Serve(#[from] http_edge::ServeError),
}

/// Another process publishes for this source from another database: what would be written here could never be announced.
pub(crate) fn another_publisher() -> Problem {
    Problem::unavailable(
        "another-publisher",
        "Another instance of this service publishes from another database; this one takes no changes",
    )
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no account of this id; its absence has a version.
    #[error("no such account")]
    NoSuchAccount(Version),
    /// The account is at this version, and not at one that was to be changed.
    #[error("the version is another one")]
    VersionMismatch(Version),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] group_commit::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl IntoResponse for StoreError {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuchAccount(version) => {
                let problem = Problem::new(
                    StatusCode::NOT_FOUND,
                    "account-not-found",
                    "There is no such account",
                );
                ([(header::ETAG, etag(version))], problem).into_response()
            }
            Self::VersionMismatch(version) => {
                let etag = etag(version);
                let problem = Problem::new(
                    StatusCode::PRECONDITION_FAILED,
                    "version-mismatch",
                    "The account's version is not one that the preconditions allow",
                )
                .with_detail(format!("the account's ETag is {etag}"));
                ([(header::ETAG, etag)], problem).into_response()
            }
            Self::Database(error) => database_problem(error).into_response(),
        }
    }
}

/// Why the database did not do it, in words for a client; a path or an errno is for the log alone.
///
/// Nothing was done, except where the disk failed: then nobody knows, and it is our error. A full disk is 507 (RFC 4918, section
/// 11.5), without `Retry-After`: the client must not send the write again by itself.
fn database_problem(error: group_commit::Error) -> Problem {
    use group_commit::Error;
    match error {
        Error::Overloaded => Problem::unavailable("overloaded", "Too many writes are waiting"),
        Error::Locked(_) => {
            Problem::unavailable("database-locked", "The database is locked by another process")
        }
        Error::ReadOnly(_) => Problem::unavailable("database-read-only", "The database is read-only"),
        Error::CannotOpen(_) | Error::Replaced => {
            Problem::unavailable("database-unavailable", "The database cannot be opened")
        }
        Error::Full(_) => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk-full",
            "There is no room on the database's disk",
        )
        .already_logged(),
        error => Problem::internal(error),
    }
}
