//! How far behind an answer really was, whatever it says: the one measure that fits both subjects.

use std::time::Duration;

use super::date::{ROUNDING, oldest};
use super::{Rule, Violation, violation};
use crate::history::{Mutation, Response, Subject};
use crate::oracle::Oracle;

/// How long the content of an answer had been overtaken when the answer was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lag {
    /// Zero if it lacked nothing.
    pub behind: Duration,
    /// Of what it lacked, what had been acknowledged first.
    pub lacks: Option<Mutation>,
}

pub(super) fn of(oracle: &Oracle, response: &Response) -> Lag {
    let lags = response.shown().filter_map(|(source, fragment)| {
        let shown = oracle.rank(source, response.account, fragment.version, response.received_at)?;
        let (at, mutation) = oracle.overtaken(source, response.account, shown)?;
        (at < response.sent_at).then(|| Lag {
            behind: response.sent_at.since(at),
            lacks: Some(mutation),
        })
    });
    lags.max_by_key(|lag| lag.behind).unwrap_or_default()
}

/// Follows from I3, and says it as a reader would.
pub(super) fn stale_unmarked(lag: &Lag, response: &Response) -> Option<Violation> {
    let limit = oldest(response) + ROUNDING;
    let stale = response.replica.subject == Subject::Page && response.unmarked() && lag.behind > limit;
    let told = || {
        let lacks = lag.lacks.map(|mutation| format!("lacks {mutation}"));
        let behind = format!("{:.6} s behind when it was asked for", lag.behind.as_secs_f64());
        lacks.into_iter().chain([behind]).collect::<Vec<_>>()
    };
    stale.then(|| violation(Rule::StaleUnmarked, response, told()))
}
