//! The recording, as one sequence of steps.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

/// Within a round checks follow each other at once; between rounds lie minutes.
const SAME_ROUND_SECONDS: i64 = 5;

/// Everything that was recorded, in the order in which it happened.
pub(super) struct Recording {
    steps: Vec<Step>,
}

/// One thing that happened to an account.
pub(super) struct Step {
    pub(super) account: String,
    /// When, in seconds since 1970; of a round, its end.
    unix_time: i64,
    pub(super) what: What,
}

/// What happened.
pub(super) enum What {
    /// Its owner edited the list of endpoints.
    Edit(Edit),
    /// Its endpoints were checked, one after the other.
    Round(Vec<Sample>),
}

/// One edit of a list of endpoints. Names are unique within an account.
#[derive(Clone, Deserialize)]
pub(super) struct Edit {
    unix_time: i64,
    account: String,
    pub(super) event: Kind,
    pub(super) name: String,
    pub(super) url: String,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "endpoint_added")]
    Added,
    #[serde(rename = "endpoint_changed")]
    Changed,
    #[serde(rename = "endpoint_removed")]
    Removed,
}

/// One check, of an endpoint by its name.
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) unix_time: i64,
    pub(super) found: Found,
}

/// What a check found, as it is recorded and as metrics takes it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Found {
    state: String,
    status_code: u16,
    response_ms: u32,
}

#[derive(Deserialize)]
struct EndpointRow {
    endpoint_id: u32,
    account: String,
    name: String,
}

#[derive(Deserialize)]
struct SampleRow {
    unix_time: i64,
    endpoint_id: u32,
    state: String,
    status_code: u16,
    response_ms: u32,
}

impl Recording {
    pub(super) fn read() -> Self {
        let edits = unpacked_rows::<Edit>("endpoint_events.csv.gz");
        let edits = edits.into_iter().map(|edit| Step {
            account: edit.account.clone(),
            unix_time: edit.unix_time,
            what: What::Edit(edit),
        });
        let mut steps: Vec<Step> = edits.chain(rounds()).collect();
        // Stable: of one second the edits come first, in the order of the file.
        steps.sort_by_key(|step| step.unix_time);
        Self { steps }
    }

    /// The same with all edits, and one of so many rounds.
    pub(super) fn with_every(mut self, every: usize) -> Self {
        let mut rounds = 0;
        self.steps.retain(|step| match step.what {
            What::Edit(_) => true,
            What::Round(_) => {
                rounds += 1;
                rounds % every == 0
            }
        });
        self
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn edits(&self) -> usize {
        let edits = self.steps.iter();
        edits.filter(|step| matches!(step.what, What::Edit(_))).count()
    }

    pub(super) fn samples(&self) -> usize {
        let rounds = self.steps.iter().map(|step| match &step.what {
            What::Edit(_) => 0,
            What::Round(samples) => samples.len(),
        });
        rounds.sum()
    }

    /// The accounts, in the order in which they appeared, each with the time of its newest check.
    pub(super) fn accounts(&self) -> Vec<(String, i64)> {
        let mut accounts: Vec<(String, i64)> = Vec::new();
        for step in &self.steps {
            let newest = match &step.what {
                What::Edit(_) => i64::MIN,
                What::Round(_) => step.unix_time,
            };
            match accounts.iter_mut().find(|(name, _)| *name == step.account) {
                Some((_, known)) => *known = newest.max(*known),
                None => accounts.push((step.account.clone(), newest)),
            }
        }
        accounts
    }
}

/// The checks of each account, in rounds.
fn rounds() -> Vec<Step> {
    let rows = csv::Reader::from_reader(open("endpoints.csv")).into_deserialize();
    let endpoints: HashMap<u32, (String, String)> = rows
        .map(|row: Result<EndpointRow, _>| row.unwrap())
        .map(|row| (row.endpoint_id, (row.account, row.name)))
        .collect();
    let mut rounds: Vec<Step> = Vec::new();
    let mut latest: HashMap<String, usize> = HashMap::new();
    for row in unpacked_rows::<SampleRow>("samples.csv.gz") {
        let (account, name) = endpoints[&row.endpoint_id].clone();
        let found = Found {
            state: row.state,
            status_code: row.status_code,
            response_ms: row.response_ms,
        };
        let sample = Sample {
            name,
            unix_time: row.unix_time,
            found,
        };
        let place = latest.get(&account).copied();
        let place = place.filter(|place| row.unix_time - rounds[*place].unix_time <= SAME_ROUND_SECONDS);
        let place = place.unwrap_or(rounds.len());
        if place == rounds.len() {
            rounds.push(Step {
                account: account.clone(),
                unix_time: row.unix_time,
                what: What::Round(Vec::new()),
            });
            latest.insert(account, place);
        }
        rounds[place].unix_time = row.unix_time;
        if let What::Round(samples) = &mut rounds[place].what {
            samples.push(sample);
        }
    }
    rounds
}

fn unpacked_rows<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let reader = csv::Reader::from_reader(GzDecoder::new(open(name)));
    reader.into_deserialize().map(Result::unwrap).collect()
}

fn open(name: &str) -> File {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../data/uptime")
        .join(name);
    File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
