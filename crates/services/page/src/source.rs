//! The three services whose answers make a page.

use std::fmt;

/// A service that owns a fragment of the page.
///
/// The discriminants are the indexes by which the cache, the feed and the arrays of this crate know a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Owns the account: its name and description.
    Accounts = 0,
    /// Owns the list of the account's endpoints.
    Endpoints = 1,
    /// Owns what was measured of them.
    Metrics = 2,
}

impl Source {
    /// All of them, by index.
    pub(crate) const ALL: [Self; 3] = [Self::Accounts, Self::Endpoints, Self::Metrics];

    /// The index by which the cache and the feed know it.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The name on the wire: of subjects, headers and metric labels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Endpoints => "endpoints",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
