//! All strategies on the same load, in turns that rotate from round to round.
//!
//! Whatever happens on the machine meanwhile thus meets all of them, and the rounds show how much of a difference is chance.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::arm::{self, Arm};
use crate::config::{CompareConfig, LoadConfig, MixName};
use crate::generator::Limits;
use crate::plan::{Plan, Planner};
use crate::results::{Kind, Results, Setup};
use crate::session::Session;
use crate::workload::{Mix, Popularity};

/// Which pages are asked for, and how many reads come to one write.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whose popularity of pages is used.
    pub popularity: Popularity,
    /// Reads to each write.
    pub reads_per_write: f64,
    /// The same, in words.
    pub mix: String,
}

impl Load {
    /// Reads what was recorded.
    pub fn read(config: &LoadConfig, traces: &Path) -> Result<Self> {
        let popularity = match config.accounts {
            1 => Popularity::of_one_page(),
            pages => Popularity::read(traces, pages.into())?,
        };
        let (reads_per_write, mix) = match config.mix {
            MixName::Lobsters => {
                let counted = Mix::read(traces)?;
                (counted.reads_per_write(), counted.describe())
            }
            MixName::WriteHeavy => (1.0, "1 read to 1 write, as in YCSB's workload A".to_owned()),
            MixName::Number(number) => (number, format!("{number} reads to 1 write, as requested")),
        };
        Ok(Self {
            popularity,
            reads_per_write,
            mix,
        })
    }

    /// One plan per round, the same for all whose turns it has.
    pub fn plans(&self, seed: u64, rate: f64, lasting: Duration, rounds: u32) -> Vec<Plan> {
        let mut planner = Planner::new(seed, self.popularity.order(), self.reads_per_write);
        (0..rounds).map(|_| planner.turn(rate, lasting)).collect()
    }

    /// Fills in what it says of the setup of a run.
    pub fn setup(&self, config: &LoadConfig, setup: Setup) -> Setup {
        Setup {
            seed: config.seed,
            accounts: self.popularity.pages(),
            popularity: self.popularity.describe(),
            mix: self.mix.clone(),
            reads_per_write: self.reads_per_write,
            ..setup
        }
    }
}

/// Runs it in an open session.
pub async fn compare(config: &CompareConfig, load: &Load, session: &mut Session) -> Result<Results> {
    let mut arms = arm::open(
        session,
        &config.run.strategies,
        load.popularity.pages(),
        !config.quick,
    )
    .await?;
    let too_fast = session.warn_if_too_fast(config.rate).await?;
    let lasting = Duration::from_secs_f64(config.turn_seconds);
    let limits = Limits::all(&config.run);
    let count = u32::try_from(arms.len()).unwrap_or(u32::MAX);
    session
        .progress
        .wait("comparing", lasting * config.rounds * count);
    let plans = load.plans(config.load.seed, config.rate, lasting, config.rounds);
    for (round, plan) in plans.into_iter().enumerate() {
        for place in 0..arms.len() {
            let arms_count = arms.len();
            let arm = &mut arms[(round + place) % arms_count];
            let step = format!("round {} of {}, {}", round + 1, config.rounds, arm.strategy);
            let progress = session.progress.clone();
            let turn = arm.turn(session, &plan, limits);
            progress.during(&step, lasting, turn).await?;
        }
    }
    let strategies = arms.into_iter().map(Arm::results).collect();
    let mut setup = setup(config, load, session);
    setup.notes.extend(too_fast);
    Ok(session.results(Kind::Compare, setup, strategies))
}

fn setup(config: &CompareConfig, load: &Load, session: &Session) -> Setup {
    let mut notes = vec![
        "Each strategy has its own accounts, made alike. Nobody uses them while the other strategies have their turns, but time passes: \
         a TTL runs on, and the windows of metrics move.",
        "Every page was read once before the first round.",
    ];
    if !config.quick {
        notes.push(
            "After each turn, without other load, changes are made and looked for: for at most 1 s each, and no more after two in a row \
             that were not seen.",
        );
    }
    Setup {
        rate_per_second: config.rate,
        rounds: config.rounds,
        turn_seconds: config.turn_seconds,
        ..load.setup(&config.load, session.setup(&config.run, notes))
    }
}
