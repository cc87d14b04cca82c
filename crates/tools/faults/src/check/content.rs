//! What an answer shows: this version's content and no other's, no deleted account, no less than was demanded.

use std::collections::HashSet;

use stack::{Incarnation, Mark, Source};

use super::{Exercised, Rule, Violation, describe, violation};
use crate::history::{Response, What};
use crate::oracle::{Evidence, Oracle};

/// The fragments whose content is not what the mutation wrote that made their version.
pub(super) fn wrong(oracle: &Oracle, response: &Response, exercised: &mut Exercised) -> Vec<Violation> {
    let mut found = Vec::new();
    for (source, fragment) in response.shown() {
        let Some(mutation) = oracle.mutation(source, response.account, fragment.version) else {
            continue;
        };
        let right = match mutation.what {
            What::Deleted => response.status == 404,
            what if what.shows_its_serial() => fragment.serial == Some(mutation.serial),
            _ => continue,
        };
        exercised.contents += 1;
        // A page that is not there shows no endpoints; what it says of accounts is that there is none.
        if !right && (response.status == 200 || source == Source::Accounts) {
            found.push(violation(Rule::WrongContent, response, [mutation.to_string()]));
        }
    }
    found
}

/// An account whose deletion all replicas had applied, and that is shown.
pub(super) fn resurrected(
    gone: &HashSet<(u64, Incarnation)>,
    response: &Response,
    exercised: &mut Exercised,
) -> Option<Violation> {
    let fragment = response.fragments[Source::Accounts]?;
    if !gone.contains(&(response.account, fragment.version.incarnation)) {
        return None;
    }
    exercised.deleted += 1;
    (response.status == 200).then(|| violation(Rule::Resurrected, response, []))
}

/// An answer that shows less than was demanded of a source, and does not mark that source's fragment (rule 13).
pub(super) fn short_of_token(
    oracle: &Oracle,
    response: &Response,
    exercised: &mut Exercised,
) -> Option<Violation> {
    let (source, demanded) = response.demanded?;
    let fragment = response.fragments[source]?;
    exercised.tokens += 1;
    let rank = |version| oracle.rank(source, response.account, version, response.received_at);
    let (shown, due) = (rank(fragment.version)?, rank(demanded)?);
    if shown >= due || response.mark(source) != Mark::None {
        return None;
    }
    let mutation = oracle.mutation(source, response.account, demanded);
    let told = mutation.map(|mutation| describe(&Evidence::Mutation(mutation), source));
    Some(violation(Rule::ShortOfToken, response, told))
}
