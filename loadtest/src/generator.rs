//! Asks what a plan says, when it says so, whatever became of what was asked before.
//!
//! The load is open: a stalled server gets no fewer requests, and each is timed from the moment it was *due*. So a stall
//! counts for everyone whom it would have kept waiting, not only for who happened to be asking when it began.

mod pace;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stack::Source;
use tokio::task::JoinSet;

use crate::client::{Account, Failure};
use crate::config::RunConfig;
use crate::plan::{Arrival, Plan, What};
use crate::target::Target;

pub use tally::{ReadOutcome, Tally};

/// What bounds a turn.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Below which an answer is within the budget.
    pub budget: Duration,
    /// How many requests may be under way; what would be beyond is not sent, and counts as failed.
    pub in_flight: usize,
}

impl Limits {
    /// As many requests as the page takes before it refuses.
    pub fn all(config: &RunConfig) -> Self {
        Self {
            budget: config.budget(),
            in_flight: 1000,
        }
    }
}

/// The share of its one processor that the generator can use before requests leave late.
const USABLE: f64 = 0.7;

/// What to say before a run whose rate is above what the generator can send, at this CPU time per request.
pub fn too_fast(rate: f64, cost: Duration) -> Option<String> {
    let most = USABLE / cost.as_secs_f64();
    (rate > most).then(|| {
        format!(
            "{rate:.0} requests per second are more than this generator can send on time: each takes {} µs of CPU time, so expect at \
             most {most:.0} per second, and an undecided verdict.",
            cost.as_micros()
        )
    })
}

/// Does all that a plan says, and waits for the last answer. Dropped, it lets go of everything under way.
///
/// # Panics
/// If the plan speaks of an account that the target does not have.
pub async fn drive(target: &Target, plan: &Plan, limits: Limits) -> Tally {
    let mut due = pace::start(plan.arrivals.iter().map(|arrival| arrival.at).collect());
    let turn = Arc::new(Turn {
        target: target.clone(),
        limits,
        began: due.began,
        tally: Mutex::new(Tally::new(plan.lasting)),
    });
    let mut under_way = JoinSet::new();
    while let Some(index) = due.next.recv().await {
        while under_way.try_join_next().is_some() {}
        let arrival = plan.arrivals[index];
        if under_way.len() < limits.in_flight {
            under_way.spawn(Arc::clone(&turn).send(arrival));
        } else {
            let not_sent = Failure::Other(format!("not sent: {} in flight", limits.in_flight));
            turn.tally(|tally| tally.failed(arrival, &not_sent));
        }
    }
    while under_way.join_next().await.is_some() {}
    // A turn without an arrival at its end is as long as any.
    tokio::time::sleep_until((due.began + plan.lasting).into()).await;
    turn.tally(|tally| {
        tally.took = due.began.elapsed().max(plan.lasting);
        std::mem::replace(tally, Tally::new(plan.lasting))
    })
}

/// What the requests of a turn share.
#[derive(Debug)]
struct Turn {
    target: Target,
    limits: Limits,
    began: Instant,
    tally: Mutex<Tally>,
}

impl Turn {
    async fn send(self: Arc<Self>, arrival: Arrival) {
        let late = (self.began + arrival.at).elapsed();
        self.tally(|tally| tally.sent(late));
        let account = &self.target.accounts[arrival.account as usize];
        match arrival.what {
            What::Read => self.read(arrival, account).await,
            What::Write(source) => self.write(arrival, source, account).await,
        }
    }

    async fn read(&self, arrival: Arrival, account: &Account) {
        let read = async {
            let answer = self.target.client.read(account.id, self.target.reading).await?;
            Ok::<_, Failure>(ReadOutcome {
                latency: answer.ended.duration_since(self.began + arrival.at),
                budget: self.limits.budget,
                reading: self.target.reading,
                judgement: self.target.oracle.judge(&answer)?,
                answer,
            })
        };
        let read = read.await;
        self.tally(|tally| match read {
            Ok(read) => tally.answered(arrival, &read),
            Err(failure) => tally.failed(arrival, &failure),
        });
    }

    async fn write(&self, arrival: Arrival, source: Source, account: &Account) {
        let written = self.target.write(source, account).await;
        self.tally(|tally| match written {
            Ok(_) => tally.written(),
            Err(failure) => tally.failed(arrival, &failure),
        });
    }

    fn tally<T>(&self, note: impl FnOnce(&mut Tally) -> T) -> T {
        note(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_too_fast_above_what_the_generator_has_time_for() {
        let cost = Duration::from_micros(700);
        assert_eq!(too_fast(999.0, cost), None);
        let warning = too_fast(1001.0, cost).unwrap();
        assert!(
            warning.contains("1001 requests") && warning.contains("at most 1000 per second"),
            "{warning}"
        );
    }
}
