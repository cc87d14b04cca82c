//! Where everything that happens is written down, by all who make it happen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stack::{Incarnation, Moment, PerSource, ReadError, Source};

use crate::history::{Attempt, Birth, Mutation, Origin, Outage, Replica, Response, Round, Stall, Subject};

/// The round that is under way.
#[derive(Debug, Default)]
pub struct Recorder {
    round: Mutex<Round>,
    failures: Mutex<Vec<(Replica, ReadError)>>,
    serial: AtomicU64,
    histories: Mutex<PerSource<Histories>>,
}

/// What a source has said of its histories.
#[derive(Debug, Default)]
struct Histories {
    incarnations: Vec<Incarnation>,
    /// The source's database is a new one: the next incarnation that it names is that of the new one.
    empty: bool,
}

impl Recorder {
    /// A number that was not given before.
    pub fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes note of an answer.
    pub fn answered(&self, response: Response) {
        self.round().responses.push(response);
    }

    /// Takes note of a read that brought no page.
    pub fn failed(&self, replica: Replica, failure: ReadError) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((replica, failure));
    }

    /// Takes note of a mutation that was acknowledged.
    pub fn mutated(&self, mutation: Mutation) {
        self.round().mutations.push(mutation);
    }

    /// Takes note of a mutation whose answer did not come.
    pub fn attempted(&self, attempt: Attempt) {
        self.round().attempts.push(attempt);
    }

    /// Takes note of a history that began with a copy put back; it has the incarnation of an earlier one.
    pub fn restored(&self, birth: Birth) {
        self.round().births.push(birth);
    }

    /// Takes note that a source's database was deleted, and that it does not run.
    pub fn deleted(&self, source: Source) {
        self.histories()[source].empty = true;
    }

    /// Takes note of the incarnation that a source names now. The first one is that of an empty database. Every later one was drawn
    /// by the source itself, unless the database was deleted.
    pub fn named(&self, source: Source, incarnation: Incarnation) {
        let mut histories = self.histories();
        let histories = &mut histories[source];
        if histories.incarnations.contains(&incarnation) {
            return;
        }
        let empty = histories.incarnations.is_empty() || std::mem::take(&mut histories.empty);
        let now = Moment::now();
        self.round().births.push(Birth {
            source,
            incarnation,
            origin: if empty { Origin::Empty } else { Origin::Renewed },
            from: now,
            known_at: now,
        });
        histories.incarnations.push(incarnation);
    }

    fn histories(&self) -> MutexGuard<'_, PerSource<Histories>> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what was broken.
    pub fn broke(&self, outage: Outage) {
        self.round().outages.push(outage);
    }

    /// Takes note of a replica that answered nothing for a while.
    pub fn stalled(&self, stall: Stall) {
        self.round().stalls.push(stall);
    }

    /// For the writes to a second publisher: its numbers are nobody else's.
    pub fn of_a_twin() -> Self {
        // Far from those of a run, and of the twins before.
        let begin = Moment::now().0;
        Self {
            serial: AtomicU64::new(begin),
            ..Self::default()
        }
    }

    /// Takes note of what became of the writes to a second publisher.
    pub fn second_publisher(&self, twin: &Self) {
        let (written, _) = twin.take();
        let mut round = self.round();
        round.twins.acknowledged.extend(written.mutations);
        round.twins.refused += written.twins.refused_first;
    }

    /// Takes note that a source refused a write because another publisher is alive.
    pub fn refused(&self) {
        self.round().twins.refused_first += 1;
    }

    /// Takes note that a source refused everything, until it was started again.
    pub fn replaced(&self) {
        self.round().twins.replaced += 1;
    }

    /// Ends the round: what it brought, and the reads that failed in it.
    pub fn take(&self) -> (Round, Vec<(Replica, ReadError)>) {
        let failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        (std::mem::take(&mut *self.round()), failures)
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the runs of the processes that answer: odd while one is being killed or started.
#[derive(Debug, Default)]
pub struct ProcessRuns {
    pages: [AtomicU64; 2],
    naive: AtomicU64,
}

impl ProcessRuns {
    /// Its count of now.
    pub fn of(&self, replica: Replica) -> u64 {
        self.counter(replica).load(Ordering::SeqCst)
    }

    /// A run begins to end, or the next one has begun.
    pub fn turn(&self, replica: Replica) {
        self.counter(replica).fetch_add(1, Ordering::SeqCst);
    }

    /// The run in which something happened between two looks; none if it may have been another.
    pub fn between(before: u64, after: u64) -> Option<u64> {
        (before == after && before.is_multiple_of(2)).then_some(before)
    }

    fn counter(&self, replica: Replica) -> &AtomicU64 {
        match replica.subject {
            Subject::Page => &self.pages[replica.index],
            Subject::Naive => &self.naive,
        }
    }
}
