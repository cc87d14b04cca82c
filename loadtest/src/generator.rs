//! Asks what a plan says, when it says so, whatever became of what was asked before.
//!
//! The load is open: a stalled server gets no fewer requests, and each is timed from the moment it was *due*. So a stall
//! counts for everyone whom it would have kept waiting, not only for who happened to be asking when it began.

mod pace;
mod tally;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stack::Source;
use stack::sources::Change;
use tokio::task::JoinSet;

use crate::client::{self, Account, Client};
use crate::config::RunConfig;
use crate::oracle::Oracle;
use crate::plan::{Arrival, Plan, What};
use crate::strategy::Strategy;

pub use tally::{ReadOutcome, Tally};

/// Whom the load is meant for; copies are the same.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who asks.
    pub client: Client,
    /// How the page is to answer; none for as it likes.
    pub strategy: Option<Strategy>,
    /// Whose pages are read and changed, by the places that a plan speaks of.
    pub accounts: Arc<[Account]>,
    /// Learns of every change, and judges every answer.
    pub oracle: Arc<Oracle>,
    /// How many changes there were: no two say the same.
    changes: Arc<AtomicU64>,
}

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

impl Target {
    /// A target of which nothing is known yet.
    pub fn new(client: Client, strategy: Option<Strategy>, accounts: Vec<Account>) -> Self {
        Self {
            client,
            strategy,
            accounts: accounts.into(),
            oracle: Arc::default(),
            changes: Arc::default(),
        }
    }

    /// The same accounts, read by a strategy: what was written is known to both.
    pub fn read_by(&self, strategy: Strategy) -> Self {
        Self {
            strategy: Some(strategy),
            ..self.clone()
        }
    }

    /// The next change of an account at a source.
    pub fn next_change(&self, source: Source, account: &Account) -> Change {
        client::change(source, account, self.changes.fetch_add(1, Ordering::Relaxed))
    }
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
            let reason = format!("not sent: {} in flight", limits.in_flight);
            turn.tally(|tally| tally.failed(arrival, reason));
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
        let answer = self.target.client.read(account.id, self.target.strategy).await;
        let read = answer.map_err(|failure| failure.to_string()).and_then(|answer| {
            let judgement = self
                .target
                .oracle
                .judge(&answer)
                .map_err(|other| other.to_string())?;
            Ok(ReadOutcome {
                latency: answer.ended.duration_since(self.began + arrival.at),
                budget: self.limits.budget,
                answer,
                judgement,
            })
        });
        self.tally(|tally| match read {
            Ok(read) => tally.answered(arrival, &read),
            Err(reason) => tally.failed(arrival, reason),
        });
    }

    async fn write(&self, arrival: Arrival, source: Source, account: &Account) {
        let change = self.target.next_change(source, account);
        let acknowledged = self.target.client.change(&change).await;
        let learned = acknowledged
            .map_err(|failure| failure.to_string())
            .and_then(|change| {
                self.target
                    .oracle
                    .learn(&change)
                    .map_err(|other| other.to_string())
            });
        self.tally(|tally| match learned {
            Ok(()) => tally.written(),
            Err(reason) => tally.failed(arrival, reason),
        });
    }

    fn tally<T>(&self, note: impl FnOnce(&mut Tally) -> T) -> T {
        note(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
