//! What can go wrong here, and how it is answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_bus::Version;
use http_edge::Problem;
use source_service::{database_problem, invalid_fields};

use crate::answer::etag;
use crate::endpoint::Invalid;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// These fields are invalid, each for its reason.
    #[error("some fields are invalid")]
    InvalidFields(Vec<(&'static str, Invalid)>),
    /// The account has no endpoint of this id; the version is that of the account's endpoints.
    #[error("no such endpoint")]
    NoSuchEndpoint(Version),
    /// The account's endpoints are at this version, which the preconditions do not allow.
    #[error("the version is another one")]
    VersionMismatch(Version),
    /// The account is deleted, as its event said.
    #[error("the account is deleted")]
    AccountDeleted,
    /// The account has as many endpoints as it may have.
    #[error("too many endpoints")]
    TooManyEndpoints,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] group_commit::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let version = match self {
            Self::NoSuchEndpoint(version) | Self::VersionMismatch(version) => Some(version),
            _ => None,
        };
        let etag = version.map(|version| [(header::ETAG, etag(version))]);
        (etag, self.problem()).into_response()
    }
}

impl Error {
    fn problem(self) -> Problem {
        let problem = Problem::new;
        match self {
            Self::InvalidFields(fields) => {
                invalid_fields(fields.into_iter().map(|(field, invalid)| (field, invalid.0)))
            }
            Self::NoSuchEndpoint(_) => problem(
                StatusCode::NOT_FOUND,
                "endpoint-not-found",
                "There is no such endpoint",
            ),
            Self::VersionMismatch(version) => problem(
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
                "The preconditions do not allow the version of the endpoints",
            )
            .with_detail(format!("the endpoints' ETag is {}", etag(version))),
            Self::AccountDeleted => {
                problem(StatusCode::CONFLICT, "account-deleted", "The account is deleted")
            }
            Self::TooManyEndpoints => problem(
                StatusCode::CONFLICT,
                "too-many-endpoints",
                "An account has at most 500 endpoints",
            ),
            Self::Database(error) => database_problem(error),
        }
    }
}
