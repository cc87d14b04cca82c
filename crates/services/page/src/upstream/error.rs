//! Why a source did not give its fragment.

use std::time::Duration;

use reqwest::StatusCode;

use crate::fragment::FragmentError;
use crate::tag::NotATag;

/// The reason, in words that follow its name: "metrics did not answer within 900 ms".
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Nobody listens.
    #[error("cannot be reached")]
    Unreachable,
    /// The deadline passed.
    #[error("did not answer within {} ms", deadline.as_millis())]
    TooSlow {
        /// How long was waited.
        deadline: Duration,
    },
    /// A deadline passed a moment ago, and it is not called since.
    #[error("is not called for the moment: it did not answer within {} ms", deadline.as_millis())]
    BackingOff {
        /// How long was waited then.
        deadline: Duration,
    },
    /// Too many requests wait for it already.
    #[error("is busy: {waiting} requests of ours wait for it already")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Its turn did not come in time.
    #[error("is busy with {concurrency} requests of ours; the turn of this one did not come within {} ms", within.as_millis())]
    NoTurn {
        /// How many are under way.
        concurrency: usize,
        /// How long was waited.
        within: Duration,
    },
    /// The connection broke while the answer came.
    #[error("did not finish its answer")]
    Broken,
    /// The answer's status is none of those agreed on.
    #[error("answered {status}")]
    Unexpected {
        /// What it was.
        status: StatusCode,
    },
    /// The answer is longer than is read.
    #[error("answered more than {limit} bytes")]
    TooLarge {
        /// Where reading stopped.
        limit: usize,
    },
    /// The answer was not understood.
    #[error("was not understood")]
    Nonsense(#[from] FragmentError),
}

impl From<NotATag> for UpstreamError {
    fn from(error: NotATag) -> Self {
        Self::Nonsense(error.into())
    }
}
