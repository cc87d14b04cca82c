//! What is counted of each strategy while it is read.

use std::time::{Duration, Instant};

use super::compared::{READS_FOR_P99, Row};
use super::reader::Answer;
use crate::measure::latency::Latency;
use crate::web::Scrape;
use stack::sources::Revision;

/// The promise: a page that is not marked reflects every change that is older than this.
const BOUND: Duration = Duration::from_secs(1);

/// The strategy that asks sources also when nobody reads.
const REFRESHES: &str = "prepopulate";

/// Changes, and when each was acknowledged; revisions ascend.
#[derive(Debug, Default)]
pub(super) struct Acknowledged(Vec<(Revision, Instant)>);

impl Acknowledged {
    pub(super) fn note(&mut self, revision: Revision, at: Instant) {
        self.0.push((revision, at));
    }

    /// For how long the oldest change that an answer lacks had been acknowledged when the answer was asked for.
    fn missed(&self, answer: &Answer) -> Option<Duration> {
        let lacks = |revision: Revision| answer.account.is_none_or(|shown| shown < revision);
        let (_, at) = self.0.iter().find(|(revision, _)| lacks(*revision))?;
        // One that was acknowledged later says nothing of this answer, and neither does any after it.
        answer.asked.checked_duration_since(*at)
    }
}

/// The counts of one strategy.
#[derive(Debug)]
pub(super) struct Tally {
    strategy: &'static str,
    latency: Latency,
    hits: u64,
    requests: u64,
    failures: u64,
    marked: u64,
    stale: u64,
    oldest: Duration,
}

impl Tally {
    pub(super) fn new(strategy: &'static str) -> Self {
        Self {
            strategy,
            latency: Latency::new(),
            hits: 0,
            requests: 0,
            failures: 0,
            marked: 0,
            stale: 0,
            oldest: Duration::ZERO,
        }
    }

    pub(super) fn strategy(&self) -> &'static str {
        self.strategy
    }

    /// Counts an answer, held against what had been acknowledged when it was asked for.
    pub(super) fn note(&mut self, answer: &Answer, acknowledged: &Acknowledged) {
        self.latency.record(answer.took);
        self.hits += u64::from(answer.hit);
        self.requests += answer.requests;
        self.failures += answer.failures;
        if answer.marked {
            self.marked += 1;
        } else if let Some(missed) = acknowledged.missed(answer).filter(|missed| *missed > BOUND) {
            self.stale += 1;
            self.oldest = self.oldest.max(missed);
        }
    }

    /// What came of it, with what the page had counted before and after.
    pub(super) fn row(&self, (before, after): (&Scrape, &Scrape)) -> Row {
        let reads = self.latency.count();
        let (requests, at_least) = self.requests_to_sources(before, after);
        Row {
            strategy: self.strategy.to_owned(),
            reads,
            p50_ms: self.latency.quantile_ms(0.5),
            p99_ms: (reads >= READS_FOR_P99).then(|| self.latency.quantile_ms(0.99)),
            hits_percent: percent(self.hits, reads),
            requests_per_100_reads: percent(requests, reads),
            at_least,
            marked: self.marked,
            stale: self.stale,
            oldest_stale_s: (self.stale > 0).then_some(self.oldest.as_secs_f64()),
        }
    }

    /// How many requests its reads cost the sources, and whether it may have been more.
    ///
    /// The answers name them, each its own, so that others who read meanwhile (the lab's own page does) are not counted.
    /// Only a refresh by an event has no answer that would name it. It is in the page's counter, which does not tell
    /// accounts apart: it is believed if the page has counted no reads of that strategy but ours. (A page that was
    /// read so before may be refreshed once more at most.)
    fn requests_to_sources(&self, before: &Scrape, after: &Scrape) -> (u64, bool) {
        if self.strategy != REFRESHES {
            return (self.requests, self.failures > 0);
        }
        let counted = |scrape: &Scrape| scrape.worth.get(self.strategy).copied().unwrap_or_default();
        let (before, after) = (counted(before), counted(after));
        if whole(after.reads - before.reads) == self.latency.count() {
            (whole(after.fetches - before.fetches), false)
        } else {
            (self.requests, true)
        }
    }
}

