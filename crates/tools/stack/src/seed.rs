//! The first filling of empty databases with the recorded data, through the services' own HTTP.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::data::{Account, RecordedId, Recording, Sample};
use crate::sources::{AccountId, EndpointId, LARGEST_BATCH, NewSample, SourceClient};

/// How far the seeding of a data folder got; kept in `seed.json` there.
///
/// It is written before the first account is created and again after the last sample, so that half a seeding cannot
/// be taken for a whole one.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "state", content = "numbers", rename_all = "lowercase")]
pub enum SeedRecord {
    /// Begun, and not ended unless another lab is at it.
    Started,
    /// All of it is in.
    Done(Seeded),
}

/// Which numbers the services gave to what was recorded. Names would not do: people rename accounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Seeded {
    /// By the recorded account's name.
    pub accounts: HashMap<String, SeededAccount>,
}

/// The numbers of one account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SeededAccount {
    /// The account's own.
    pub id: AccountId,
    /// Its endpoints', by their number in the recording.
    pub endpoints: HashMap<RecordedId, EndpointId>,
}

const FILE: &str = "seed.json";

impl SeedRecord {
    /// Reads what is known about a data folder; none if nothing was ever seeded there.
    pub fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("reading {}", path.display()))?,
        };
        let record = serde_json::from_str(&text);
        record
            .map(Some)
            .with_context(|| format!("{} is damaged: delete the folder to begin again", path.display()))
    }

    /// Replaces the record in one step, so that a crash leaves the old or the new one.
    pub fn write(&self, data_dir: &Path) -> Result<()> {
        let next = data_dir.join("seed.json.next");
        fs::write(&next, serde_json::to_vec(self)?)
            .and_then(|()| fs::rename(&next, data_dir.join(FILE)))
            .with_context(|| format!("writing {FILE} in {}", data_dir.display()))
    }
}

/// Creates everything that was recorded, each account's samples moved so that its newest one is at `now`.
pub async fn seed(recording: &Recording, sources: &SourceClient, now: Timestamp) -> Result<Seeded> {
    let mut seeded = Seeded::default();
    for account in &recording.accounts {
        let done = seed_account(account, sources, now).await;
        seeded.accounts.insert(
            account.name.clone(),
            done.with_context(|| format!("seeding {}", account.name))?,
        );
    }
    Ok(seeded)
}

async fn seed_account(account: &Account, sources: &SourceClient, now: Timestamp) -> Result<SeededAccount> {
    let description = format!("Real checks, recorded at https://github.com/{}", account.name);
    let id = sources.create_account(&account.name, &description).await?;
    fill(account, id, usize::MAX, sources, now).await
}

/// Gives an account the endpoints of a recorded one, and so many of its newest samples, moved so that the last one is at `now`.
pub async fn fill(
    account: &Account,
    id: AccountId,
    newest: usize,
    sources: &SourceClient,
    now: Timestamp,
) -> Result<SeededAccount> {
    let mut endpoints = HashMap::new();
    for endpoint in &account.endpoints {
        endpoints.insert(
            endpoint.id,
            sources.add_endpoint(id, &endpoint.name, &endpoint.url).await?,
        );
    }
    let shift = account.shift_to(now.as_second());
    let seeded = SeededAccount { id, endpoints };
    let first = account.samples.len().saturating_sub(newest);
    for batch in account.samples[first..].chunks(LARGEST_BATCH) {
        let at = |sample: &Sample| Timestamp::from_second(sample.unix_time + shift).ok();
        sources.record(id, &seeded.translate(batch, at)).await?;
    }
    Ok(seeded)
}

impl SeededAccount {
    /// Recorded samples as the metrics service takes them, at the times that `at` says.
    pub fn translate(&self, samples: &[Sample], at: impl Fn(&Sample) -> Option<Timestamp>) -> Vec<NewSample> {
        let translated = samples.iter().filter_map(|sample| {
            Some(NewSample {
                endpoint_id: *self.endpoints.get(&sample.endpoint_id)?,
                at: at(sample),
                state: sample.state,
                status_code: sample.status_code,
                response_ms: sample.response_ms,
            })
        });
        translated.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_done_seeding_is_told_from_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(SeedRecord::read(folder.path()).unwrap().is_none());
        SeedRecord::Started.write(folder.path()).unwrap();
        assert!(matches!(
            SeedRecord::read(folder.path()).unwrap(),
            Some(SeedRecord::Started)
        ));

        let account = SeededAccount {
            id: 3,
            endpoints: HashMap::from([(28, 1)]),
        };
        let seeded = Seeded {
            accounts: HashMap::from([("d33bs/upptime-curc".to_owned(), account)]),
        };
        SeedRecord::Done(seeded).write(folder.path()).unwrap();
        let Some(SeedRecord::Done(read)) = SeedRecord::read(folder.path()).unwrap() else {
            panic!("not done")
        };
        assert_eq!(read.accounts["d33bs/upptime-curc"].endpoints[&28], 1);
    }
}
