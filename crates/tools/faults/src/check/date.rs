//! I3: what `Fresh-As-Of` claims, and how old it may be.

use std::time::Duration;

use stack::{PROMISE, Source};

use super::{Exercised, Rule, describe, violation};
use crate::check::Violation;
use crate::history::{Outcome, Response, Round, What};
use crate::oracle::Oracle;

/// The date is rounded down to a millisecond.
pub(crate) const ROUNDING: Duration = Duration::from_millis(1);

/// How old an answer may be that is not marked, when its request goes out.
///
/// A hit is proven after that by evidence of the last second, or is as old as its reader accepts (rule 27). An answer that waited
/// for requests to the sources may have joined some that others sent up to a second earlier.
pub(super) fn oldest(response: &Response) -> Duration {
    match response.outcome {
        Outcome::Hit => response.preferences.max_age.unwrap_or_default().max(PROMISE),
        Outcome::Forwarded { .. } => PROMISE.saturating_mul(2),
    }
}

/// The fragments that lack what was acknowledged before the date; marked or not.
pub(super) fn incomplete(oracle: &Oracle, response: &Response, exercised: &mut Exercised) -> Vec<Violation> {
    let Some(date) = response.fresh_as_of else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (source, fragment) in response.shown() {
        let Some((due, evidence)) = oracle.due(source, response.account, date, response.received_at) else {
            continue;
        };
        exercised.dated_fragments += 1;
        let shown = oracle.rank(source, response.account, fragment.version, response.received_at);
        if shown.is_some_and(|shown| shown < due) {
            found.push(violation(
                Rule::Incomplete,
                response,
                [describe(&evidence, source)],
            ));
        }
    }
    found
}

/// A 404 that does not say of which version it is, about an account that nothing is known to have deleted.
pub(super) fn absent(
    oracle: &Oracle,
    round: &Round,
    response: &Response,
    exercised: &mut Exercised,
) -> Option<Violation> {
    let date = response.fresh_as_of?;
    if response.status != 404 || response.fragments[Source::Accounts].is_some() {
        return None;
    }
    exercised.dated_fragments += 1;
    let (_, evidence) = oracle.due(Source::Accounts, response.account, date, response.received_at)?;
    let crate::oracle::Evidence::Mutation(last) = evidence else {
        return None;
    };
    // There is none if the account went with its database, or was created after the copy that was put back.
    let (_, latest) = oracle.last(Source::Accounts, response.account)?;
    let deletions = [last, latest]
        .into_iter()
        .any(|mutation| mutation.what == What::Deleted);
    let attempted = round
        .attempts
        .iter()
        .any(|attempt| attempt.account == Some(response.account) && attempt.what == What::Deleted);
    (!deletions && !attempted).then(|| violation(Rule::Incomplete, response, [last.to_string()]))
}

/// Dates that are too old for an answer that is not marked, or not yet come.
pub(super) fn out_of_range(response: &Response, exercised: &mut Exercised) -> Option<Violation> {
    let date = response.fresh_as_of?;
    let age = response.sent_at.since(date);
    let told = || [format!("{:.6} s old when it was asked for", age.as_secs_f64())];
    if date > response.received_at {
        return Some(violation(Rule::FromTheFuture, response, []));
    }
    let aged = response.unmarked() && response.accepted_by_age() && age > PROMISE + ROUNDING;
    exercised.aged += usize::from(aged);
    let too_old = response.unmarked() && age > oldest(response) + ROUNDING;
    too_old.then(|| violation(Rule::TooOld, response, told()))
}