/// A count as the page writes it; nothing below zero, which is where a page that was started again meanwhile would lead.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of reads are far below 2^53"
)]
fn whole(count: f64) -> u64 {
    count.max(0.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds of reads")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    100.0 * part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The account was renamed to revision 2 at once, and to revision 3 after ten seconds.
    struct Past {
        began: Instant,
        acknowledged: Acknowledged,
    }

    impl Past {
        fn new() -> Self {
            let began = Instant::now();
            let mut acknowledged = Acknowledged::default();
            acknowledged.note(2, began);
            acknowledged.note(3, began + Duration::from_secs(10));
            Self { began, acknowledged }
        }

        fn answer(&self, shown: Option<Revision>, asked_ms: u64) -> Answer {
            Answer {
                asked: self.began + Duration::from_millis(asked_ms),
                took: Duration::from_millis(1),
                account: shown,
                hit: true,
                marked: false,
                requests: 0,
                failures: 0,
            }
        }

        /// How many of the answers are stale, and for how many milliseconds at most.
        fn stale(&self, answers: &[Answer]) -> (u64, u128) {
            let mut tally = Tally::new("ttl");
            for answer in answers {
                tally.note(answer, &self.acknowledged);
            }
            (tally.stale, tally.oldest.as_millis())
        }
    }

    #[test]
    fn what_lacks_a_change_is_stale_after_a_second_and_not_before() {
        let past = Past::new();
        assert_eq!(past.stale(&[past.answer(Some(2), 10_999)]), (0, 0));
        assert_eq!(past.stale(&[past.answer(Some(2), 11_000)]), (0, 0));
        assert_eq!(past.stale(&[past.answer(Some(2), 11_001)]), (1, 1_001));
    }

    #[test]
    fn its_age_is_that_of_the_oldest_change_that_it_lacks() {
        let past = Past::new();
        let answers = [
            past.answer(Some(1), 12_000),
            past.answer(Some(2), 12_500),
            past.answer(Some(3), 99_000),
        ];
        assert_eq!(past.stale(&answers), (2, 12_000));
        // A page without the account lacks everything.
        assert_eq!(past.stale(&[past.answer(None, 1_500)]), (1, 1_500));
    }

    #[test]
    fn a_change_that_was_acknowledged_after_the_question_says_nothing() {
        let past = Past::new();
        assert_eq!(past.stale(&[past.answer(Some(2), 9_999)]), (0, 0));
        assert_eq!(past.stale(&[past.answer(Some(3), 9_999)]), (0, 0));
    }

    #[test]
    fn what_says_so_itself_is_counted_as_marked_however_old_it_is() {
        let past = Past::new();
        let mut tally = Tally::new("invalidate");
        let mut answer = past.answer(Some(1), 99_000);
        answer.marked = true;
        tally.note(&answer, &past.acknowledged);
        assert_eq!((tally.stale, tally.marked), (0, 1));
    }

    fn counted(strategy: &str, reads: u32, fetches: u32) -> Scrape {
        Scrape::read(&format!(
            "page_reads_total{{outcome=\"hit\",strategy=\"{strategy}\"}} {reads}\n\
             page_fetches_total{{result=\"all\",strategy=\"{strategy}\"}} {fetches}\n"
        ))
    }

    /// Requests per 100 reads of one read that named three, and whether it may have been more.
    fn requests(strategy: &'static str, failures: u64, before: &Scrape, after: &Scrape) -> (f64, bool) {
        let past = Past::new();
        let mut tally = Tally::new(strategy);
        let answer = Answer {
            requests: 3,
            failures,
            ..past.answer(Some(3), 0)
        };
        tally.note(&answer, &past.acknowledged);
        let row = tally.row((before, after));
        (row.requests_per_100_reads, row.at_least)
    }

    #[test]
    fn the_answers_name_the_requests_whoever_else_reads() {
        let (before, after) = (counted("none", 10, 30), counted("none", 90, 270));
        assert_eq!(requests("none", 0, &before, &after), (300.0, false));
        assert_eq!(requests("none", 1, &before, &after), (300.0, true));
    }

    #[test]
    fn refreshes_are_in_the_counter_and_it_is_believed_if_nobody_else_read() {
        let before = counted("prepopulate", 10, 30);
        let ours = counted("prepopulate", 11, 35);
        assert_eq!(requests("prepopulate", 0, &before, &ours), (500.0, false));
        let others_too = counted("prepopulate", 12, 35);
        assert_eq!(requests("prepopulate", 0, &before, &others_too), (300.0, true));
        let started_again = counted("prepopulate", 1, 3);
        assert_eq!(requests("prepopulate", 0, &before, &started_again), (300.0, true));
    }

    #[test]
    fn a_p99_of_few_reads_is_not_told() {
        let past = Past::new();
        let mut tally = Tally::new("none");
        let none = Scrape::default();
        for reads in 1..=READS_FOR_P99 {
            tally.note(&past.answer(Some(3), 0), &past.acknowledged);
            let told = tally.row((&none, &none)).p99_ms.is_some();
            assert_eq!(told, reads == READS_FOR_P99, "{reads} reads");
        }
    }
}
