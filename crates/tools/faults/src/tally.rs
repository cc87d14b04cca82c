//! Counts of what was answered, the same for both subjects.

use std::time::Duration;

use stack::{Asked, Mark, PROMISE, ReadError};

use crate::check::{Lag, ROUNDING, overdue};
use crate::client::NOT_CACHED;
use crate::history::{Outcome, Response, Stall};

/// Into how many classes answers fall by how far they are behind.
const LAGS: usize = 6;

/// What one subject answered.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Not marked, from the cache.
    pub hits: usize,
    /// Not marked, after requests to the sources.
    pub forwarded: usize,
    /// Of all that waited: for another reader's requests.
    pub collapsed: usize,
    /// Marked: some fragment is the last one known.
    pub stale: usize,
    /// Marked: some fragment is missing, and none stale.
    pub partial: usize,
    /// Marked: behind the token that was asked with, and nothing else.
    pub behind: usize,
    /// Of all those: "there is no such account".
    pub absent: usize,
    /// Not counted above: "not in memory", to readers who wanted no other page.
    pub not_cached: usize,
    /// What readers preferred, and what they got for it.
    pub preferred: Preferred,
    /// Refused with 503 or another error.
    pub refused: usize,
    /// Nobody listened, the connection broke, or nothing came.
    pub unanswered: usize,
    /// The requests to sources that readers waited for; of several readers of one answer only the first counts.
    pub asked: [usize; 3],
    /// How old the unmarked answers were by their `Fresh-As-Of` when they were asked for: here and below, those of readers who accept
    /// no age.
    pub ages: Spread,
    /// The oldest hit of those.
    pub oldest_hit: Duration,
    /// The oldest that waited.
    pub oldest_forwarded: Duration,
    /// The oldest marked one.
    pub oldest_marked: Duration,
    /// The unmarked answers by how far they were behind in truth; see [`Tally::LAG_NAMES`].
    pub lags: [usize; LAGS],
    /// The unmarked answer that was furthest behind.
    pub furthest: Option<(Lag, Response)>,
}

/// The answers to readers who said how long they wait, or how old the page may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preferred {
    /// To readers with a wait.
    pub waits: usize,
    /// Of these: those that say that they came in time.
    pub applied: usize,
    /// Of all answers: those with a fragment that did not arrive within the wait, the reader's or the page's default.
    pub timed_out: usize,
    /// To readers with a wait of their own, by how much they took longer.
    pub overdue: Spread,
    /// The longest of these.
    pub most_overdue: Duration,
    /// To readers who accept an age.
    pub ages: usize,
    /// Of these: from the cache, not marked, and older than others may be.
    pub older: usize,
    /// The oldest of these.
    pub oldest: Duration,
    /// How far behind in truth one of these was at most.
    pub furthest_behind: Duration,
    /// Pages from memory, to readers who wanted no other.
    pub from_memory: usize,
}

/// Durations by size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    counts: [usize; 6],
}

impl Spread {
    const BOUNDS_MS: [u64; 5] = [50, 100, 250, 500, 1_001];
    /// The names of the classes.
    pub const NAMES: [&'static str; 6] = ["≤ 50 ms", "≤ 100 ms", "≤ 250 ms", "≤ 500 ms", "≤ 1 s", "> 1 s"];

    fn add(&mut self, duration: Duration) {
        self.counts[class(duration, &Self::BOUNDS_MS)] += 1;
    }

    /// How many durations fell into each class.
    pub const fn counts(&self) -> &[usize; 6] {
        &self.counts
    }
}

impl Tally {
    /// The names of the classes of [`Tally::lags`].
    pub const LAG_NAMES: [&'static str; LAGS] = [
        "lacks nothing",
        "≤ 1 s",
        "1 to 2 s",
        "2 to 5 s",
        "5 to 10 s",
        "> 10 s",
    ];
    const LAG_BOUNDS_MS: [u64; 5] = [0, 1_001, 2_000, 5_000, 10_000];

