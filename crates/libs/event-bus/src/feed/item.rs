//! What a feed tells.

use jiff::Timestamp;

use crate::{Cause, Claim, Event};

/// One thing received, in the order of the stream. A loss comes before the message that revealed it.
#[derive(Debug)]
pub enum FeedItem {
    /// An entity of a source changed.
    Change(Change),
    /// A source said up to when it is complete.
    Watermark(Watermark),
    /// Something may have been missed.
    Loss(Loss),
    /// Another publisher has taken over a source. What the former one says no longer vouches for anything.
    Claimed(Claimed),
    /// A former publisher of a source still says up to when it is complete. It vouches for nothing.
    Foreign {
        /// Index into the feed's list of sources.
        source: usize,
    },
}

/// An entity changed.
#[derive(Debug)]
pub struct Change {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// The event as published.
    pub event: Event,
    /// What its fragment is worth.
    pub kind: ChangeKind,
}

/// How an event relates to what was received before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    New,
    /// It was received before: what it carries may be older than what is known.
    Repeat,
    /// Its publisher is not the source's present one: it says that something changed, and what it carries is not to be used.
    Foreign,
}

/// A publisher took over a source.
#[derive(Debug, Clone, Copy)]
pub struct Claimed {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// Its claim; none from a program of before claims were made.
    pub claim: Option<Claim>,
}

/// A source's statement that everything it committed before a moment was published before this.
#[derive(Debug, Clone, Copy)]
pub struct Watermark {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// The moment, by the source's clock.
    pub complete_until: Timestamp,
}

/// Something may have been missed.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// Index into the feed's list of sources; none: of every source.
    pub source: Option<usize>,
    /// What revealed it.
    pub cause: Cause,
}
