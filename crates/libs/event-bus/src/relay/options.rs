//! What a relay is told at its start.

use std::str::FromStr;

use crate::Clock;
use crate::outbox::Everything;

/// Where a test kills the process, to see that nothing is lost there; or the relay, to see that its end is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// Committed, not published.
    BeforePublish,
    /// Published and acknowledged, still in the outbox.
    BeforeDelete,
    /// Committed, not published; and it is the relay that panics, and ends alone.
    Panic,
}

impl FromStr for FailPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "before-publish" => Ok(Self::BeforePublish),
            "before-delete" => Ok(Self::BeforeDelete),
            "panic" => Ok(Self::Panic),
            _ => Err("one of: before-publish, before-delete, panic".to_owned()),
        }
    }
}

/// Whose relay it is, and how it publishes.
#[derive(Debug, Clone, Copy)]
pub struct RelayOptions {
    /// The source's name on the bus.
    pub source: &'static str,
    /// The type of its watermarks.
    pub watermark_kind: &'static str,
    /// The type of its claims: it ends with `.claim.v1`.
    pub claim_kind: &'static str,
    /// For a source that services subscribe to: what to announce again when the stream lost some of it. A cache needs none of
    /// this, because it asks after a loss.
    pub everything: Option<Everything>,
    /// The operator renewed the incarnation: this database replaces whatever publishes for the source now.
    pub takes_over: bool,
    /// Dates by another clock all that is said to others: when something was committed, and up to when all is out. The
    /// outbox keeps the machine's time.
    pub clock: Clock,
    /// Where a test ends the process.
    pub fail_point: Option<FailPoint>,
}

impl RelayOptions {
    /// A relay as in production: of the machine's clock, and of a database that replaces nobody.
    pub fn new(source: &'static str, watermark_kind: &'static str, claim_kind: &'static str) -> Self {
        Self {
            source,
            watermark_kind,
            claim_kind,
            everything: None,
            takes_over: false,
            clock: Clock::default(),
            fail_point: None,
        }
    }
}
