//! What can go wrong here, and how it is answered.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_bus::Version;
use http_edge::Problem;
use source_service::{database_problem, invalid_fields};

use crate::answer::samples_etag;
use crate::sample::Invalid;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// These fields are invalid, each for its reason.
    #[error("some fields are invalid")]
    InvalidFields(Vec<(String, Invalid)>),
    /// The account is deleted: its samples are gone, and none are taken.
    #[error("the account is deleted")]
    AccountDeleted,
    /// The samples, or the answer of a window, have this `ETag`, which the preconditions do not allow.
    #[error("the version is another one")]
    EtagMismatch(String),
    /// The batch would give the account more endpoints than it may have.
    #[error("too many endpoints")]
    TooManyEndpoints,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] group_commit::Error),
}

impl Error {
    /// The account's samples are at this version, which the preconditions of a batch do not allow.
    pub(crate) fn version_mismatch(version: Version) -> Self {
        Self::EtagMismatch(samples_etag(version))
    }

    /// One field is invalid.
    pub(crate) fn invalid_field(field: &str, invalid: Invalid) -> Self {
        Self::InvalidFields(vec![(field.to_owned(), invalid)])
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let etag = match &self {
            Self::EtagMismatch(etag) => Some([(header::ETAG, etag.clone())]),
            _ => None,
        };
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
            Self::AccountDeleted => {
                problem(StatusCode::CONFLICT, "account-deleted", "The account is deleted")
            }
            Self::EtagMismatch(etag) => problem(
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
                "The preconditions do not allow the version of the samples",
            )
            .with_detail(format!("the samples' ETag is {etag}")),
            Self::TooManyEndpoints => problem(
                StatusCode::CONFLICT,
                "too-many-endpoints",
                "An account has samples of at most 500 endpoints",
            ),
            Self::Database(error) => database_problem(error),
        }
    }
}
