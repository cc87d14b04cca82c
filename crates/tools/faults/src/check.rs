//! The invariants, as a function of what was remembered: no network, no clock, no chance.

mod content;
mod date;
mod lag;
mod liveness;
mod order;
mod preferences;

use std::collections::HashSet;
use std::fmt;

pub(crate) use date::ROUNDING;
pub use lag::Lag;
pub use preferences::overdue;

use stack::{Incarnation, Source};

use crate::history::{Response, Round, Subject};
use crate::oracle::{Evidence, Oracle};

/// What is promised, and can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A fragment does not reflect a mutation that was acknowledged before `Fresh-As-Of` (I3).
    Incomplete,
    /// An answer that is not marked is older than a page may be, or than its reader accepts (I3).
    TooOld,
    /// `Fresh-As-Of` is later than the receipt of the answer.
    FromTheFuture,
    /// An answer that is not marked lacks what was acknowledged long before it was asked for.
    StaleUnmarked,
    /// A replica showed an older version than it had shown before, and did not mark it (I2).
    BackInTime,
    /// An answer claims to be complete until a time at which nothing could be known of its source (I4).
    WithoutLiveness,
    /// An account was shown again after its deletion (I1).
    Resurrected,
    /// An answer shows a version with a content that is not this version's.
    WrongContent,
    /// A reader got its answer after its wait, although something was known of the page (rule 26).
    Late,
    /// An answer came within its reader's wait, and does not say so.
    WaitUnsaid,
    /// A reader who wanted the page from memory alone was kept waiting for a source.
    NotFromMemory,
    /// An answer falls short of the token it was asked with, and does not say so.
    ShortOfToken,
    /// An answer shows a version of a history that never was.
    UnknownDatabase,
    /// An answer shows what a second publisher wrote, whom nobody asks.
    AnotherPublisher,
    /// When all faults had ended, a page did not become equal to its sources' answers in time, from the cache if its strategy ever
    /// answers from there (I5).
    NotConverged,
    /// A source no longer has what it acknowledged.
    LostMutation,
    /// A process ended by itself.
    Died,
}

/// A promise that was broken, with all that is needed to understand how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// By whom.
    pub subject: Subject,
    /// The answers, mutations and faults it follows from, one per line.
    pub evidence: Vec<String>,
}

/// What a check of a round found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Everything that was broken, by either subject.
    pub violations: Vec<Violation>,
    /// How far each response was behind, in their order.
    pub lags: Vec<Lag>,
    /// How often each rule had something to say, so that a check that never bit is seen.
    pub exercised: Exercised,
}

/// How much there was to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exercised {
    /// Fragments that had to reflect a mutation or a reset.
    pub dated_fragments: usize,
    /// Fragments that came after an earlier answer with the same fragment.
    pub ordered_fragments: usize,
    /// Fragments shown while nothing could be known of their source.
    pub unproven_fragments: usize,
    /// Fragments whose content was compared with what had been written.
    pub contents: usize,
    /// Answers about accounts whose deletion all replicas had applied.
    pub deleted: usize,
    /// Answers to requests that demanded a version.
    pub tokens: usize,
    /// Answers that were due within their reader's wait.
    pub waits: usize,
    /// Unmarked answers older than 1 s that their reader's max-age allowed.
    pub aged: usize,
}

impl Exercised {
    /// Adds what another round had to check.
    pub const fn add(&mut self, other: &Self) {
        self.dated_fragments += other.dated_fragments;
        self.ordered_fragments += other.ordered_fragments;
        self.unproven_fragments += other.unproven_fragments;
        self.contents += other.contents;
        self.deleted += other.deleted;
        self.tokens += other.tokens;
        self.waits += other.waits;
        self.aged += other.aged;
    }
}

/// Checks one round after the other.
#[derive(Debug, Default)]
pub struct Checker {
    oracle: Oracle,
    order: order::Order,
    known: preferences::KnownPages,
    gone: HashSet<(u64, Incarnation)>,
}

