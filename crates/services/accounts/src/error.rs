//! What can go wrong here, and how it is answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_bus::Version;
use http_edge::Problem;
use source_service::{database_problem, invalid_fields};

use crate::account::Invalid;
use crate::answer::etag;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// These fields are invalid, each for its reason.
    #[error("some fields are invalid")]
    InvalidFields(Vec<(&'static str, Invalid)>),
    /// The list always exists and has no entity tag, which the preconditions do not allow.
    #[error("the preconditions of the list do not hold")]
    ListExists,
    /// There is no account of this id; its absence has a version.
    #[error("no such account")]
    NoSuchAccount(Version),
    /// The account is at this version, which the preconditions do not allow.
    #[error("the version is another one")]
    VersionMismatch(Version),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] group_commit::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let version = match self {
            Self::NoSuchAccount(version) | Self::VersionMismatch(version) => Some(version),
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
            Self::ListExists => problem(
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "The list of accounts exists and has no ETag, which the preconditions do not allow",
            ),
            Self::NoSuchAccount(_) => problem(
                StatusCode::NOT_FOUND,
                "account-not-found",
                "There is no such account",
            ),
            Self::VersionMismatch(version) => problem(
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
                "The preconditions do not allow the account's version",
            )
            .with_detail(format!("the account's ETag is {}", etag(version))),
            Self::Database(error) => database_problem(error),
        }
    }
}
