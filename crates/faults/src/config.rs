//! What a run is told.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::schedule::{Kind, Pace};

/// Starts the whole stack on free ports, breaks it at random, and checks every answer that was given meanwhile.
///
/// Beside the page service, a page as it is usually written hears and asks the same: what it gets wrong is what the faults
/// would have cost. Ends with 0 if the pages broke no promise and the other one did, with 1 if the pages broke one, with 2 if
/// the faults were too gentle to show anything.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// How long to go on; the round that is under way is finished.
    #[arg(long, default_value_t = 4.0, value_name = "N")]
    pub minutes: f64,

    /// How many rounds to go on for, instead of a time.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,

    /// What is broken when follows from it. Without it, one is made up and printed.
    #[arg(long)]
    pub seed: Option<u64>,

    /// The first round: with a seed it repeats that one's schedule.
    #[arg(long, default_value_t = 0, value_name = "ROUND")]
    pub first: u32,

    /// How hard and how long the faults are.
    #[arg(long, value_enum, default_value_t)]
    pub pace: PaceName,

    /// Which kinds of faults alone, separated by commas; to be used to look for one thing.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KINDS")]
    pub only: Vec<Kind>,

    /// How many reads each replica gets in a second.
    #[arg(long, default_value_t = 120, value_name = "PER_SECOND")]
    pub reads: u32,

    /// How many writes the sources get in a second, together.
    #[arg(long, default_value_t = 30, value_name = "PER_SECOND")]
    pub writes: u32,

    /// Further flags of the first page replica, such as `--page-0="--strategy prepopulate"`.
    #[arg(long, default_value = "", allow_hyphen_values = true, value_name = "FLAGS")]
    pub page_0: String,

    /// Further flags of the second page replica.
    #[arg(
        long,
        default_value = "--strategy prepopulate",
        allow_hyphen_values = true,
        value_name = "FLAGS"
    )]
    pub page_1: String,

    /// How long the pages may take to become right when everything runs again, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub calm_within: u64,
}

/// How hard a run is, by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum PaceName {
    /// Up to three faults a round, of up to five seconds.
    #[default]
    Full,
    /// Faults of up to a second and a half: what a test can afford.
    Short,
}

impl Config {
    /// How hard it is.
    pub fn pace(&self) -> Pace {
        let kinds = match &self.only[..] {
            [] => Kind::ALL.to_vec(),
            only => only.to_vec(),
        };
        match self.pace {
            PaceName::Full => Pace {
                kinds,
                fewest: 1,
                most: 3,
                spread: Duration::from_secs(2),
                longest: Duration::from_secs(5),
                replicas: crate::rig::REPLICAS,
            },
            PaceName::Short => Pace {
                kinds,
                fewest: 3,
                most: 3,
                spread: Duration::from_millis(500),
                longest: Duration::from_millis(1_500),
                replicas: crate::rig::REPLICAS,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Config::command().debug_assert();
    }
}
