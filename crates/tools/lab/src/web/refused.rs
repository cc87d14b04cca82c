//! Why something was not done to the stack, in words and as a status.

use axum::http::StatusCode;
use http_edge::Problem;
use stack::sources::Failure;

/// Why a control was not performed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("there is no control called {0}")]
    NoSuchControl(String),
    #[error("{0} wants ?{1}=")]
    Missing(String, &'static str),
    #[error("there is no part called {0}")]
    NoSuchPart(String),
    #[error("{0}")]
    NotNow(String),
    #[error("{0}")]
    NotPossible(String),
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::NoSuchControl(_) => StatusCode::NOT_FOUND,
            Refused::Missing(..) => StatusCode::BAD_REQUEST,
            Refused::NoSuchPart(_) | Refused::NotPossible(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::NotNow(_) => StatusCode::CONFLICT,
            Refused::Failed(_) => StatusCode::BAD_GATEWAY,
        };
        Self::from_status(status).with_detail(refused.to_string())
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref::<Failure>() {
            Some(failure) if failure.declined() => Self::NotPossible(failure.to_string()),
            _ => Self::Failed(error),
        }
    }
}
