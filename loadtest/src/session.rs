//! A stack, its accounts, and what is noted about both: what every kind of run begins and ends with.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;

use crate::client::{Account, Client};
use crate::config::{self, RunConfig, StackConfig};
use crate::fixtures::Fixtures;
use crate::generator;
use crate::machine;
use crate::progress::Progress;
use crate::results::{FORMAT, Kind, Results, Setup, StrategyResults, Verdict};
use crate::scrape::{Scraper, Snapshot};
use crate::stack::{Stack, StackOptions};
use crate::strategy::Strategy;
use crate::warming;

/// A stack that is ready to be measured.
#[derive(Debug)]
pub struct Session {
    /// The stack.
    pub stack: Stack,
    /// Reads the counters of its services.
    pub scraper: Scraper,
    /// Says how far the run is.
    pub progress: Progress,
    /// Makes accounts in it.
    pub fixtures: Fixtures,
    client: Client,
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
            scraper: Scraper::new(&stack),
            client: Client::new(stack.addresses.clone()),
            fixtures: Fixtures::new(&stack.addresses, &config.data)?,
            stack,
            progress,
            ttl_seconds: config.ttl_seconds,
            started,
            began,
        })
    }

    /// Makes so many accounts that all strategies share, none of which anybody has read yet.
    pub async fn accounts(&self, count: usize) -> Result<Vec<Account>> {
        self.progress.count("making accounts", count);
        let made = self.fixtures.make(count, |number| self.progress.counted(number));
        let accounts = made.await?;
        // One more, to be read until the page has received the events of all.
        for last in self.fixtures.make(1, |_| {}).await? {
            self.stack.settle(last.id).await?;
        }
        Ok(accounts)
    }

    /// Says before a run, and answers, that the generator cannot send this many requests in a second, if it cannot. What a read
    /// costs it is measured on an account of its own.
    pub async fn warn_if_too_fast(&self, rate: f64) -> Result<Option<String>> {
        let account = self.accounts(1).await?[0].id;
        let cost = warming::cost_of_a_read(&self.client, Strategy::Invalidate, account).await?;
        let warning = cost.and_then(|cost| generator::too_fast(rate, cost));
        if let Some(warning) = &warning {
            self.progress.say(warning);
        }
        Ok(warning)
    }

    /// Who asks: copies share its connections.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An error if a service of ours has ended, or the page of a stack that was up did not answer any more.
    pub fn check_alive(&mut self, seen: &Snapshot) -> Result<()> {
        match self.stack.dead().as_slice() {
            [] => {}
            dead => bail!("a service ended while it was measured: {}", dead.join("; ")),
        }
        let page = &self.stack.addresses.page;
        ensure!(
            seen.has_page(),
            "the page at {page} did not answer any more while it was measured"
        );
        Ok(())
    }

    /// Ends what was started, and removes what was made in a stack that goes on.
    pub async fn close(self) -> Result<()> {
        if !self.stack.is_own() {
            self.fixtures.remove_all().await?;
        }
        Ok(())
    }

    /// How long the strategy `ttl` shows a page without asking.
    pub const fn ttl_seconds(&self) -> u32 {
        self.ttl_seconds
    }

    /// What is the same in the setup of every kind of run, with what is to be known of this kind; the rest is still empty.
    pub fn setup(&self, config: &RunConfig, notes: impl IntoIterator<Item: Into<String>>) -> Setup {
        let debug = cfg!(debug_assertions);
        let profile = if debug { "debug" } else { "release" };
        let of_stack = self.stack.notes.iter().cloned();
        Setup {
            command: config::command_line(),
            stack: self.stack.description.clone(),
            profile: profile.to_owned(),
            budget_ms: config.budget_ms,
            injected: self.stack.injected.clone(),
            ttl_seconds: self.ttl_seconds.into(),
            notes: of_stack.chain(notes.into_iter().map(Into::into)).collect(),
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
