//! The recorded uptime checks, as `data/uptime` holds them.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

/// An endpoint's number in the recording; the endpoints service gives it another.
pub type RecordedId = u32;

/// Everything that was recorded and that the services take.
#[derive(Debug)]
pub struct Recording {
    /// In the order of the file, which is the order they are created in.
    pub accounts: Vec<Account>,
    /// What was left out, to be said aloud.
    pub skipped: Skipped,
}

/// One account with what it watches and what was seen.
#[derive(Debug)]
pub struct Account {
    /// The repository the recording comes from, `owner/name`.
    pub name: String,
    /// Those with an `http` or `https` URL, unless all were read.
    pub endpoints: Vec<Endpoint>,
    /// Oldest first.
    pub samples: Vec<Sample>,
}

/// One watched URL.
#[derive(Debug)]
pub struct Endpoint {
    /// Its number in the recording.
    pub id: RecordedId,
    /// What its owner calls it.
    pub name: String,
    /// Where it is.
    pub url: String,
}

/// One check.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub unix_time: i64,
    /// What was checked, by its number in the recording.
    pub endpoint_id: RecordedId,
    /// How it was found.
    pub state: State,
    /// The HTTP status, 0 if no answer came.
    pub status_code: u16,
    /// How long the answer took, 0 if none came.
    pub response_ms: u32,
}

/// How a check found its endpoint.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It answered as it should.
    Up,
    /// It did not.
    Down,
    /// It answered too slowly.
    Degraded,
}

/// What the services do not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Endpoints that are no HTTP: bare host names for TCP pings, `ftp` addresses.
    pub endpoints: usize,
    /// The samples of those.
    pub samples: usize,
}

impl Recording {
    /// Reads `endpoints.csv` and `samples.csv.gz` of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        // `http://` in front of a TCP ping's host name would claim a check that nobody made: left out.
        Self::read_where(folder, |url| {
            url.starts_with("http://") || url.starts_with("https://")
        })
    }

    /// Reads also what the services do not take.
    pub fn read_all(folder: &Path) -> Result<Self> {
        Self::read_where(folder, |_| true)
    }

    fn read_where(folder: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut recording = Self {
            accounts: Vec::new(),
            skipped: Skipped::default(),
        };
        let owners = recording.read_endpoints(&folder.join("endpoints.csv"), is_wanted)?;
        recording.read_samples(&folder.join("samples.csv.gz"), &owners)?;
        Ok(recording)
    }

    /// Takes the endpoints in, and answers which account (by place) each one belongs to.
    fn read_endpoints(
        &mut self,
        path: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<HashMap<RecordedId, usize>> {
        let mut owners = HashMap::new();
        for row in csv::Reader::from_reader(open(path)?).deserialize() {
            let row: EndpointRow = row.with_context(|| format!("reading {}", path.display()))?;
            if !is_wanted(&row.url) {
                self.skipped.endpoints += 1;
                continue;
            }
            let place = self.place_of(row.account);
            owners.insert(row.endpoint_id, place);
            let endpoint = Endpoint {
                id: row.endpoint_id,
                name: row.name,
                url: row.url,
            };
            self.accounts[place].endpoints.push(endpoint);
        }
        Ok(owners)
    }

    fn place_of(&mut self, name: String) -> usize {
        let known = self.accounts.iter().position(|account| account.name == name);
        known.unwrap_or_else(|| {
            self.accounts.push(Account {
                name,
                endpoints: Vec::new(),
                samples: Vec::new(),
            });
            self.accounts.len() - 1
        })
    }

    fn read_samples(&mut self, path: &Path, owners: &HashMap<RecordedId, usize>) -> Result<()> {
        for row in csv::Reader::from_reader(GzDecoder::new(open(path)?)).deserialize() {
            let sample: Sample = row.with_context(|| format!("reading {}", path.display()))?;
            match owners.get(&sample.endpoint_id) {
                Some(place) => self.accounts[*place].samples.push(sample),
                None => self.skipped.samples += 1,
            }
        }
        for account in &mut self.accounts {
            account.samples.sort_by_key(|sample| sample.unix_time);
        }
        Ok(())
    }
}

impl Account {
    /// By how many seconds the recording must move for its newest sample to be at `now`.
    ///
    /// Each account has its own, because their recordings end at different times.
    pub fn shift_to(&self, now: i64) -> i64 {
        self.samples.last().map_or(0, |newest| now - newest.unix_time)
    }

    /// The samples in the rounds they came in: one pass over the account's list, a few seconds long.
    pub fn rounds(&self) -> impl Iterator<Item = &[Sample]> {
        self.samples
            .chunk_by(|before, after| after.unix_time - before.unix_time <= SAME_ROUND_SECONDS)
    }
}

/// Within a round checks follow each other at once; between rounds lie minutes. No endpoint is twice in a round.
const SAME_ROUND_SECONDS: i64 = 5;

#[derive(Deserialize)]
struct EndpointRow {
    endpoint_id: RecordedId,
    account: String,
    name: String,
    url: String,
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| {
        format!(
            "the recorded data is not at {}: start from the top of the clone, or say where it is with --data",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn recording() -> Recording {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
        Recording::read(&clone.join("data/uptime")).unwrap()
    }

    #[test]
    fn the_recording_is_read_whole_and_what_is_no_http_is_counted() {
        let recording = recording();
        let endpoints: usize = recording
            .accounts
            .iter()
            .map(|account| account.endpoints.len())
            .sum();
        let samples: usize = recording
            .accounts
            .iter()
            .map(|account| account.samples.len())
            .sum();
        assert_eq!(recording.accounts.len(), 7);
        assert_eq!((endpoints, samples), (65, 16_786));
        assert_eq!(
            recording.skipped,
            Skipped {
                endpoints: 13,
                samples: 7_130
            }
        );
    }

    #[test]
    fn each_account_is_shifted_by_its_own_newest_sample() {
        let now = 1_800_000_000;
        let mut shifts = HashSet::new();
        for account in recording().accounts {
            let shift = account.shift_to(now);
            let newest = account
                .samples
                .iter()
                .map(|sample| sample.unix_time + shift)
                .max();
            assert_eq!(newest, Some(now), "{}", account.name);
            shifts.insert(shift);
        }
        assert_eq!(shifts.len(), 7, "the recordings end at seven different times");
    }

    #[test]
    fn rounds_lose_nothing_and_check_no_endpoint_twice() {
        for account in recording().accounts {
            let rounds: Vec<_> = account.rounds().collect();
            assert_eq!(rounds.concat(), account.samples);
            for round in &rounds {
                let checked: HashSet<_> = round.iter().map(|sample| sample.endpoint_id).collect();
                assert_eq!(
                    checked.len(),
                    round.len(),
                    "{} at {}",
                    account.name,
                    round[0].unix_time
                );
            }
            for pair in rounds.windows(2) {
                let pause = pair[1][0].unix_time - pair[0].last().unwrap().unix_time;
                assert!(pause > SAME_ROUND_SECONDS);
            }
        }
    }

    #[test]
    fn a_whole_list_comes_as_one_round() {
        let recording = recording();
        let account = recording
            .accounts
            .iter()
            .find(|account| account.name.starts_with("manticore"))
            .unwrap();
        assert_eq!(
            account.rounds().map(<[Sample]>::len).max(),
            Some(account.endpoints.len())
        );
    }
}
