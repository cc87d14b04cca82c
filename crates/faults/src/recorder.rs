//! Where everything that happens is written down, by all who make it happen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::ReadError;
use crate::history::{Arm, Attempt, Birth, Mutation, Outage, Replica, Response, Round};

/// The round that is under way.
#[derive(Debug, Default)]
pub struct Recorder {
    round: Mutex<Round>,
    failures: Mutex<Vec<(Replica, ReadError)>>,
    serial: AtomicU64,
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

    /// Takes note of a database that began.
    pub fn born(&self, birth: Birth) {
        self.round().births.push(birth);
    }

    /// Takes note of what was broken.
    pub fn broke(&self, outage: Outage) {
        self.round().outages.push(outage);
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

/// Counts the lives of the processes that answer: odd while one is being killed or started.
#[derive(Debug, Default)]
pub struct Lives {
    pages: [AtomicU64; 2],
    naive: AtomicU64,
}

impl Lives {
    /// Its count of now.
    pub fn of(&self, replica: Replica) -> u64 {
        self.counter(replica).load(Ordering::SeqCst)
    }

    /// A life begins to end, or the next one has begun.
    pub fn turn(&self, replica: Replica) {
        self.counter(replica).fetch_add(1, Ordering::SeqCst);
    }

    /// The life in which something happened between two looks; none if it may have been another.
    pub fn between(before: u64, after: u64) -> Option<u64> {
        (before == after && before.is_multiple_of(2)).then_some(before)
    }

    fn counter(&self, replica: Replica) -> &AtomicU64 {
        match replica.arm {
            Arm::Page => &self.pages[replica.index],
            Arm::Naive => &self.naive,
        }
    }
}
