//! A stack, its accounts, and what is noted about both: what every kind of run begins and ends with.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;

use crate::arm::Arm;
use crate::client::{Account, Client};
use crate::config::{self, StackConfig};
use crate::furnish::Furnisher;
use crate::generator::Target;
use crate::machine;
use crate::progress::Progress;
use crate::results::{FORMAT, Kind, Results, Setup, StrategyResults, Verdict};
use crate::scrape::Scraper;
use crate::stack::{Stack, StackOptions};
use crate::strategy::Strategy;
use crate::warming;

/// A stack that is ready to be measured.
#[derive(Debug)]
pub struct Session {
    /// The stack.
    pub stack: Stack,
    /// Looks at its services.
    pub scraper: Scraper,
    /// Says how far the run is.
    pub progress: Progress,
    /// What a reader of the results must know, beyond what the stack says; grows while the run goes on.
    pub notes: Vec<String>,
    client: Client,
    furnisher: Furnisher,
    ttl_seconds: u32,
    started: Timestamp,
    began: Instant,
}

impl Session {
    /// Finds or starts the stack.
    pub async fn open(config: &StackConfig, progress: Progress) -> Result<Self> {
        let (started, began) = (Timestamp::now(), Instant::now());
        progress.count("looking for the stack", 1);
        let options = StackOptions {
            ttl_seconds: config.ttl_seconds,
            inject: config.inject.clone(),
            ..StackOptions::default()
        };
        let stack = Stack::find(&config.which(), &options).await?;
        Ok(Self {
            scraper: Scraper::new(&stack)?,
            client: Client::new(stack.addresses.clone()),
            furnisher: Furnisher::new(&stack.addresses, &config.data)?,
            stack,
            progress,
            notes: Vec::new(),
            ttl_seconds: config.ttl_seconds,
            started,
            began,
        })
    }

    /// Makes, for each strategy, so many accounts of its own, alike for all, and one more to probe; reads each once.
    pub async fn arms(&self, strategies: &[Strategy], accounts: usize) -> Result<Vec<Arm>> {
        let mut strategies = strategies.to_vec();
        strategies.sort_unstable();
        strategies.dedup();
        let each = accounts + 1;
        self.progress.count("making accounts", each * strategies.len());
        let mut arms = Vec::with_capacity(strategies.len());
        for (place, strategy) in strategies.into_iter().enumerate() {
            let so_far = place * each;
            let made = self
                .furnisher
                .furnish(each, |number| self.progress.counted(so_far + number));
            let mut made = made.await?;
            let probed = made.pop().context("one account was made to be probed")?;
            let target = |accounts| Target::new(self.client.clone(), Some(strategy), accounts);
            arms.push(Arm::new(strategy, target(made), target(vec![probed])));
        }
        if let Some(last) = arms.last() {
            self.stack.settle(last.probed().accounts[0].id).await?;
        }
        self.warm(&arms).await?;
        Ok(arms)
    }

    /// Makes so many accounts that all strategies share, none of which anybody has read yet.
    pub async fn accounts(&self, count: usize) -> Result<Vec<Account>> {
        self.progress.count("making accounts", count);
        let made = self
            .furnisher
            .furnish(count, |number| self.progress.counted(number));
        let accounts = made.await?;
        // One more, to be read until the page has heard of all of them.
        for last in self.furnisher.furnish(1, |_| {}).await? {
            self.stack.settle(last.id).await?;
        }
        Ok(accounts)
    }

    /// Who asks: copies share its connections.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    async fn warm(&self, arms: &[Arm]) -> Result<()> {
        let pages: Vec<_> = arms.iter().flat_map(pages_of).collect();
        self.progress.count("reading every page once", pages.len());
        let counted = |number| self.progress.counted(number);
        warming::read_each_once(&self.client, pages, counted).await
    }

    /// An error if a service of ours has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.stack.dead().as_slice() {
            [] => Ok(()),
            dead => bail!("a service ended while it was measured: {}", dead.join("; ")),
        }
    }

    /// Ends what was started, and removes what was made in a stack that goes on.
    pub async fn close(self) -> Result<()> {
        if !self.stack.is_own() {
            self.furnisher.remove_all().await?;
        }
        Ok(())
    }

    /// What is the same in the setup of every kind of run; the rest is still empty.
    pub fn setup(&self) -> Setup {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        Setup {
            command: config::command_line(),
            stack: self.stack.description.clone(),
            profile: profile.to_owned(),
            injected: self.stack.injected.clone(),
            ttl_seconds: self.ttl_seconds.into(),
            notes: [self.stack.notes.as_slice(), &self.notes].concat(),
            ..Setup::default()
        }
    }

    /// The results, still without a verdict.
    pub fn results(&self, kind: Kind, setup: Setup, strategies: Vec<StrategyResults>) -> Results {
        Results {
            format: FORMAT,
            kind,
            started: self.started,
            took_seconds: self.began.elapsed().as_secs_f64(),
            machine: machine::this(),
            setup,
            strategies,
            capacity: Vec::new(),
            verdict: Verdict::default(),
        }
    }
}

/// Every page of an arm, as its strategy and its account.
fn pages_of(arm: &Arm) -> impl Iterator<Item = (Strategy, u64)> {
    arm.target()
        .accounts
        .iter()
        .map(|account| (arm.strategy, account.id))
}