    /// Counts an answer.
    pub fn answered(&mut self, response: &Response, lag: &Lag) {
        self.absent += usize::from(response.status == 404);
        if response.outcome == (Outcome::Forwarded { collapsed: true }) {
            self.collapsed += 1;
        } else {
            self.ask(response.asked);
        }
        let marked = |mark| response.marks.values().any(|known| *known == mark);
        if response.unmarked() {
            self.unmarked(response, lag);
        } else {
            let age = response.fresh_as_of.map(|date| response.sent_at.since(date));
            self.oldest_marked = self.oldest_marked.max(age.unwrap_or_default());
            if marked(Mark::Stale) {
                self.stale += 1;
            } else if marked(Mark::Missing) {
                self.partial += 1;
            } else {
                self.behind += 1;
            }
        }
    }

    /// Counts a read that brought no page.
    pub fn failed(&mut self, error: &ReadError) {
        match error {
            error if *error == NOT_CACHED => self.not_cached += 1,
            ReadError::Refused(_) | ReadError::Nonsense(_) => self.refused += 1,
            ReadError::Unanswered(_) => self.unanswered += 1,
        }
    }

    /// All answers that were pages, or said that there is none.
    pub const fn answers(&self) -> usize {
        self.hits + self.forwarded + self.stale + self.partial + self.behind
    }

    /// The unmarked answers that lacked what had been acknowledged more than a second before they were asked for.
    pub fn stale_unmarked(&self) -> usize {
        self.lags[2..].iter().sum()
    }

    /// Counts what an answer was for a reader with preferences.
    pub fn preferred(&mut self, response: &Response, stalls: &[Stall]) {
        let (preferences, counts) = (response.preferences, &mut self.preferred);
        counts.timed_out += usize::from(response.timed_out && response.outcome != Outcome::Hit);
        counts.ages += usize::from(preferences.max_age.is_some());
        counts.from_memory += usize::from(preferences.only_if_cached);
        if let Some(wait) = preferences.wait {
            counts.waits += 1;
            counts.applied += usize::from(response.wait_applied);
            let overdue = overdue(response, wait, stalls);
            counts.overdue.add(overdue);
            counts.most_overdue = counts.most_overdue.max(overdue);
        }
    }

    fn unmarked(&mut self, response: &Response, lag: &Lag) {
        let oldest = match response.outcome {
            Outcome::Hit => {
                self.hits += 1;
                &mut self.oldest_hit
            }
            Outcome::Forwarded { .. } => {
                self.forwarded += 1;
                &mut self.oldest_forwarded
            }
        };
        if response.accepted_by_age() {
            self.preferred.by_age(response, lag);
            return;
        }
        if let Some(date) = response.fresh_as_of {
            let age = response.sent_at.since(date);
            *oldest = (*oldest).max(age);
            self.ages.add(age);
        }
        self.lags[class(lag.behind, &Self::LAG_BOUNDS_MS)] += 1;
        let furthest = self
            .furthest
            .as_ref()
            .map_or(Duration::ZERO, |(lag, _)| lag.behind);
        if lag.behind > furthest {
            self.furthest = Some((*lag, *response));
        }
    }

    fn ask(&mut self, asked: Asked) {
        let Asked {
            new,
            not_modified,
            failed,
        } = asked;
        for (sum, count) in self.asked.iter_mut().zip([new, not_modified, failed]) {
            *sum += usize::from(count);
        }
    }
}

impl Preferred {
    /// Counts an unmarked answer from the cache.
    fn by_age(&mut self, response: &Response, lag: &Lag) {
        let age = response.fresh_as_of.map(|date| response.sent_at.since(date));
        let age = age.unwrap_or_default();
        if age > PROMISE + ROUNDING {
            self.older += 1;
            self.oldest = self.oldest.max(age);
            self.furthest_behind = self.furthest_behind.max(lag.behind);
        }
    }
}

/// The class of the first bound that is not exceeded; the last one if all are.
fn class(duration: Duration, bounds_ms: &[u64]) -> usize {
    let class = bounds_ms
        .iter()
        .position(|bound| duration <= Duration::from_millis(*bound));
    class.unwrap_or(bounds_ms.len())
}
