//! The stack that is measured: one that is already up, or one of our own that ends with us.

mod limits;
mod running;
mod started;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use stack::{Outcome, Source};
use tokio::time::{Instant, sleep};

use crate::client::{Addresses, Client};
use crate::results::Injected;
use crate::strategy::Strategy;

use running::Answering;
use started::Started;

/// How long the page may take to receive the events of everything that was written before a run.
const SETTLES_WITHIN: Duration = Duration::from_mins(1);

/// A stack that answers, and what is known of it.
#[derive(Debug)]
pub struct Stack {
    /// Where its services are.
    pub addresses: Addresses,
    /// `started for this run`, or the address of the stack that was already up.
    pub description: String,
    /// What is slower in it on purpose.
    pub injected: Vec<Injected>,
    /// What a reader of the results must know of it, a sentence each.
    pub notes: Vec<String>,
    started: Option<Started>,
}

/// Which stack is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// One of our own, whatever else runs.
    Own,
    /// The one that is up at the usual addresses, if there is one; else one of our own.
    RunningOrOwn,
    /// The one at these addresses.
    At(Box<Addresses>),
}

/// How the stack is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackOptions {
    /// How long the strategy `ttl` shows a page without asking.
    pub ttl_seconds: u32,
    /// Which sources are to be slow, and by how much.
    pub inject: Vec<Injected>,
    /// The memory that each strategy has for its pages, in MiB.
    pub cache_mib: u64,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            ttl_seconds: 60,
            inject: Vec::new(),
            cache_mib: 512,
        }
    }
}

impl Stack {
    /// Finds the stack, or starts it.
    pub async fn find(which: &Which, options: &StackOptions) -> Result<Self> {
        let open_files = limits::raise_open_files();
        let mut stack = match which {
            Which::Own => Self::start(options).await?,
            Which::At(addresses) => Self::attach(addresses, options).await?,
            Which::RunningOrOwn => Self::attach_or_start(options).await?,
        };
        stack.notes.extend(open_files);
        Ok(stack)
    }

    async fn attach_or_start(options: &StackOptions) -> Result<Self> {
        let Some(addresses) = running::at_the_usual_addresses().await else {
            return Self::start(options).await;
        };
        if options.inject.is_empty() {
            return Self::attach(&addresses, options).await;
        }
        // What is slow there is not ours to change; what was asked for can still be had.
        let mut own = Self::start(options).await?;
        own.notes.push(format!(
            "Another stack was up at {} and ran at the same time: latency can only be injected when a source starts.",
            addresses.page
        ));
        Ok(own)
    }

    async fn start(options: &StackOptions) -> Result<Self> {
        let started = Started::start(options).await?;
        let addresses = started.addresses();
        let answering = Answering::check(&addresses).await?;
        Ok(Self {
            addresses,
            description: "started for this run".to_owned(),
            injected: answering.injected,
            notes: started.notes(options),
            started: Some(started),
        })
    }

    async fn attach(addresses: &Addresses, options: &StackOptions) -> Result<Self> {
        let answering = Answering::check(addresses).await?;
        for wanted in &options.inject {
            ensure!(
                answering.injected.contains(wanted),
                "latency cannot be injected into a source that already runs: start {} with --inject-latency {}, or name no \
                 addresses, and a stack is started with it",
                wanted.source,
                wanted.latency_ms
            );
        }
        Ok(Self {
            addresses: addresses.clone(),
            description: addresses.page.clone(),
            injected: answering.injected,
            notes: vec![format!(
                "The stack was already up. Its page has its own --ttl-seconds, assumed to be {}. How it was built, and who else used it at \
                     the same time, is not known.",
                options.ttl_seconds
            )],
            started: None,
        })
    }

    /// Whether it was started by us, and ends with us.
    pub const fn is_own(&self) -> bool {
        self.started.is_some()
    }

    /// The broker's number, if we started it: only the system knows its CPU time.
    pub fn broker_process(&self) -> Option<u32> {
        self.started.as_ref().map(Started::broker_process)
    }

    /// The services of ours that have ended without being told to, with their last words.
    pub fn dead(&mut self) -> Vec<String> {
        self.started.as_mut().map(Started::dead).unwrap_or_default()
    }

    /// Waits until the page has received the events of all that was written: a page of this account, read twice, is a hit.
    pub async fn settle(&self, account: u64) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        let client = Client::new(self.addresses.clone());
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let last = match client.read(account, Strategy::Invalidate.into()).await {
                Ok(answer) if answer.outcome == Outcome::Hit && !answer.marked => return Ok(()),
                Ok(answer) => format!("it answers {}", answer.outcome.name()),
                Err(failure) => format!("it fails: {failure}"),
            };
            if Instant::now() > until {
                bail!(
                    "the page at {} does not receive events of what is written at {}, so it cannot serve from its cache ({last}): do they belong \
                     to one stack, and is its NATS up?",
                    self.addresses.page,
                    self.addresses.sources[Source::Accounts]
                );
            }
            sleep(PAUSE).await;
        }
    }
}
