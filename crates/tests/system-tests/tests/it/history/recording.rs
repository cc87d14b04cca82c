//! The recording, as one sequence of steps.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use stack::data;

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
    pub(super) found: data::Sample,
}

impl Recording {
    pub(super) fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/uptime");
        let edits = File::open(folder.join("endpoint_events.csv.gz")).unwrap();
        let edits = csv::Reader::from_reader(GzDecoder::new(edits)).into_deserialize();
        let edits = edits.map(Result::unwrap).map(|edit: Edit| Step {
            account: edit.account.clone(),
            unix_time: edit.unix_time,
            what: What::Edit(edit),
        });
        let mut steps: Vec<Step> = edits.chain(rounds(&folder)).collect();
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
fn rounds(folder: &Path) -> Vec<Step> {
    let accounts = data::Recording::read_all(folder).unwrap().accounts;
    let rounds = |account: &data::Account| {
        let names: HashMap<_, _> = account.endpoints.iter().map(|it| (it.id, &it.name)).collect();
        let step = |round: &[data::Sample]| {
            let samples = round.iter().map(|found| Sample {
                name: names[&found.endpoint_id].clone(),
                found: *found,
            });
            Step {
                account: account.name.clone(),
                unix_time: round.last().unwrap().unix_time,
                what: What::Round(samples.collect()),
            }
        };
        account.rounds().map(step).collect::<Vec<_>>()
    };
    accounts.iter().flat_map(rounds).collect()
}
