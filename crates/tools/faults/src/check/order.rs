//! I2: a page never goes back in time at one replica.

use std::collections::HashMap;

use stack::{Mark, Source, Window};

use super::{Findings, Rule, violation};
use crate::history::{Replica, Response};
use crate::oracle::{Oracle, Rank};

/// One fragment of one variant of one page, in one run of a replica.
type Line = (Replica, u64, u64, Window, Source);

/// The furthest that each line has shown in the rounds before.
#[derive(Debug, Default)]
pub(super) struct Order {
    furthest: HashMap<Line, (Rank, Response)>,
}

impl Order {
    /// Checks a round's answers against each other and against those of the rounds before, all of which were received before
    /// the first of these was asked for.
    pub(super) fn check(&mut self, oracle: &Oracle, responses: &[Response], findings: &mut Findings) {
        for (line, answers) in lines(oracle, responses) {
            let carried = self.furthest.get(&line);
            if let Some(furthest) = sweep(carried, answers, findings) {
                self.furthest.insert(line, furthest);
            }
        }
    }
}

/// Each answer with the rank it shows at most, and at least: two histories may share a version.
type Answers<'a> = Vec<(Rank, Rank, &'a Response)>;

/// What is marked may be old; and an answer in one of two runs belongs to no line.
fn lines<'a>(oracle: &Oracle, responses: &'a [Response]) -> HashMap<Line, Answers<'a>> {
    let mut lines: HashMap<Line, Answers<'a>> = HashMap::new();
    for response in responses {
        let Some(run) = response.run else { continue };
        for (source, fragment) in response.shown() {
            if response.mark(source) != Mark::None {
                continue;
            }
            let most = oracle.rank(source, response.account, fragment.version, response.received_at);
            let least = oracle.least_rank(source, response.account, fragment.version);
            if let Some((most, least)) = most.zip(least) {
                let key = (response.replica, run, response.account, response.window, source);
                lines.entry(key).or_default().push((most, least, response));
            }
        }
    }
    lines
}

/// Compares each answer with the furthest of those that were received before it was asked for; answers the furthest of all.
fn sweep(
    carried: Option<&(Rank, Response)>,
    answers: Answers<'_>,
    findings: &mut Findings,
) -> Option<(Rank, Response)> {
    let mut received = answers.clone();
    received.sort_by_key(|(_, _, response)| response.received_at);
    let mut sent = answers;
    sent.sort_by_key(|(_, _, response)| response.sent_at);
    let mut received = received.into_iter().peekable();
    let mut furthest = carried.copied();
    let advance = |furthest: &mut Option<(Rank, Response)>, rank: Rank, response: &Response| {
        if furthest.as_ref().is_none_or(|(far, _)| *far < rank) {
            *furthest = Some((rank, *response));
        }
    };
    for (most, _, response) in sent {
        while let Some((_, least, earlier)) =
            received.next_if(|(_, _, earlier)| earlier.received_at < response.sent_at)
        {
            advance(&mut furthest, least, earlier);
        }
        if let Some((far, earlier)) = &furthest {
            findings.exercised.ordered_fragments += 1;
            if most < *far {
                let told = [format!("before: {earlier}")];
                findings
                    .violations
                    .push(violation(Rule::BackInTime, response, told));
            }
        }
    }
    for (_, least, response) in received {
        advance(&mut furthest, least, response);
    }
    furthest
}
