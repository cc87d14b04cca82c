//! How long would you wait for the truth? One strategy, read by readers who wait longer and longer, and accept older and older pages.

use std::time::Duration;

use anyhow::Result;

use crate::arm::Arm;
use crate::client::Reading;
use crate::compare::Load;
use crate::config::{BudgetConfig, StackConfig};
use crate::generator::Limits;
use crate::results::{Injected, Kind, ReaderBudget, Results, Setup, StrategyResults};
use crate::session::Session;
use crate::target::Target;
use crate::warming;
use stack::{Preferences, Source};

/// What makes a source slow if nothing else is injected: twice the budget.
const SLOW_SOURCE: (Source, u64) = (Source::Metrics, 500);

/// The readers that take turns.
struct Readers {
    budget: ReaderBudget,
    arm: Arm,
}

impl ReaderBudget {
    /// Such as `wait 200 ms, 5 s old`.
    pub fn name(self) -> String {
        let wait = format!("wait {} ms", self.wait_ms);
        match self.max_age_seconds {
            0 => wait,
            seconds => format!("{wait}, {seconds} s old"),
        }
    }
}

/// The stack's settings, with a slow source added if none is injected. Nothing can be injected into a stack that is up.
pub fn stack(config: &BudgetConfig) -> StackConfig {
    let mut stack = config.stack.clone();
    if stack.inject.is_empty() && stack.page_url.is_none() {
        let (source, latency_ms) = SLOW_SOURCE;
        stack.inject.push(Injected {
            source: source.name().to_owned(),
            latency_ms,
        });
    }
    stack
}

/// Runs it in an open session.
pub async fn budget(config: &BudgetConfig, load: &Load, session: &mut Session) -> Result<Results> {
    let mut readers = open(config, load, session).await?;
    let too_fast = session.warn_if_too_fast(config.rate).await?;
    let lasting = Duration::from_secs_f64(config.turn_seconds);
    let limits = Limits::all(&config.run());
    let count = readers.len();
    let turns = u32::try_from(count).unwrap_or(u32::MAX) * config.rounds;
    session
        .progress
        .wait("reading with a wait and an age", lasting * turns);
    let plans = load.plans(config.seed, config.rate, lasting, config.rounds);
    for (round, plan) in plans.into_iter().enumerate() {
        for place in 0..count {
            let Readers { budget, arm } = &mut readers[turn_of(place, round, count)];
            let step = format!("round {} of {}, {}", round + 1, config.rounds, budget.name());
            let progress = session.progress.clone();
            let turn = arm.turn(session, &plan, limits);
            progress.during(&step, lasting, turn).await?;
        }
    }
    let strategies = readers.into_iter().map(Readers::results).collect();
    let mut setup = setup(config, load, session);
    setup.notes.extend(too_fast);
    Ok(session.results(Kind::Budget, setup, strategies))
}

/// Whose turn it is in a round: every second round goes backwards, so that what a turn sets off reaches another neighbour.
const fn turn_of(place: usize, round: usize, count: usize) -> usize {
    if round.is_multiple_of(2) {
        place
    } else {
        count - 1 - place
    }
}

/// Makes the accounts, which all readers share, and reads each page once.
async fn open(config: &BudgetConfig, load: &Load, session: &Session) -> Result<Vec<Readers>> {
    let strategy = config.strategy;
    let accounts = session.accounts(load.popularity.pages()).await?;
    let pages: Vec<_> = accounts.iter().map(|account| (strategy, account.id)).collect();
    let target = Target::new(session.client(), strategy.into(), accounts);
    let progress = &session.progress;
    progress.count("reading every page once", pages.len());
    let counted = |number| progress.counted(number);
    warming::read_each_once(&session.client(), pages, counted).await?;
    let readers = budgets(config).map(|budget| {
        let max_age = (budget.max_age_seconds > 0).then(|| Duration::from_secs(budget.max_age_seconds));
        let reading = Reading {
            preferences: Preferences {
                wait: Some(Duration::from_millis(budget.wait_ms)),
                max_age,
                ..Preferences::default()
            },
            ..strategy.into()
        };
        let arm = Arm::new(strategy, target.read_as(reading), None);
        Readers { budget, arm }
    });
    Ok(readers.collect())
}

/// Every wait with every age.
fn budgets(config: &BudgetConfig) -> impl Iterator<Item = ReaderBudget> {
    config.ages_s.iter().flat_map(|&max_age_seconds| {
        config.waits_ms.iter().map(move |&wait_ms| ReaderBudget {
            wait_ms,
            max_age_seconds,
        })
    })
}

impl Readers {
    fn results(self) -> StrategyResults {
        StrategyResults {
            strategy: self.budget.name(),
            reading: Some(self.budget),
            ..self.arm.results()
        }
    }
}

fn setup(config: &BudgetConfig, load: &Load, session: &Session) -> Setup {
    let notes = [
        format!(
            "The strategy is {}. All readers read the same accounts, in turns; the changes are the same in each turn.",
            config.strategy
        ),
        "Every page was read once before the first turn.".to_owned(),
        "Readers who accept an age send Cache-Control: max-age; all send Prefer: wait-ms. How long a reader waited is measured from its \
         request to the last byte of the answer; how old an answer is, from its Fresh-As-Of to that moment."
            .to_owned(),
    ];
    Setup {
        rate_per_second: config.rate,
        rounds: config.rounds,
        turn_seconds: config.turn_seconds,
        ..load.setup(&config.load(), session.setup(&config.run(), notes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_reader_has_one_turn_in_each_round() {
        for count in 1..=30 {
            for round in 0..3 {
                let mut turns: Vec<_> = (0..count).map(|place| turn_of(place, round, count)).collect();
                turns.sort_unstable();
                assert!(turns.into_iter().eq(0..count), "round {round} of {count}");
            }
        }
    }
}
