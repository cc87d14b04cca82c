//! What a run is told.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::schedule::{Kind, Pace};

/// How many page replicas are under test.
pub const REPLICAS: usize = 2;

/// Starts the whole stack on free ports, breaks it at random, and checks every answer that was given meanwhile.
///
/// Beside the page service runs naive-page, a page as it is usually written, on the same broker and sources. Its errors show
/// what the faults would have cost. Ends with 0 if the pages broke no promise and the other one did, with 1 if the pages broke
/// one, with 3 if the faults were too gentle to show anything.
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

    /// How many servers the broker is: 1, or 3 that keep the stream together, which can be broken in more ways.
    #[arg(long, default_value_t = 1, value_parser = nodes, value_name = "N")]
    pub nodes: usize,

    /// Which kinds of faults alone, separated by commas; to be used to look for one thing.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KINDS")]
    pub only: Vec<Kind>,

    /// How many reads each replica gets in a second.
    #[arg(long, default_value_t = 120, value_name = "PER_SECOND")]
    pub reads: u32,

    /// How many writes the sources get in a second, together.
    #[arg(long, default_value_t = 30, value_name = "PER_SECOND")]
    pub writes: u32,

    /// How both page replicas keep their pages fresh. Without it, the first invalidates and the second pre-populates. A TTL is
    /// none of them: it promises nothing that could be checked.
    #[arg(long, value_enum, value_name = "NAME")]
    pub strategy: Option<StrategyName>,

    /// Further flags of the first page replica, such as `--page-0="--strategy prepopulate"`.
    #[arg(long, default_value = "", allow_hyphen_values = true, value_name = "FLAGS")]
    pub page_0: String,

    /// Further flags of the second page replica.
    #[arg(long, default_value = "", allow_hyphen_values = true, value_name = "FLAGS")]
    pub page_1: String,

    /// How long the pages may take to become right when everything runs again, in seconds. Without it, 10; and 30 with three
    /// brokers, which take that long to agree on who leads.
    #[arg(long = "calm-within", value_name = "SECONDS")]
    pub converge_within: Option<u64>,
}

fn nodes(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("a broker is 1 server, or 3".to_owned()),
    }
}

/// How a page replica keeps its pages fresh, as far as it promises to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// It composes every page for its reader.
    None,
    /// It asks every source at every read whether its fragment still is the answer.
    Versioned,
    /// It shows a page while no event came that touched it.
    Invalidate,
    /// The same, and composes it anew when an event came.
    Prepopulate,
}

/// How a page replica is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFlags {
    /// What it is told beside where everything is.
    pub flags: Vec<String>,
    /// Whether its strategy answers from the cache once all is well. One that asks the sources at every read never does.
    pub hits: bool,
    /// Whether its strategy keeps pages. One that keeps none takes no notice of what readers prefer.
    pub keeps_pages: bool,
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

impl PageFlags {
    /// The further flags as they were written, and a strategy if they name none.
    fn of(further: &str, strategy: StrategyName) -> Self {
        let mut flags: Vec<_> = further.split_whitespace().map(str::to_owned).collect();
        let mut words = flags.iter().flat_map(|flag| flag.split('='));
        let named = words
            .find(|word| *word == "--strategy")
            .and_then(|_| words.next());
        let name = strategy.to_possible_value();
        let name = name.as_ref().map_or("", |name| name.get_name());
        let hits = !matches!(named.unwrap_or(name), "none" | "versioned");
        let keeps_pages = named.unwrap_or(name) != "none";
        if named.is_none() {
            flags.push(format!("--strategy={name}"));
        }
        Self {
            flags,
            hits,
            keeps_pages,
        }
    }
}

impl Config {
    /// How each page replica is started.
    pub fn pages(&self) -> [PageFlags; REPLICAS] {
        let usual = [StrategyName::Invalidate, StrategyName::Prepopulate];
        let [first, second] = usual.map(|usual| self.strategy.unwrap_or(usual));
        [
            PageFlags::of(&self.page_0, first),
            PageFlags::of(&self.page_1, second),
        ]
    }

    /// How many servers the broker is: three if a kind of faults was chosen that needs them.
    pub fn nodes(&self) -> usize {
        if self.only.iter().any(|kind| kind.needs_three_nodes()) {
            3
        } else {
            self.nodes
        }
    }

    /// How long the pages may take to become right.
    pub fn converge_within(&self) -> Duration {
        let usual = if self.nodes() == 3 { 30 } else { 10 };
        Duration::from_secs(self.converge_within.unwrap_or(usual))
    }

    /// How hard it is.
    pub fn pace(&self) -> Pace {
        let kinds = match &self.only[..] {
            [] => Kind::ALL.to_vec(),
            only => only.to_vec(),
        };
        let three = self.nodes() == 3;
        let kinds: Vec<_> = kinds
            .into_iter()
            .filter(|kind| three || !kind.needs_three_nodes())
            .collect();
        match self.pace {
            PaceName::Full => Pace {
                kinds,
                fewest: 1,
                most: 3,
                spread: Duration::from_secs(2),
                longest: Duration::from_secs(5),
                replicas: REPLICAS,
            },
            PaceName::Short => Pace {
                kinds,
                fewest: 3,
                most: 3,
                spread: Duration::from_millis(500),
                longest: Duration::from_millis(1_500),
                replicas: REPLICAS,
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

    fn pages(arguments: &[&str]) -> [(String, bool, bool); 2] {
        let config = Config::parse_from([&["faults"], arguments].concat());
        config
            .pages()
            .map(|page| (page.flags.join(" "), page.hits, page.keeps_pages))
    }

    #[test]
    fn a_replica_of_a_strategy_that_always_asks_is_known_never_to_hit() {
        let page = |flags: &str, hits| (flags.to_owned(), hits, true);
        let keeps_none = ("--fences 8 --strategy=none".to_owned(), false, false);
        assert_eq!(
            pages(&[]),
            [
                page("--strategy=invalidate", true),
                page("--strategy=prepopulate", true)
            ]
        );
        let versioned = page("--strategy=versioned", false);
        assert_eq!(
            pages(&["--strategy", "versioned"]),
            [versioned.clone(), versioned]
        );
        assert_eq!(
            pages(&[
                "--strategy=none",
                "--page-0=--fences 8",
                "--page-1=--fences 8 --strategy ttl"
            ]),
            [keeps_none, page("--fences 8 --strategy ttl", true)]
        );
        assert_eq!(
            pages(&["--page-0=--strategy=versioned"])[0],
            page("--strategy=versioned", false)
        );
    }
}
