//! What is asked, and when: decided before anything is sent, from a seed alone.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use stack::{Random, random};

use stack::Source;

/// What happens in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How long the turn is.
    pub lasting: Duration,
    /// What is asked in it, in order.
    pub arrivals: Vec<Arrival>,
}

/// One request, of whoever has this place among a strategy's accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, from the start of the turn.
    pub at: Duration,
    /// Which of the accounts, from 0.
    pub account: u32,
    /// What.
    pub what: What,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The page.
    Read,
    /// A change of what this source says of the account.
    Write(Source),
}

/// Makes the plans of a run, one turn after the other.
#[derive(Debug)]
pub struct Planner {
    /// Whose page was read, read after read, as somebody recorded it; gone through again and again.
    popularity: Arc<[u32]>,
    next_read: usize,
    next_source: usize,
    reads_per_write: f64,
    random: Random,
}

impl Planner {
    /// Plans by a recorded order of reads, with one write to so many reads on average; infinitely many are no writes.
    ///
    /// # Panics
    /// If the record is empty.
    pub fn new(seed: u64, popularity: Arc<[u32]>, reads_per_write: f64) -> Self {
        assert!(!popularity.is_empty(), "somebody must be read");
        let mut random = random(seed, 0);
        Self {
            next_read: random.random_range(0..popularity.len()),
            next_source: 0,
            popularity,
            reads_per_write,
            random,
        }
    }

    /// The next turn: arrivals that know nothing of each other, as those of many readers do, `rate` per second on average.
    pub fn turn(&mut self, rate: f64, lasting: Duration) -> Plan {
        let mut arrivals = Vec::new();
        let mut at = self.wait(rate);
        while at < lasting.as_secs_f64() {
            arrivals.push(self.arrival(Duration::from_secs_f64(at)));
            at += self.wait(rate);
        }
        Plan { lasting, arrivals }
    }

    /// The time until the next of events that happen `per_second` on average, in seconds: exponentially distributed.
    fn wait(&mut self, per_second: f64) -> f64 {
        -(1.0 - self.random.random::<f64>()).ln() / per_second
    }

    fn arrival(&mut self, at: Duration) -> Arrival {
        let of_all = self.random.random::<f64>();
        let (account, what) = if of_all * (1.0 + self.reads_per_write) < 1.0 {
            let drawn = self.random.random_range(0..self.popularity.len());
            (self.popularity[drawn], What::Write(self.source()))
        } else {
            (self.read(), What::Read)
        };
        Arrival { at, account, what }
    }

    fn read(&mut self) -> u32 {
        let account = self.popularity[self.next_read];
        self.next_read = (self.next_read + 1) % self.popularity.len();
        account
    }

    fn source(&mut self) -> Source {
        let source = Source::ALL[self.next_source];
        self.next_source = (self.next_source + 1) % Source::ALL.len();
        source
    }
}

impl Plan {
    /// How many reads there are.
    pub fn reads(&self) -> usize {
        self.arrivals
            .iter()
            .filter(|arrival| arrival.what == What::Read)
            .count()
    }

    /// How many arrivals the fullest second of it has.
    pub fn busiest_second(&self) -> usize {
        let seconds = self
            .arrivals
            .chunk_by(|one, next| one.at.as_secs() == next.at.as_secs());
        seconds.map(<[Arrival]>::len).max().unwrap_or_default()
    }

    /// How many writes there are.
    pub fn writes(&self) -> usize {
        self.arrivals.len() - self.reads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_secs(100);

    fn planner(seed: u64, reads_per_write: f64) -> Planner {
        Planner::new(seed, Arc::new([0, 0, 0, 1, 2]), reads_per_write)
    }

    #[test]
    fn a_seed_is_one_plan_and_no_other_and_turns_differ() {
        let mut one = planner(1, 61.0);
        let turn = one.turn(100.0, TURN);
        assert_eq!(turn, planner(1, 61.0).turn(100.0, TURN));
        assert_ne!(turn, planner(2, 61.0).turn(100.0, TURN));
        assert_ne!(turn, one.turn(100.0, TURN));
    }

    #[test]
    fn arrivals_come_at_the_rate_in_order_and_in_bunches() {
        let plan = planner(1, 61.0).turn(100.0, TURN);
        assert!((9_700..10_300).contains(&plan.arrivals.len()));
        assert!(plan.arrivals.is_sorted_by_key(|arrival| arrival.at));
        assert!(plan.arrivals.iter().all(|arrival| arrival.at < TURN));
        let gaps = plan
            .arrivals
            .windows(2)
            .map(|pair| pair[1].at.saturating_sub(pair[0].at));
        let short = gaps.filter(|gap| *gap < Duration::from_millis(1)).count();
        assert!(
            (800..1_100).contains(&short),
            "one in ten follows within 1 ms: {short}"
        );
    }

    #[test]
    fn the_busiest_second_is_the_fullest_one_and_none_of_nothing() {
        let at = |ms| Arrival {
            at: Duration::from_millis(ms),
            account: 0,
            what: What::Read,
        };
        let plan = |times: &[u64]| Plan {
            lasting: TURN,
            arrivals: times.iter().copied().map(at).collect(),
        };
        assert_eq!(plan(&[0, 999, 1000, 1500, 1999, 3000]).busiest_second(), 3);
        assert_eq!(plan(&[]).busiest_second(), 0);
    }

    #[test]
    fn reads_follow_the_record_and_writes_do_not_move_it() {
        let plan = planner(3, 2.0).turn(100.0, TURN);
        let read = plan.arrivals.iter().filter(|arrival| arrival.what == What::Read);
        let read: Vec<_> = read.map(|arrival| arrival.account).collect();
        let start = (0..5).find(|start| (0..5).all(|step| read[step] == [0, 0, 0, 1, 2][(start + step) % 5]));
        let start = start.expect("the record is gone through from some place");
        let expected = (0..read.len()).map(|step| [0, 0, 0, 1, 2][(start + step) % 5]);
        assert_eq!(read, expected.collect::<Vec<_>>());
    }

    #[test]
    fn writes_are_as_many_as_told_take_sources_in_turn_and_favour_who_is_read() {
        let plan = planner(3, 4.0).turn(100.0, TURN);
        assert!((1_900..2_100).contains(&plan.writes()), "{}", plan.writes());
        let written = plan.arrivals.iter().filter_map(|arrival| match arrival.what {
            What::Write(source) => Some((source, arrival.account)),
            What::Read => None,
        });
        let written: Vec<_> = written.collect();
        for round in written.chunks_exact(Source::ALL.len()) {
            assert!(
                round.iter().map(|(source, _)| *source).eq(Source::ALL),
                "{round:?}"
            );
        }
        let first = written.iter().filter(|(_, account)| *account == 0).count();
        assert!((1_100..1_300).contains(&first), "three of five: {first}");
        assert_eq!(planner(3, f64::INFINITY).turn(100.0, TURN).writes(), 0);
        assert_eq!(planner(3, 0.0).turn(100.0, TURN).reads(), 0);
    }
}
