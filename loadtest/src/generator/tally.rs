//! What became of the requests of a turn, or of several.

use std::time::Duration;

use stack::{Asked, Outcome};

use crate::client::{Answer, Failure, Reading};
use crate::histogram::{Durations, micros};
use crate::oracle::{Judgement, STALE_AFTER};
use crate::plan::{Arrival, What};
use crate::probe::Probed;
use crate::results::{Distribution, Numbers, Second, Work};

/// Counts and times of one strategy's requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How long it took, from the first moment to the last answer; at least as long as was planned.
    pub took: Duration,
    /// What is counted. Times are in the histograms.
    counts: Numbers,
    /// Requests to the sources that the answers name, and of these, those that failed.
    named: u64,
    named_failed: u64,
    latency: Durations,
    waited: Durations,
    beyond_wait: Durations,
    age: Durations,
    marked_age: Durations,
    behind: Durations,
    late: Durations,
    visible: Durations,
    seconds: Vec<OneSecond>,
}

/// An answer, how it was found to be, and how long it took.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    /// The answer.
    pub answer: Answer,
    /// How it compares with what was acknowledged before.
    pub judgement: Judgement,
    /// From the moment it was due.
    pub latency: Duration,
    /// Below which that is within the budget.
    pub budget: Duration,
    /// What its reader asked for.
    pub reading: Reading,
}

#[derive(Clone, Debug, Default)]
struct OneSecond {
    /// In microseconds; few enough to be kept one by one.
    latencies: Vec<u64>,
    hits: u64,
    behind: u64,
    stale: u64,
}

impl Tally {
    /// Of a turn of this length.
    pub(super) fn new(lasting: Duration) -> Self {
        let seconds = usize::try_from(lasting.as_millis().div_ceil(1000)).unwrap_or_default();
        Self {
            took: lasting,
            seconds: vec![OneSecond::default(); seconds],
            ..Self::default()
        }
    }

    /// A request went out, so much after it was due.
    pub(super) fn sent(&mut self, late: Duration) {
        self.late.record(late);
    }

    /// A read was answered.
    pub(crate) fn answered(&mut self, arrival: Arrival, read: &ReadOutcome) {
        let (answer, judgement, counts) = (&read.answer, read.judgement, &mut self.counts);
        // What says of itself that it is stale deceives nobody.
        let behind = judgement.behind.filter(|_| !answer.marked);
        let accepted = read
            .reading
            .preferences
            .max_age
            .unwrap_or_default()
            .max(STALE_AFTER);
        let is_stale = behind > Some(accepted);
        counts.reads += 1;
        counts.within_budget += u64::from(read.latency < read.budget);
        *counts
            .outcomes
            .entry(answer.outcome.name().to_owned())
            .or_default() += 1;
        counts.collapsed += u64::from(answer.collapsed);
        counts.marked += u64::from(answer.marked);
        counts.behind += u64::from(behind.is_some());
        counts.stale += u64::from(is_stale);
        counts.mismatches += u64::from(judgement.mismatch);
        let asked_for_an_age = read.reading.preferences.max_age.is_some() && !answer.marked;
        counts.too_old += u64::from(asked_for_an_age && answer.age_when_sent > accepted);
        self.age.record(answer.age);
        if answer.marked {
            self.marked_age.record(answer.age);
        }
        if let Some(wait) = read.reading.preferences.wait {
            let waited = answer.ended.duration_since(answer.sent);
            self.waited.record(waited);
            self.beyond_wait.record(waited.saturating_sub(wait));
        }
        let Asked {
            new,
            not_modified,
            failed,
        } = answer.requests;
        self.named += u64::from(new) + u64::from(not_modified) + u64::from(failed);
        self.named_failed += u64::from(failed);
        self.latency.record(read.latency);
        if let Some(behind) = behind {
            self.behind.record(behind);
        }
        let place = usize::try_from(arrival.at.as_secs()).unwrap_or(usize::MAX);
        if let Some(second) = self.seconds.get_mut(place) {
            second.latencies.push(micros(read.latency));
            second.hits += u64::from(answer.outcome == Outcome::Hit);
            second.behind += u64::from(behind.is_some());
            second.stale += u64::from(is_stale);
        }
    }

