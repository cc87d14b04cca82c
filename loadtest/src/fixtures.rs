//! The accounts of a run, made from the recorded uptime checks: real names, real endpoints, real samples.
//!
//! There are seven real accounts; a run that needs more has each of them several times.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use stack::data::{Account as Recorded, Recording, Sample};
use stack::sources::{AccountId, LARGEST_BATCH, NewSample, SourceClient};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Account, Addresses};

/// How many accounts are made at once, so that the sources commit several together: with a quarter of it, it takes twice as long.
const AT_ONCE: usize = 128;
/// The newest samples that each account gets: several rounds of all its endpoints. The page shows the last 24 hours of them.
const SAMPLES: usize = 150;

/// Makes accounts, and removes them.
#[derive(Clone, Debug)]
pub struct Furnisher {
    sources: SourceClient,
    recording: Arc<Recording>,
    /// What was made and not yet removed.
    made: Arc<Mutex<Vec<AccountId>>>,
}

impl Furnisher {
    /// Reads what was recorded, for the sources at these addresses.
    pub fn new(addresses: &Addresses, data: &Path) -> Result<Self> {
        let recording = Recording::read(data)?;
        ensure!(
            !recording.accounts.is_empty(),
            "nothing was recorded in {}",
            data.display()
        );
        let root = |url: &reqwest::Url| url.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            sources: SourceClient::new(stack::PerSource::from([
                root(&addresses.accounts),
                root(&addresses.endpoints),
                root(&addresses.metrics),
            ])),
            recording: Arc::new(recording),
            made: Arc::default(),
        })
    }

    /// Makes so many accounts, and says after each how many there are by now.
    ///
    /// Whatever ends it early, an error or the caller: [`remove_all`](Self::remove_all) knows what was made.
    pub async fn furnish(&self, count: usize, mut progress: impl FnMut(usize)) -> Result<Vec<Account>> {
        let now = Timestamp::now();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut making = JoinSet::new();
        for number in 0..count {
            let (furnisher, turns) = (self.clone(), Arc::clone(&turns));
            making.spawn(async move {
                let _turn = turns.acquire_owned().await?;
                Ok::<_, anyhow::Error>((number, furnisher.make(number, now).await?))
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

    async fn make(&self, number: usize, now: Timestamp) -> Result<Account> {
        let recorded = &self.recording.accounts[number % self.recording.accounts.len()];
        let name = format!("{} {}", recorded.name, number / self.recording.accounts.len() + 1);
        let description = format!(
            "Of a load test. Real checks, recorded at https://github.com/{}",
            recorded.name
        );
        let id = self.sources.create_account(&name, &description).await?;
        self.made().push(id);
        let mut account = Account {
            id,
            endpoints: Vec::with_capacity(recorded.endpoints.len()),
        };
        for endpoint in &recorded.endpoints {
            let endpoint = self
                .sources
                .add_endpoint(id, &endpoint.name, &endpoint.url)
                .await?;
            account.endpoints.push(endpoint);
        }
        let samples = newest_samples(recorded, &account, now);
        for batch in samples.chunks(LARGEST_BATCH) {
            self.sources.record(id, batch).await?;
        }
        Ok(account)
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

/// The newest samples of a recorded account, of its copy's endpoints, moved so that the last was taken now.
fn newest_samples(recorded: &Recorded, copy: &Account, now: Timestamp) -> Vec<NewSample> {
    let shift = recorded.shift_to(now.as_second());
    let newest = recorded.samples.len().saturating_sub(SAMPLES);
    let of_copy = |sample: &Sample| {
        let place = recorded
            .endpoints
            .iter()
            .position(|endpoint| endpoint.id == sample.endpoint_id)?;
        Some(NewSample {
            endpoint_id: *copy.endpoints.get(place)?,
            at: Timestamp::from_second(sample.unix_time + shift).ok(),
            state: sample.state,
            status_code: sample.status_code,
            response_ms: sample.response_ms,
        })
    };
    recorded.samples[newest..].iter().filter_map(of_copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_newest_samples_of_its_own_endpoints_up_to_now() {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let recording = Recording::read(&clone.join("data/uptime")).unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        for recorded in &recording.accounts {
            let endpoints: Vec<u64> = (0..recorded.endpoints.len() as u64)
                .map(|place| 1000 + place)
                .collect();
            let copy = Account { id: 1, endpoints };
            let samples = newest_samples(recorded, &copy, now);
            assert_eq!(
                samples.len(),
                SAMPLES.min(recorded.samples.len()),
                "{}",
                recorded.name
            );
            assert_eq!(samples.last().unwrap().at, Some(now));
            assert!(samples.is_sorted_by_key(|sample| sample.at));
            assert!(
                samples
                    .iter()
                    .all(|sample| copy.endpoints.contains(&sample.endpoint_id))
            );
        }
    }
}
