//! What a run found, for people to read.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Exercised, Rule, Violation};
use crate::history::{Subject, Twins};
use crate::schedule::{Kind, Schedule};
use crate::tally::Tally;

/// How many violations of a rule are told in full: those that follow are mostly the same again.
const TOLD: usize = 5;

/// Everything that a run found so far.
#[derive(Debug, Default)]
pub struct Report {
    page: Tally,
    naive: Tally,
    /// How many rounds were finished.
    pub rounds: u32,
    /// How many faults there were of each kind.
    pub kinds: BTreeMap<Kind, usize>,
    /// How many mutations were acknowledged.
    pub mutations: usize,
    /// How many were neither acknowledged nor refused.
    pub attempts: usize,
    /// What became of writes where a source had two publishers.
    pub twins: Twins,
    /// How much there was to check.
    pub exercised: Exercised,
    /// How long each replica took in each round until all its pages were right.
    pub convergences: Vec<Duration>,
    /// How many looks found a page of the control wrong, when those under test were right; and how many were taken.
    pub naive_wrong: (usize, usize),
    /// How many pages of the control were still wrong at the end.
    pub naive_wrong_at_the_end: usize,
    /// What the pages under test broke, each with the schedule of its round; a few of each rule.
    told: Vec<String>,
    /// How often each rule was broken, by whom.
    pub broken: BTreeMap<(Subject, Rule), usize>,
}

/// What one round brought.
#[derive(Debug, Default)]
pub struct RoundReport {
    /// How many answers.
    pub responses: usize,
    /// How many acknowledged mutations.
    pub mutations: usize,
    /// How long each replica took to become right.
    pub took: Vec<Duration>,
    /// How many pages of the control were wrong then.
    pub naive_wrong: usize,
    /// Of how many.
    pub pages: usize,
    /// What was broken.
    pub violations: Vec<Violation>,
}

/// What a run comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The pages kept every promise under faults that made the control break them.
    Kept,
    /// The pages broke a promise.
    Broken,
    /// Not even the control was wrong: the faults prove nothing.
    TooGentle,
}

impl Verdict {
    /// As the program's exit status.
    pub const fn code(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Broken => 1,
            // Not 2: that is a wrong call.
            Self::TooGentle => 3,
        }
    }
}

impl Report {
    /// The counts of one subject.
    pub const fn tally(&mut self, subject: Subject) -> &mut Tally {
        match subject {
            Subject::Page => &mut self.page,
            Subject::Naive => &mut self.naive,
        }
    }

    /// Takes in what second publishers did in a round.
    pub fn second_publishers(&mut self, twins: Twins) {
        self.twins.acknowledged.extend(twins.acknowledged);
        self.twins.refused += twins.refused;
        self.twins.refused_first += twins.refused_first;
        self.twins.replaced += twins.replaced;
    }

    /// Says what a round is about to do.
    pub fn begin(&self, round: u32, schedule: &Schedule) {
        println!("round {round}");
        for fault in &schedule.faults {
            println!("  {fault}");
        }
    }

    /// Takes in what a round brought, and says it.
    pub fn end(&mut self, round: u32, schedule: &Schedule, outcome: RoundReport) {
        println!("{}", text::round(&outcome));
        self.rounds += 1;
        self.mutations += outcome.mutations;
        for fault in &schedule.faults {
            *self.kinds.entry(fault.kind).or_default() += 1;
        }
        self.convergences.extend(outcome.took);
        self.naive_wrong.0 += outcome.naive_wrong;
        self.naive_wrong.1 += outcome.pages;
        for violation in outcome.violations {
            let count = self
                .broken
                .entry((violation.subject, violation.rule))
                .or_default();
            *count += 1;
            if violation.subject == Subject::Page && *count <= TOLD {
                let told = text::violation(round, schedule, &violation);
                println!("{told}");
                self.told.push(told);
            }
        }
    }

    /// What it all comes down to.
    pub fn verdict(&self) -> Verdict {
        if self.violations() > 0 {
            Verdict::Broken
        } else if self.naive.stale_unmarked() == 0 {
            Verdict::TooGentle
        } else {
            Verdict::Kept
        }
    }

    /// How often the pages under test broke a promise.
    pub fn violations(&self) -> usize {
        let pages = self
            .broken
            .iter()
            .filter(|((subject, _), _)| *subject == Subject::Page);
        pages.map(|(_, count)| count).sum()
    }
}
