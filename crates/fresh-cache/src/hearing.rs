//! The writing side of the ledger: one task, in the order of the feed.

use std::sync::Arc;

use crate::clock::Moment;
use crate::ledger::{Ledger, Position, SourceId};

/// The only writer of a [`Ledger`]: what the task that hears the feed calls, in order, once per message.
///
/// Every method takes constant time, no lock and no memory, so that the feed never waits for a reader, a fetch or
/// a render (rule 5).
///
/// ```
/// use fresh_cache::{Ledger, LedgerOptions, Moment, SourceId};
///
/// let accounts = SourceId(0);
/// let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
/// hearing.lost(accounts); // the feed begins here: what came before was not heard
/// hearing.changed(accounts, 42); // event: account 42 changed
/// hearing.watermark(accounts, Moment::from_micros(1_750_000_000_000_000));
/// assert!(!ledger.trusted(accounts), "that watermark is old: somebody was paused");
/// ```
#[derive(Debug)]
pub struct Hearing {
    ledger: Arc<Ledger>,
    /// The position of the latest event; the ledger's is this one, published.
    position: u64,
    /// Of which sources anything was heard yet.
    heard: Box<[bool]>,
}

impl Hearing {
    pub(crate) fn new(ledger: Arc<Ledger>, sources: usize) -> Self {
        let position = ledger.position().0;
        Self {
            ledger,
            position,
            heard: vec![false; sources].into(),
        }
    }

    /// An event: this entity of this source changed (rule 6). A repeat fences again and does no more.
    pub fn changed(&mut self, source: SourceId, entity: u64) -> Position {
        self.begin(source);
        let position = self.advance();
        self.ledger
            .store_fence(self.ledger.slot(source, entity), position);
        Position(position)
    }

    /// An event: this entity of this source is gone. From now on not even a marked stale answer shows it (rule 12).
    pub fn deleted(&mut self, source: SourceId, entity: u64) -> Position {
        self.begin(source);
        let position = self.advance();
        let slot = self.ledger.slot(source, entity);
        self.ledger.store_deletion(slot, position);
        self.ledger.store_fence(slot, position);
        Position(position)
    }

    /// Something of this source was missed, or may have been (rule 7): nothing fetched before now is proven any more.
    pub fn lost(&mut self, source: SourceId) {
        self.heard[source.0] = true;
        let position = self.advance();
        self.ledger.store_floor(source, position);
    }

    /// Something was missed, and it does not even say of whom (rule 7).
    pub fn lost_all(&mut self) {
        for source in 0..self.heard.len() {
            self.lost(SourceId(source));
        }
    }

    /// The source's word: everything it committed before this moment has been published, and was heard before this
    /// call or reported [`lost`](Self::lost) (rules 3 and 7).
    pub fn watermark(&mut self, source: SourceId, complete_until: Moment) {
        self.begin(source);
        self.ledger.store_watermark(source, complete_until);
    }

    /// The first message of a source says nothing about those before it, which is a loss like any other (rule 7).
    fn begin(&mut self, source: SourceId) {
        if !self.heard[source.0] {
            self.lost(source);
        }
    }

    fn advance(&mut self) -> u64 {
        self.position += 1;
        self.ledger.store_position(self.position);
        self.position
    }
}
