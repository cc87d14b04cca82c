//! The services whose answers make a page: what the rest of this crate needs to know of each.

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

/// One value for each source, by [`Source::index`].
pub(crate) type PerSource<T> = [T; Source::ALL.len()];

/// What is known of a source without asking it. Where it is, [`Config`](crate::Config) says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceInfo {
    /// The name on the wire: of subjects, headers and metric labels.
    pub(crate) name: &'static str,
    /// Where its fragment is, below `/accounts/{id}`.
    pub(crate) path: &'static str,
    /// The name of the spans of its requests.
    pub(crate) span_name: &'static str,
    /// Whether its fragment is asked for with a window.
    pub(crate) has_windows: bool,
    /// What a reader is told while its fragment is missing.
    pub(crate) missing: &'static str,
}

impl Source {
    /// All of them, by index.
    pub(crate) const ALL: [Self; 3] = [Self::Accounts, Self::Endpoints, Self::Metrics];

    /// What is known of it.
    pub(crate) const fn info(self) -> SourceInfo {
        match self {
            Self::Accounts => SourceInfo {
                name: "accounts",
                path: "",
                span_name: "GET /accounts/{id}",
                has_windows: false,
                missing: "The name and the description are missing.",
            },
            Self::Endpoints => SourceInfo {
                name: "endpoints",
                path: "/endpoints",
                span_name: "GET /accounts/{id}/endpoints",
                has_windows: false,
                missing: "Names and addresses are missing.",
            },
            Self::Metrics => SourceInfo {
                name: "metrics",
                path: "/metrics",
                span_name: "GET /accounts/{id}/metrics",
                has_windows: true,
                missing: "States and response times are missing.",
            },
        }
    }

    /// The index by which the cache and the feed know it.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        self.info().name
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_stands_at_its_index_and_names_its_requests_by_their_path() {
        for (index, source) in Source::ALL.into_iter().enumerate() {
            let info = source.info();
            assert_eq!(source.index(), index);
            assert_eq!(info.span_name, format!("GET /accounts/{{id}}{}", info.path));
        }
    }
}
