//! What is remembered of a round: everything acknowledged, everything answered, everything broken.

mod display;

use std::time::Duration;

use stack::{Asked, Incarnation, Mark, Moment, PerSource, Preferences, Source, Version, Window};

use crate::schedule::Place;

/// What a mutation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An account was created.
    Created,
    /// An account got another name.
    Renamed,
    /// An account was deleted.
    Deleted,
    /// An endpoint was added.
    Added,
    /// An endpoint got another name.
    Changed,
    /// An endpoint was removed.
    Removed,
    /// Samples were recorded.
    Recorded,
}

impl What {
    /// Whether the state it leaves shows the mutation's serial number.
    pub const fn shows_its_serial(self) -> bool {
        matches!(self, Self::Created | Self::Renamed | Self::Added | Self::Changed)
    }
}

/// A mutation that its source acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Who acknowledged it.
    pub source: Source,
    /// Whose state it changed.
    pub account: u64,
    /// The state it made.
    pub version: Version,
    /// What it did.
    pub what: What,
    /// The number that is part of every name this program writes, and of no other.
    pub serial: u64,
    /// When its request went out.
    pub sent_at: Moment,
    /// When its answer was there.
    pub acked_at: Moment,
}

/// A mutation whose answer never came: it may have happened, may yet happen, or neither.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Who was asked.
    pub source: Source,
    /// Whose state it would change; none for an account that would be created.
    pub account: Option<u64>,
    /// What it would do.
    pub what: What,
    /// As of a [`Mutation`].
    pub serial: u64,
    /// When its request went out.
    pub sent_at: Moment,
}

/// Whose answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The page service, which is under test.
    Page,
    /// The control: a cache that removes what an event names, as is common, beside the first replica.
    Naive,
}

impl Subject {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Page, Self::Naive];
}

/// How an answer came about, by its `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// From the cache.
    Hit,
    /// It waited for requests to the sources.
    Forwarded {
        /// Whether another reader's requests were waited for.
        collapsed: bool,
    },
}

/// One source's fragment of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The state that is shown.
    pub version: Version,
    /// The highest serial number in the names it shows; none if it shows none.
    pub serial: Option<u64>,
}

/// Which running process answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// On trial or control.
    pub subject: Subject,
    /// Which of them.
    pub index: usize,
}

/// An answer to one read of a page.
#[derive(Clone, Copy, Debug)]
pub struct Response {
    /// Who answered.
    pub replica: Replica,
    /// Which run of that process; none if it may have been either of two.
    pub run: Option<u64>,
    /// Whose page.
    pub account: u64,
    /// Which variant of it.
    pub window: Window,
    /// When the request went out.
    pub sent_at: Moment,
    /// When the whole answer was there.
    pub received_at: Moment,
    /// The status code.
    pub status: u16,
    /// The moment up to which the answer claims to be complete.
    pub fresh_as_of: Option<Moment>,
    /// How it came about.
    pub outcome: Outcome,
    /// What it says of its fragments.
    pub marks: PerSource<Mark>,
    /// The fragments it shows.
    pub fragments: PerSource<Option<Fragment>>,
    /// The state that was demanded with `Consistency-Token`.
    pub demanded: Option<(Source, Version)>,
    /// What else its reader asked for.
    pub preferences: Preferences,
    /// Whether it says by `Preference-Applied` that it came within its reader's wait.
    pub wait_applied: bool,
    /// Whether it marks a fragment because that did not arrive within its reader's wait.
    pub timed_out: bool,
    /// The requests to sources that it waited for.
    pub asked: Asked,
}

impl Response {
    /// From the request to the last byte of the answer.
    pub const fn took(&self) -> Duration {
        self.received_at.since(self.sent_at)
    }

    /// Whether its reader accepted it by its age: it came from the cache, fresh or not.
    pub fn accepted_by_age(&self) -> bool {
        self.preferences.max_age.is_some() && self.outcome == Outcome::Hit
    }

    /// Whether it claims that nothing is wrong with it.
    pub fn unmarked(&self) -> bool {
        self.marks.values().all(|mark| *mark == Mark::None)
    }

    /// The fragments it shows, with their sources.
    pub fn shown(&self) -> impl Iterator<Item = (Source, Fragment)> {
        self.fragments
            .present()
            .map(|(source, fragment)| (source, *fragment))
    }

    /// The mark on a source's fragment.
    pub fn mark(&self, source: Source) -> Mark {
        self.marks[source]
    }
}

/// What a source's history begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A new database, in which nothing is.
    Empty,
    /// The source gave its database a new incarnation. Everything else in it stays.
    Renewed,
    /// A copy of the database was put back: what was acknowledged since it was taken is undone.
    Restored {
        /// After the copy was taken, and before the source ran on.
        copied_at: Moment,
    },
}

/// A source's history begins.
#[derive(Clone, Copy, Debug)]
pub struct Birth {
    /// Whose.
    pub source: Source,
    /// Its id. A copy that was put back has that of its original.
    pub incarnation: Incarnation,
    /// What it begins with.
    pub origin: Origin,
    /// Since when the source may have answered by it: before then, it was stopped.
    pub from: Moment,
    /// When this program had the source's own word for it.
    pub known_at: Moment,
}

/// For how long a process or a link certainly let nothing pass.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// What was broken.
    pub place: Place,
    /// When it was broken for certain.
    pub from: Moment,
    /// When its repair began.
    pub until: Moment,
}

/// For how long a replica answered nothing at all.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Which one.
    pub replica: Replica,
    /// When it was asked for something that waits for nothing.
    pub from: Moment,
    /// When it had answered.
    pub until: Moment,
}

/// Everything of one round. When it ends nothing is under way: what was asked in it was answered in it.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Histories that began.
    pub births: Vec<Birth>,
    /// What was acknowledged.
    pub mutations: Vec<Mutation>,
    /// What was neither acknowledged nor refused.
    pub attempts: Vec<Attempt>,
    /// What was answered.
    pub responses: Vec<Response>,
    /// What was broken.
    pub outages: Vec<Outage>,
    /// When replicas answered nothing at all.
    pub stalls: Vec<Stall>,
    /// What second publishers did, and what they made the first ones do.
    pub twins: Twins,
}

/// What became of writes where a source had two publishers.
#[derive(Clone, Debug, Default)]
pub struct Twins {
    /// What the second ones acknowledged: nobody may ever be shown it.
    pub acknowledged: Vec<Mutation>,
    /// How many writes the second ones refused because of the first.
    pub refused: usize,
    /// How many the first ones refused because of the second.
    pub refused_first: usize,
    /// How many of the first ones were replaced, and had to be started again.
    pub replaced: usize,
}
