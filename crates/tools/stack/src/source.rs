//! The services that own a fragment of the page: one table, from which the tools size, start, ask and name them.

use std::fmt;
use std::ops::{Index, IndexMut};

use futures::future::join_all;
use serde::{Serialize, Serializer};

/// A service that owns a fragment of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Owns the account itself.
    Accounts,
    /// Owns the list of its endpoints.
    Endpoints,
    /// Owns what was measured of them.
    Metrics,
}

/// What is known of a source without asking it.
#[derive(Clone, Copy, Debug)]
pub struct SourceInfo {
    /// Which.
    pub source: Source,
    /// Its name on the wire, in `--NAME-url` and on the page, and of its program.
    pub name: &'static str,
    /// What a page's JSON calls its fragment.
    pub fragment: &'static str,
    /// Where `scripts/up` starts it.
    pub port: u16,
    /// Where its fragment of an account is, below `/accounts/{id}`.
    pub path: &'static str,
    /// Whether its fragment is asked for with a window.
    pub has_windows: bool,
    /// The events by which it says that an account's part changed, without what [`event_type`] puts around them.
    pub events: &'static [&'static str],
}

/// The stream that holds all events.
pub const STREAM: &str = "EVENTS";

/// What every subject of the stream begins with.
pub const SUBJECT_PREFIX: &str = "events";

const TYPE_PREFIX: &str = "dev.reliable-caching.";
const TYPE_VERSION: &str = ".v1";

/// The type of an event as it is on the wire.
pub fn event_type(event: &str) -> String {
    format!("{TYPE_PREFIX}{event}{TYPE_VERSION}")
}

/// An event's name in [`SourceInfo::events`], from its type on the wire.
pub fn event_of_type(event_type: &str) -> Option<&str> {
    event_type.strip_prefix(TYPE_PREFIX)?.strip_suffix(TYPE_VERSION)
}

/// All sources, in the order in which a page names them.
pub const SOURCES: [SourceInfo; 3] = [
    SourceInfo {
        source: Source::Accounts,
        name: "accounts",
        fragment: "account",
        port: 8081,
        path: "",
        has_windows: false,
        events: &["account.created", "account.updated", "account.deleted"],
    },
    SourceInfo {
        source: Source::Endpoints,
        name: "endpoints",
        fragment: "endpoints",
        port: 8082,
        path: "/endpoints",
        has_windows: false,
        events: &[
            "endpoint.added",
            "endpoint.changed",
            "endpoint.removed",
            "endpoints.deleted",
        ],
    },
    SourceInfo {
        source: Source::Metrics,
        name: "metrics",
        fragment: "metrics",
        port: 8083,
        path: "/metrics",
        has_windows: true,
        events: &["samples.recorded", "metrics.deleted"],
    },
];

/// How many there are.
const COUNT: usize = SOURCES.len();

impl Source {
    /// All of them, in the order of [`SOURCES`].
    pub const ALL: [Self; COUNT] = {
        let mut all = [Self::Accounts; COUNT];
        let mut place = 0;
        while place < COUNT {
            all[place] = SOURCES[place].source;
            place += 1;
        }
        all
    };

    /// What is known of it.
    pub const fn info(self) -> &'static SourceInfo {
        &SOURCES[self.index()]
    }

    /// Its name on the wire, and of its program.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The source of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// Where its fragment of an account is, with the window if it has any.
    pub fn fragment_path(self, account: u64, window: Window) -> String {
        let SourceInfo {
            path, has_windows, ..
        } = self.info();
        let query = if *has_windows {
            format!("?window={}", window.name())
        } else {
            String::new()
        };
        format!("/accounts/{account}{path}{query}")
    }

    /// Its place in [`SOURCES`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of something for each source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerSource<T>([T; COUNT]);

impl<T> PerSource<T> {
    /// Makes one for each source, in their order.
    pub fn from_fn(make: impl FnMut(Source) -> T) -> Self {
        Self(Source::ALL.map(make))
    }

    /// The same of what takes time, side by side.
    pub async fn join<F: Future<Output = T>>(make: impl FnMut(Source) -> F) -> Self {
        let all = join_all(Source::ALL.map(make)).await;
        Self(
            all.try_into()
                .unwrap_or_else(|_| unreachable!("one was made of each")),
        )
    }

    /// Makes another of each.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> PerSource<U> {
        PerSource(self.0.map(make))
    }

    /// Each with its source.
    pub fn iter(&self) -> impl Iterator<Item = (Source, &T)> {
        Source::ALL.into_iter().zip(&self.0)
    }

    /// Each, in the order of the sources.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Each, to be changed.
    pub fn values_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }
}

impl<T> PerSource<Option<T>> {
    /// Those that are there, with their sources.
    pub fn present(&self) -> impl Iterator<Item = (Source, &T)> {
        self.iter()
            .filter_map(|(source, one)| Some((source, one.as_ref()?)))
    }
}

impl<T, E> PerSource<Result<T, E>> {
    /// All of them, or the first error.
    pub fn all(self) -> Result<PerSource<T>, E> {
        let all: Vec<T> = self.0.into_iter().collect::<Result<_, _>>()?;
        let all = all.try_into();
        Ok(PerSource(all.unwrap_or_else(|_| unreachable!("none is missing"))))
    }
}

/// These, and the default for every other source.
impl<T: Default> FromIterator<(Source, T)> for PerSource<T> {
    fn from_iter<I: IntoIterator<Item = (Source, T)>>(some: I) -> Self {
        let mut all = Self::from_fn(|_| T::default());
        for (source, one) in some {
            all[source] = one;
        }
        all
    }
}

/// Exactly one for each source, in the order of [`SOURCES`]: none can be left out.
///
/// ```compile_fail,E0277
/// let forgotten = stack::PerSource::from(["of accounts", "of endpoints"]);
/// ```
impl<T> From<[T; COUNT]> for PerSource<T> {
    fn from(all: [T; COUNT]) -> Self {
        Self(all)
    }
}

impl<T> Index<Source> for PerSource<T> {
    type Output = T;

    fn index(&self, source: Source) -> &T {
        &self.0[source.index()]
    }
}

impl<T> IndexMut<Source> for PerSource<T> {
    fn index_mut(&mut self, source: Source) -> &mut T {
        &mut self.0[source.index()]
    }
}

impl<T: Serialize> Serialize for PerSource<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The span of time that a page shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// An hour, in buckets of a minute.
    Hour,
    /// A day: what a page shows that is asked for none.
    #[default]
    Day,
    /// A week.
    Week,
}

impl Window {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// As in the query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn each_source_stands_at_its_place_in_the_table() {
        for (place, info) in SOURCES.iter().enumerate() {
            assert_eq!(info.source.index(), place);
            assert_eq!(Source::named(info.name), Some(info.source));
        }
    }

    #[test]
    fn the_table_has_the_events_of_the_contract() {
        let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../contracts/asyncapi.json");
        let contract = std::fs::read_to_string(contract).unwrap();
        let contract: serde_json::Value = serde_json::from_str(&contract).unwrap();
        let messages = contract["components"]["messages"].as_object().unwrap();
        let types = messages.values().map(|message| message["name"].as_str().unwrap());
        let events = types.map(|name| event_of_type(name).unwrap());
        // What a source says of itself is no change of an account.
        let changes = events.filter(|event| !matches!(event.rsplit('.').next(), Some("watermark" | "claim")));
        let listed = SOURCES.iter().flat_map(|info| info.events).copied();
        assert_eq!(listed.collect::<BTreeSet<_>>(), changes.collect());
    }
}
