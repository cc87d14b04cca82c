//! The strategies that are compared.

use std::fmt;

/// How the page keeps pages, by the name that its `Cache-Strategy` header takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Strategy {
    /// Compose every page for its reader.
    None,
    /// Show a page until it is old.
    Ttl,
    /// Ask every source at every read whether its part still is the answer.
    Versioned,
    /// Show a page while no event came that touched it.
    Invalidate,
    /// The same, and compose it anew when an event came.
    Prepopulate,
}

impl Strategy {
    /// All of them, in the order in which one comes to them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Ttl,
        Self::Versioned,
        Self::Invalidate,
        Self::Prepopulate,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ttl => "ttl",
            Self::Versioned => "versioned",
            Self::Invalidate => "invalidate",
            Self::Prepopulate => "prepopulate",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
