//! The accounts of a run, made from the recorded uptime checks: real names, real endpoints, real samples.
//!
//! There are seven real accounts; a run that needs more has each of them several times.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use stack::data::Recording;
use stack::seed::fill;
use stack::sources::{AccountId, SourceClient};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Account, Addresses};

/// How many accounts are made at once, so that the sources commit several together: with a quarter of it, it takes twice as long.
const AT_ONCE: usize = 128;
/// The newest samples that each account gets: several rounds of all its endpoints. The page shows the last 24 hours of them.
const SAMPLES: usize = 150;

/// Makes accounts, and removes them.
#[derive(Clone, Debug)]
pub struct Fixtures {
    sources: SourceClient,
    recording: Arc<Recording>,
    /// What was made and not yet removed.
    made: Arc<Mutex<Vec<AccountId>>>,
}

impl Fixtures {
    /// Reads what was recorded, for the sources at these addresses.
    pub fn new(addresses: &Addresses, data: &Path) -> Result<Self> {
        let recording = Recording::read(data)?;
        ensure!(
            !recording.accounts.is_empty(),
            "nothing was recorded in {}",
            data.display()
        );
        Ok(Self {
            sources: SourceClient::new(addresses.sources.clone()),
            recording: Arc::new(recording),
            made: Arc::default(),
        })
    }

    /// Makes so many accounts, and says after each how many there are by now.
    ///
    /// Whatever ends it early, an error or the caller: [`remove_all`](Self::remove_all) knows what was made.
    pub async fn make(&self, count: usize, mut progress: impl FnMut(usize)) -> Result<Vec<Account>> {
        let now = Timestamp::now();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut making = JoinSet::new();
        for number in 0..count {
            let (fixtures, turns) = (self.clone(), Arc::clone(&turns));
            making.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                Ok::<_, anyhow::Error>((number, fixtures.make_one(number, now).await?))
            });
        }
        let mut accounts = Vec::with_capacity(count);
        while let Some(made) = making.join_next().await {
            accounts.push(made?.context("making the accounts of the run")?);
            progress(accounts.len());
        }
        accounts.sort_unstable_by_key(|(number, _)| *number);
        Ok(accounts.into_iter().map(|(_, account)| account).collect())
    }

    async fn make_one(&self, number: usize, now: Timestamp) -> Result<Account> {
        let recorded = &self.recording.accounts[number % self.recording.accounts.len()];
        let name = format!("{} {}", recorded.name, number / self.recording.accounts.len() + 1);
        let description = format!(
            "Of a load test. Real checks, recorded at https://github.com/{}",
            recorded.name
        );
        let id = self.sources.create_account(&name, &description).await?;
        self.made().push(id);
        let filled = fill(recorded, id, SAMPLES, &self.sources, now).await?;
        let endpoints = recorded.endpoints.iter();
        Ok(Account {
            id,
            endpoints: endpoints.map(|endpoint| filled.endpoints[&endpoint.id]).collect(),
        })
    }

    /// Removes every account that was made; answers how many there were. The sources forget what was in them.
    pub async fn remove_all(&self) -> Result<usize> {
        let made = std::mem::take(&mut *self.made());
        let count = made.len();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut removing = JoinSet::new();
        for account in made {
            let (sources, turns) = (self.sources.clone(), Arc::clone(&turns));
            removing.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                sources.delete_account(account).await
            });
        }
        // All are tried, whatever became of the first.
        let removed = removing.join_all().await;
        removed
            .into_iter()
            .collect::<Result<()>>()
            .context("removing the accounts of the run")?;
        Ok(count)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<AccountId>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
