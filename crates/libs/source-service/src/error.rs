//! Why a source ends, and what its clients are told when it cannot do its part.

use axum::http::StatusCode;
use http_edge::Problem;

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database cannot be opened or migrated.
    #[error("cannot open the database")]
    Database(#[from] group_commit::Error),
    /// The broker's URL cannot be used.
    #[error(transparent)]
    Broker(#[from] event_bus::ConnectError),
    /// The listener failed, or a task ended that the service cannot run without.
    #[error(transparent)]
    Serve(#[from] http_edge::ServeError),
}

/// Another process publishes for this source from another database, so this one could never announce a change.
pub(crate) fn another_publisher() -> Problem {
    Problem::unavailable(
        "another-publisher",
        "Another instance of this service publishes from another database, so this instance refuses changes",
    )
}

/// Tells a client which fields are invalid, and what each of them must be.
pub fn invalid_fields(fields: impl IntoIterator<Item = (impl Into<String>, &'static str)>) -> Problem {
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-fields",
        "Some fields are invalid",
    );
    fields
        .into_iter()
        .fold(problem, |problem, (field, must)| problem.with_field(field, must))
}

/// Tells a client why the database did not do it. A path or an errno is for the log alone.
///
/// Nothing was done, except where the disk failed: then nobody knows, and it is our error. A full disk is 507 (RFC 4918, section
/// 11.5), without `Retry-After`: the client must not send the write again by itself.
pub fn database_problem(error: group_commit::Error) -> Problem {
    use group_commit::Error;
    match error {
        Error::Overloaded => Problem::unavailable("overloaded", "Too many writes are waiting"),
        Error::Locked(_) => {
            Problem::unavailable("database-locked", "Another process has locked the database")
        }
        Error::ReadOnly(_) => Problem::unavailable("database-read-only", "The database is read-only"),
        Error::CannotOpen(_) | Error::Replaced => {
            Problem::unavailable("database-unavailable", "The database cannot be opened")
        }
        Error::Full(_) => Problem::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk-full",
            "The disk of the database is full",
        )
        .already_logged(),
        error => Problem::internal(error),
    }
}

/// The answers to a write that the database did not take, for OpenAPI.
#[derive(Debug, utoipa::IntoResponses)]
pub enum WriteRefused {
    /// Nothing was done, or nobody knows.
    #[response(
        status = 503,
        description = "too many writes are waiting, or the database is locked, read-only or cannot be opened: nothing was done; or, as `about:blank`, the request took too long and may have been done",
        content_type = "application/problem+json",
        headers(("Retry-After" = String))
    )]
    Unavailable(Problem),
    /// Nothing was done.
    #[response(
        status = 507,
        description = "the disk of the database is full; nothing was done",
        content_type = "application/problem+json"
    )]
    DiskFull(Problem),
}