impl Checker {
    /// Checks everything that a round brought. Rounds come in their order.
    pub fn check(&mut self, round: &Round) -> Findings {
        self.oracle.learn(round);
        if let Some(incarnation) = Oracle::put_back(round, Source::Accounts) {
            let deleted: HashSet<_> = self.oracle.deleted().collect();
            self.gone
                .retain(|gone| gone.1 != incarnation || deleted.contains(gone));
        }
        let mut findings = Findings::default();
        for mutation in self.oracle.unranked(round) {
            let evidence = vec![mutation.to_string()];
            findings.violations.push(Violation {
                rule: Rule::UnknownDatabase,
                subject: Subject::Page,
                evidence,
            });
        }
        self.known.learn(round);
        for response in &round.responses {
            self.check_response(response, round, &mut findings);
        }
        self.order.check(&self.oracle, &round.responses, &mut findings);
        findings
    }

    /// Takes note that all replicas have applied everything that was announced: what was deleted until now stays deleted.
    pub fn converged(&mut self) {
        self.gone.extend(self.oracle.announced_deletions());
    }

    /// What was acknowledged so far.
    pub const fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    fn check_response(&self, response: &Response, round: &Round, findings: &mut Findings) {
        let (oracle, exercised) = (&self.oracle, &mut findings.exercised);
        let mut found = Vec::new();
        for (source, fragment) in response.shown() {
            if oracle
                .rank(source, response.account, fragment.version, response.received_at)
                .is_none()
            {
                found.push(violation(Rule::UnknownDatabase, response, []));
            }
            if let Some(mutation) = oracle.by_a_twin(source, response.account, fragment.version) {
                found.push(violation(
                    Rule::AnotherPublisher,
                    response,
                    [mutation.to_string()],
                ));
            }
        }
        found.extend(date::incomplete(oracle, response, exercised));
        found.extend(date::absent(oracle, round, response, exercised));
        found.extend(date::out_of_range(response, exercised));
        found.extend(liveness::without(response, &round.outages, exercised));
        found.extend(content::wrong(oracle, response, exercised));
        found.extend(content::resurrected(&self.gone, response, exercised));
        found.extend(content::short_of_token(oracle, response, exercised));
        found.extend(self.known.late(response, &round.stalls, exercised));
        found.extend(preferences::unsaid(response));
        found.extend(preferences::not_from_memory(response));
        let lag = lag::of(oracle, response);
        found.extend(lag::stale_unmarked(&lag, response));
        findings.lags.push(lag);
        findings.violations.extend(found);
    }
}

/// A violation by this response, with what else it follows from.
fn violation(rule: Rule, response: &Response, more: impl IntoIterator<Item = String>) -> Violation {
    let evidence = std::iter::once(response.to_string()).chain(more).collect();
    Violation {
        rule,
        subject: response.replica.subject,
        evidence,
    }
}

fn describe(evidence: &Evidence, source: Source) -> String {
    match evidence {
        Evidence::Mutation(mutation) => mutation.to_string(),
        Evidence::Birth(incarnation, at) => {
            format!("the history {incarnation} of {source} had begun by {at}")
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Incomplete => "I3: lacks what was acknowledged before its Fresh-As-Of",
            Self::TooOld => "I3: not marked, and older than a page may be",
            Self::FromTheFuture => "I3: Fresh-As-Of is in the future",
            Self::StaleUnmarked => "stale, and not marked",
            Self::BackInTime => "I2: went back in time",
            Self::WithoutLiveness => "I4: trusted without evidence of life",
            Self::Resurrected => "I1: shown again after its deletion",
            Self::WrongContent => "shows another version's content",
            Self::Late => "26: answered after its reader's wait",
            Self::WaitUnsaid => "26: answered within its reader's wait, and does not say so",
            Self::NotFromMemory => "only-if-cached, and yet a source was asked",
            Self::ShortOfToken => "falls short of the demanded version, and does not say so",
            Self::UnknownDatabase => "shows a database that never was",
            Self::AnotherPublisher => "shows what a second publisher wrote",
            Self::NotConverged => "I5: did not become right when the faults had ended",
            Self::LostMutation => "an acknowledged mutation is lost",
            Self::Died => "a process ended by itself",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.rule)?;
        for line in &self.evidence {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