    /// A request brought nothing.
    pub(super) fn failed(&mut self, arrival: Arrival, failure: &Failure) {
        match arrival.what {
            What::Read => {
                self.counts.reads += 1;
                *self.counts.errors.entry(failure.to_string()).or_default() += 1;
            }
            What::Write(_) => self.counts.write_errors += 1,
        }
    }

    /// A change was acknowledged.
    pub(super) fn written(&mut self) {
        self.counts.writes += 1;
    }

    /// Notes what the services did for it.
    pub fn worked(&mut self, work: Work) {
        self.counts.work = work;
    }

    /// Notes what the search for changes after it found.
    pub fn probed(&mut self, probed: &Probed) {
        self.visible = probed.visible.clone();
        self.counts.probes = probed.probes;
        self.counts.never_visible = probed.never_visible;
        self.counts.mismatches += probed.mismatches;
    }

    /// Takes over what somebody else wrote.
    pub fn written_by(&mut self, writer: &Self) {
        self.counts.writes = writer.counts.writes;
        self.counts.write_errors = writer.counts.write_errors;
    }

    /// Adds another turn.
    pub fn add(&mut self, other: &Self) {
        self.took += other.took;
        self.counts.add(&other.counts);
        self.named += other.named;
        self.named_failed += other.named_failed;
        self.latency.add(&other.latency);
        self.waited.add(&other.waited);
        self.beyond_wait.add(&other.beyond_wait);
        self.age.add(&other.age);
        self.marked_age.add(&other.marked_age);
        self.behind.add(&other.behind);
        self.late.add(&other.late);
        self.visible.add(&other.visible);
        self.seconds.extend_from_slice(&other.seconds);
    }

    /// What it says of the results' numbers.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            seconds: self.took.as_secs_f64(),
            latency_us: self.latency.quantiles(),
            waited_us: self.waited.quantiles_if_any(),
            age_us: self.age.quantiles_if_any(),
            marked_age_us: self.marked_age.quantiles_if_any(),
            behind_us: self.behind.quantiles_if_any(),
            late_us: self.late.quantiles(),
            visible_us: self.visible.quantiles_if_any(),
            ..self.counts.clone()
        }
    }

    /// How many reads were answered.
    pub fn answers(&self) -> u64 {
        self.latency.count()
    }

    /// Requests to the sources that the answers name, and how many of them failed.
    pub const fn named_requests(&self) -> (u64, u64) {
        (self.named, self.named_failed)
    }

    /// All latencies.
    pub fn latency(&self) -> Distribution {
        self.latency.distribution()
    }

    /// How far readers waited beyond their wait.
    pub fn beyond_wait(&self) -> Distribution {
        self.beyond_wait.distribution()
    }

    /// How far behind those were that were behind.
    pub fn staleness(&self) -> Distribution {
        self.behind.distribution()
    }

    /// Its seconds, the first of which is the strategy's `from`th, in this round.
    pub fn seconds(&self, round: u32, from: u32) -> Vec<Second> {
        let numbered = (from..).zip(&self.seconds);
        numbered.map(|(second, of)| of.results(round, second)).collect()
    }
}

