//! What a feed tells.

use jiff::Timestamp;

use crate::{Cause, Event};

/// One thing heard, in the order of the stream. A loss comes before the message that revealed it.
#[derive(Debug)]
pub enum Heard {
    /// An entity of a source changed.
    Change(Change),
    /// A source said up to when it is complete.
    Watermark(Watermark),
    /// Something may have been missed.
    Loss(Loss),
}

/// An entity changed.
#[derive(Debug)]
pub struct Change {
    /// Index into the feed's list of sources.
    pub source: usize,
    /// The event as published.
    pub event: Event,
    /// It was heard before.
    pub repeat: bool,
}

/// A source's word that everything it committed before a moment was published before this.
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
