//! The services that own data.

use std::fmt;

/// Who is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Names and descriptions.
    Accounts,
    /// The URLs that an account monitors.
    Endpoints,
    /// Samples of those.
    Metrics,
}

impl Source {
    /// All of them, in the order of [`index`](Self::index).
    pub const ALL: [Self; 3] = [Self::Accounts, Self::Endpoints, Self::Metrics];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Endpoints => "endpoints",
            Self::Metrics => "metrics",
        }
    }

    /// The source of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