impl OneSecond {
    fn results(&self, round: u32, second: u32) -> Second {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let rank = (latencies.len() * 99).div_ceil(100);
        Second {
            round,
            second,
            answers: latencies.len() as u64,
            hits: self.hits,
            behind: self.behind,
            stale: self.stale,
            p99_us: latencies[..rank].last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use stack::{Moment, PerSource};

    use super::*;

    const BUDGET: Duration = Duration::from_millis(250);

    fn arrival(at_ms: u64) -> Arrival {
        Arrival {
            at: Duration::from_millis(at_ms),
            account: 0,
            what: What::Read,
        }
    }

    fn outcome(latency_ms: u64) -> ReadOutcome {
        let now = Instant::now();
        let answer = Answer {
            account: 7,
            sent: now,
            ended: now,
            versions: PerSource::default(),
            fresh_as_of: Moment::now(),
            age_when_sent: Duration::ZERO,
            age: Duration::ZERO,
            outcome: Outcome::Hit,
            collapsed: false,
            marked: false,
            requests: Asked::default(),
        };
        ReadOutcome {
            answer,
            judgement: Judgement::default(),
            latency: Duration::from_millis(latency_ms),
            budget: BUDGET,
            reading: Reading::default(),
        }
    }

    fn behind(ms: u64) -> Judgement {
        Judgement {
            behind: Some(Duration::from_millis(ms)),
            mismatch: false,
        }
    }

    #[test]
    fn stale_is_what_is_more_than_a_second_behind_and_says_nothing_of_it() {
        let mut tally = Tally::new(Duration::from_secs(1));
        for (ms, marked) in [(1000, false), (1001, false), (5000, true)] {
            let mut read = outcome(1);
            read.judgement = behind(ms);
            read.answer.marked = marked;
            tally.answered(arrival(0), &read);
        }
        let numbers = tally.numbers();
        assert_eq!((numbers.behind, numbers.stale, numbers.marked), (2, 1, 1));
        assert_eq!(numbers.behind_us.unwrap().count, 2);
        let second = tally.seconds(0, 0)[0];
        assert_eq!((second.behind, second.stale), (2, 1));
    }

    #[test]
    fn a_mismatch_is_one_marked_or_not() {
        let mut tally = Tally::new(Duration::from_secs(1));
        for marked in [true, false] {
            let mut read = outcome(1);
            read.judgement.mismatch = true;
            read.answer.marked = marked;
            tally.answered(arrival(0), &read);
        }
        assert_eq!(tally.numbers().mismatches, 2);
    }

    #[test]
    fn the_budget_is_an_upper_bound_that_is_not_met() {
        let mut tally = Tally::new(Duration::from_secs(1));
        tally.answered(arrival(0), &outcome(249));
        tally.answered(arrival(0), &outcome(250));
        assert_eq!(tally.numbers().within_budget, 1);
    }

    #[test]
    fn failed_reads_are_reads_and_failed_writes_are_not() {
        let mut tally = Tally::new(Duration::from_secs(1));
        tally.answered(arrival(0), &outcome(1));
        tally.failed(arrival(0), &Failure::Timeout);
        let write = Arrival {
            what: What::Write(stack::Source::Metrics),
            ..arrival(0)
        };
        tally.failed(write, &Failure::Timeout);
        tally.written();
        let numbers = tally.numbers();
        assert_eq!((numbers.reads, numbers.latency_us.count), (2, 1));
        assert_eq!(numbers.errors, [("timeout".to_owned(), 1)].into());
        assert_eq!((numbers.writes, numbers.write_errors), (1, 1));
    }

    #[test]
    fn seconds_are_those_that_the_reads_were_due_in() {
        let mut tally = Tally::new(Duration::from_millis(1500));
        for number in 1..=100 {
            tally.answered(arrival(999), &outcome(number));
        }
        tally.answered(arrival(1000), &outcome(7));
        let seconds = tally.seconds(3, 10);
        let told: Vec<_> = seconds
            .iter()
            .map(|second| (second.round, second.second, second.answers, second.p99_us))
            .collect();
        assert_eq!(told, [(3, 10, 100, 99_000), (3, 11, 1, 7000)]);
    }

    #[test]
    fn two_turns_together_are_what_they_are_one_by_one() {
        let turn = |ms: u64| {
            let mut tally = Tally::new(Duration::from_secs(1));
            tally.sent(Duration::from_micros(ms));
            tally.answered(arrival(0), &outcome(ms));
            tally.failed(arrival(0), &Failure::Status(503));
            tally.written();
            tally
        };
        let mut both = turn(10);
        both.add(&turn(300));
        let numbers = both.numbers();
        assert_eq!((numbers.reads, numbers.within_budget, numbers.writes), (4, 1, 2));
        assert_eq!(numbers.errors["503"], 2);
        assert_eq!(numbers.outcomes["hit"], 2);
        assert_eq!((numbers.latency_us.count, numbers.late_us.count), (2, 2));
        assert!((numbers.seconds - 2.0).abs() < 1e-9);
        assert_eq!(both.seconds(0, 0).len(), 2);
    }
}
