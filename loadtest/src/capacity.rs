//! The highest rate of reads that each strategy holds: searched, in trials of a few seconds each.
//!
//! The strategies take turns, a trial each, so that whatever happens on the machine meanwhile meets all of them.

mod search;
mod trial;

use std::time::Duration;

use anyhow::Result;

use crate::arm::{self, Arm};
use crate::compare::Load;
use crate::config::CapacityConfig;
use crate::generator::{Limits, drive};
use crate::plan::Planner;
use crate::results::{Kind, Results, Setup, Trial};
use crate::scrape::own_cpu_time;
use crate::session::Session;

use search::Search;

/// At the rate of the trial, before it counts: connections are opened, tasks find their threads.
const WARM_UP: Duration = Duration::from_secs(1);
/// Between two trials.
const REST: Duration = Duration::from_millis(300);
/// Doublings and halvings that a search takes, about: for the progress alone.
const USUAL_TRIALS: u32 = 11;

/// Runs it in an open session.
pub async fn capacity(config: &CapacityConfig, load: &Load, session: &mut Session) -> Result<Results> {
    let arms = arm::open(session, &config.run.strategies, load.popularity.pages(), true).await?;
    let mut searches: Vec<_> = arms.iter().map(|_| Search::new(config.from, config.to)).collect();
    let one = WARM_UP + Duration::from_secs_f64(config.trial_seconds);
    let all = one * USUAL_TRIALS * u32::try_from(arms.len()).unwrap_or(u32::MAX);
    session.progress.wait("searching the limits", all);
    let mut trials = Trials {
        planner: Planner::new(config.load.seed, load.popularity.order(), load.reads_per_write),
        lasting: Duration::from_secs_f64(config.trial_seconds),
        reads_per_write: load.reads_per_write,
        limits: Limits::all(&config.run),
    };
    while searches.iter().any(|search| search.next().is_some()) {
        for (arm, search) in arms.iter().zip(&mut searches) {
            if let Some(rate) = search.next() {
                search.note(trials.run(arm, rate, session).await?);
            }
        }
    }
    let found = arms.iter().zip(searches);
    let found = found.map(|(arm, search)| search.found(arm.strategy)).collect();
    let mut results = session.results(Kind::Capacity, setup(config, load, session), Vec::new());
    results.capacity = found;
    Ok(results)
}

/// What all trials have in common.
struct Trials {
    planner: Planner,
    lasting: Duration,
    reads_per_write: f64,
    limits: Limits,
}

impl Trials {
    /// One trial, and whether a miss was the generator's own.
    async fn run(
        &mut self,
        arm: &Arm,
        reads_per_second: f64,
        session: &mut Session,
    ) -> Result<(Trial, bool)> {
        // Arrivals are reads and writes together.
        let rate = reads_per_second * (1.0 + 1.0 / self.reads_per_write);
        let warm_up = self.planner.turn(rate, WARM_UP);
        let plan = self.planner.turn(rate, self.lasting);
        let step = format!("{}, {reads_per_second:.0} reads per second", arm.strategy);
        let work = async {
            drive(arm.target(), &warm_up, self.limits).await;
            let before = own_cpu_time();
            let tally = drive(arm.target(), &plan, self.limits).await;
            let cpu = own_cpu_time().zip(before);
            (tally, cpu.map(|(after, before)| after.saturating_sub(before)))
        };
        let progress = session.progress.clone();
        let (tally, cpu) = progress.during(&step, WARM_UP + self.lasting, work).await;
        session.check_alive(&session.scraper.snapshot().await)?;
        let trial = trial::judge(reads_per_second, &plan, &tally, cpu, self.limits.budget);
        tokio::time::sleep(REST).await;
        if !trial.0.held {
            // What was left behind must not be met by who comes next.
            session.stack.settle(arm.last_account()).await?;
        }
        Ok(trial)
    }
}

fn setup(config: &CapacityConfig, load: &Load, session: &Session) -> Setup {
    let notes = [
        format!(
            "A rate is held if 99 of 100 answers come within {} ms of the time when they were due, at most 0.1 % of the reads fail, \
             and at least 97 % are answered by the end. The rate doubles until it is missed; then the search halves the range to within \
             10 %. A narrow miss is tried once more.",
            config.run.budget_ms
        ),
        format!(
            "Each trial takes {} s after a warm-up of {} s; the strategies take turns. Rates are of reads; writes come on top.",
            config.trial_seconds,
            WARM_UP.as_secs()
        ),
        "The generator shares the machine with the stack. Where it used up its one processor, or where its requests left late by more \
         than half of the measured latency, the generator was the limit, and the strategy may hold more."
            .to_owned(),
    ];
    Setup {
        turn_seconds: config.trial_seconds,
        ..load.setup(&config.load, session.setup(&config.run, notes))
    }
}
