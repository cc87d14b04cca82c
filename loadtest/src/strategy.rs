//! The strategies that are compared: one table. The report's style gives each its colour.

use std::fmt;

/// How the page keeps pages, by the name that its `Cache-Strategy` header takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Strategy {
    /// Compose every page for its reader.
    None,
    /// Show a page until it is old.
    Ttl,
    /// Ask every source at every read whether its fragment still is the answer.
    Versioned,
    /// Show a page while no event came that touched it.
    Invalidate,
    /// The same, and compose it again when an event came.
    Prepopulate,
}

/// What is known of a strategy without running it.
#[derive(Clone, Copy, Debug)]
pub struct StrategyInfo {
    /// Which.
    pub strategy: Strategy,
    /// Its name on the wire and in the results.
    pub name: &'static str,
    /// What it does, for the report; `{ttl}` stands for the TTL in seconds.
    pub does: &'static str,
    /// Whether it promises to be both fast and true.
    pub promises: bool,
    /// Whether events keep it true.
    pub event_driven: bool,
}

/// All strategies, in the order in which one comes to them.
pub const STRATEGIES: [StrategyInfo; 5] = [
    StrategyInfo {
        strategy: Strategy::None,
        name: "none",
        does: "composes every page again, with a request to each source",
        promises: false,
        event_driven: false,
    },
    StrategyInfo {
        strategy: Strategy::Ttl,
        name: "ttl",
        does: "shows what it composed for {ttl} s, whatever changes in that time",
        promises: false,
        event_driven: false,
    },
    StrategyInfo {
        strategy: Strategy::Versioned,
        name: "versioned",
        does: "asks every source at every read whether anything changed, and keeps what did not",
        promises: true,
        event_driven: false,
    },
    StrategyInfo {
        strategy: Strategy::Invalidate,
        name: "invalidate",
        does: "shows what it composed until an event says that it changed",
        promises: true,
        event_driven: true,
    },
    StrategyInfo {
        strategy: Strategy::Prepopulate,
        name: "prepopulate",
        does: "does the same, and composes a changed page again before somebody asks for it, if it was read before",
        promises: true,
        event_driven: true,
    },
];

/// The strategy that composes every page again: the problem being shown.
pub const NONE: &str = Strategy::None.name();
/// The strategy that shows pages until they are old: fast, and stale by design.
pub const TTL: &str = Strategy::Ttl.name();

impl Strategy {
    /// All of them, in the order of [`STRATEGIES`].
    pub const ALL: [Self; STRATEGIES.len()] = {
        let mut all = [Self::None; STRATEGIES.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = STRATEGIES[place].strategy;
            place += 1;
        }
        all
    };

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        STRATEGIES[self as usize].name
    }
}

impl StrategyInfo {
    /// What is known of the strategy of this name; results may name one of another version.
    pub fn named(name: &str) -> Option<&'static Self> {
        STRATEGIES.iter().find(|info| info.name == name)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strategy_stands_at_its_place_in_the_table() {
        for (place, info) in STRATEGIES.iter().enumerate() {
            assert_eq!(info.strategy as usize, place);
        }
    }
}
