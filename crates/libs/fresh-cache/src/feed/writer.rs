//! The writing side of the ledger: one task, in the order of the feed.

use std::sync::Arc;

use crate::clock::Moment;
use crate::feed::state::{Ledger, Position, SourceId};
use crate::fragment::Claim;

/// The only writer of a [`Ledger`]: what the task that hears the feed calls, in order, once per message.
///
/// Every method takes constant time, no lock and no memory, so that the feed never waits for a reader, a fetch or
/// a render (rule 5).
///
/// What names a source that the ledger does not have may be about any source. So it is taken for a loss of all (rule 7);
/// only a watermark is ignored. [`Ledger::unknown_sources`] counts both.
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
        for source in self.named(source) {
            self.lose(source);
        }
    }

    /// The source's database is another one than before (rule 4): all that was heard of it is void, its watermark included,
    /// which the former one said. A stray message of the former is no evidence either, until the next watermark.
    pub fn replaced(&mut self, source: SourceId) {
        for source in self.named(source) {
            self.lose(source);
            self.ledger.store_watermark(source, Moment::default());
        }
    }

    /// From here on another publisher speaks for the source. What the former one said vouches for nothing any more, and the
    /// watermarks that follow vouch only for answers that state this claim.
    ///
    /// Not needed by a source of which there can be only one publisher: its answers state [`Claim::default`], which speaks for
    /// every source until another one is named here.
    pub fn claimed(&mut self, source: SourceId, claim: Claim) {
        for source in self.named(source) {
            self.begin(source);
            self.ledger.store_claim(source, claim);
        }
    }

    /// Something was missed, and it does not even say of whom (rule 7).
    pub fn lost_all(&mut self) {
        for source in 0..self.heard.len() {
            self.lose(SourceId(source));
        }
    }

    /// The source's word: everything it committed before this moment has been published, and was heard before this
    /// call or reported [`lost`](Self::lost) (rules 3 and 7).
    pub fn watermark(&mut self, source: SourceId, complete_until: Moment) {
        if source.0 >= self.heard.len() {
            self.ledger.note_unknown(source);
            return;
        }
        self.begin(source);
        self.ledger.store_watermark(source, complete_until);
    }

    /// The first message of a source says nothing about those before it, which is a loss like any other (rule 7).
    fn begin(&mut self, source: SourceId) {
        match self.heard.get(source.0) {
            Some(true) => {}
            Some(false) => self.lose(source),
            None => self.lost_all(),
        }
    }

    /// The sources that a loss is about: the one that was named, or all, if the ledger does not have it.
    fn named(&self, source: SourceId) -> impl Iterator<Item = SourceId> + use<> {
        let sources = if source.0 < self.heard.len() {
            source.0..source.0 + 1
        } else {
            self.ledger.note_unknown(source);
            0..self.heard.len()
        };
        sources.map(SourceId)
    }

    fn lose(&mut self, source: SourceId) {
        self.heard[source.0] = true;
        let position = self.advance();
        self.ledger.store_floor(source, position);
    }

    fn advance(&mut self) -> u64 {
        self.position += 1;
        self.ledger.store_position(self.position);
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::state::LedgerOptions;

    const ACCOUNTS: SourceId = SourceId(0);
    const METRICS: SourceId = SourceId(1);

    #[test]
    fn every_event_advances_the_position_and_passes_what_was_noted_before() {
        let (ledger, mut hearing) = Ledger::new(2, LedgerOptions::default());
        hearing.lost_all();
        let (slot, before) = (ledger.slot(ACCOUNTS, 42), ledger.position());
        assert!(!ledger.passed(slot, before));
        let position = hearing.changed(ACCOUNTS, 42);
        assert!(position > before);
        assert_eq!(ledger.position(), position);
        assert!(ledger.passed(slot, before));
        assert!(!ledger.passed(slot, position));
        assert!(hearing.changed(ACCOUNTS, 42) > position, "a repeat fences again");
        assert!(ledger.passed(slot, position));
    }

    #[test]
    fn only_a_deletion_passes_the_deletion_fence() {
        let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
        hearing.lost_all();
        let (slot, before) = (ledger.slot(ACCOUNTS, 42), ledger.position());
        hearing.changed(ACCOUNTS, 42);
        hearing.lost(ACCOUNTS);
        assert!(!ledger.deleted(slot, before));
        let before = ledger.position();
        let position = hearing.deleted(ACCOUNTS, 42);
        assert!(ledger.deleted(slot, before) && ledger.passed(slot, before));
        assert!(!ledger.deleted(slot, position) && !ledger.passed(slot, position));
    }

    #[test]
    fn a_loss_passes_every_entity_of_its_source_and_none_of_another() {
        let (ledger, mut hearing) = Ledger::new(2, LedgerOptions::default());
        hearing.lost_all();
        let before = ledger.position();
        hearing.lost(METRICS);
        assert!((0..1_000).all(|entity| ledger.passed(ledger.slot(METRICS, entity), before)));
        assert!((0..1_000).all(|entity| !ledger.passed(ledger.slot(ACCOUNTS, entity), before)));
        hearing.lost_all();
        assert!(ledger.passed(ledger.slot(ACCOUNTS, 0), before));
    }

    #[test]
    fn the_first_message_of_a_source_is_a_loss_and_the_second_is_not() {
        let (ledger, mut hearing) = Ledger::new(2, LedgerOptions::default());
        let before = ledger.position();
        hearing.watermark(METRICS, Moment::from_micros(1));
        assert!(ledger.passed(ledger.slot(METRICS, 7), before));
        assert!(!ledger.passed(ledger.slot(ACCOUNTS, 7), before));
        let heard = ledger.position();
        hearing.watermark(METRICS, Moment::from_micros(2));
        assert_eq!(ledger.position(), heard);
        hearing.changed(ACCOUNTS, 7);
        assert!(
            ledger.passed(ledger.slot(ACCOUNTS, 8), before),
            "its other entities too"
        );
    }

    #[test]
    fn nothing_that_was_heard_of_a_database_vouches_for_the_one_that_replaced_it() {
        let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
        hearing.watermark(ACCOUNTS, ledger.clock().now());
        let before = ledger.position();
        assert!(ledger.trusted(ACCOUNTS));
        hearing.replaced(ACCOUNTS);
        assert!(!ledger.trusted(ACCOUNTS) && ledger.watermark(ACCOUNTS).is_none());
        assert!(ledger.passed(ledger.slot(ACCOUNTS, 42), before));
        hearing.watermark(ACCOUNTS, ledger.clock().now());
        assert!(ledger.trusted(ACCOUNTS));
    }

    #[test]
    fn what_is_said_of_an_unknown_source_may_be_about_any() {
        const UNKNOWN: SourceId = SourceId(2);
        let (ledger, mut hearing) = Ledger::new(2, LedgerOptions::default());
        hearing.lost_all();
        let says: [fn(&mut Hearing); 4] = [
            |hearing| _ = hearing.changed(UNKNOWN, 7),
            |hearing| _ = hearing.deleted(UNKNOWN, 7),
            |hearing| hearing.lost(UNKNOWN),
            |hearing| hearing.replaced(UNKNOWN),
        ];
        for (counted, say) in (1..).zip(says) {
            hearing.watermark(ACCOUNTS, ledger.clock().now());
            let before = ledger.position();
            say(&mut hearing);
            for source in [ACCOUNTS, METRICS] {
                assert!(ledger.passed(ledger.slot(source, 42), before));
            }
            assert_eq!(ledger.unknown_sources(), counted);
        }
        assert!(
            !ledger.trusted(ACCOUNTS),
            "its database may be the one that was replaced"
        );
        let before = ledger.position();
        hearing.watermark(UNKNOWN, ledger.clock().now());
        assert_eq!(ledger.position(), before);
        assert!(!ledger.trusted(UNKNOWN) && ledger.watermark(UNKNOWN).is_none());
    }

    #[test]
    fn the_last_watermark_counts_and_not_the_latest() {
        let (ledger, mut hearing) = Ledger::new(1, LedgerOptions::default());
        assert_eq!(ledger.watermark(ACCOUNTS), None);
        hearing.watermark(ACCOUNTS, Moment::from_micros(20));
        hearing.watermark(ACCOUNTS, Moment::from_micros(10));
        assert_eq!(ledger.watermark(ACCOUNTS), Some(Moment::from_micros(10)));
    }

    #[test]
    fn of_many_sources_each_has_its_own_watermark() {
        let (ledger, mut hearing) = Ledger::new(9, LedgerOptions::default());
        for source in (0..9).map(SourceId).filter(|source| *source != METRICS) {
            hearing.watermark(source, ledger.clock().now());
        }
        for source in (0..9).map(SourceId) {
            assert_eq!(ledger.trusted(source), source != METRICS, "{source:?}");
            assert_eq!(
                ledger.watermark(source).is_some(),
                source != METRICS,
                "{source:?}"
            );
        }
    }

    #[test]
    fn the_number_of_fences_is_a_power_of_two_within_bounds() {
        let fences = |slots| {
            let options = LedgerOptions {
                slots,
                ..LedgerOptions::default()
            };
            options.fences()
        };
        assert_eq!([0, 1, 2, 3, 1_000].map(fences), [1, 1, 2, 4, 1_024]);
        for many in [LedgerOptions::MAX_SLOTS + 1, usize::MAX / 2 + 2, usize::MAX] {
            assert_eq!(fences(many), LedgerOptions::MAX_SLOTS);
        }
    }
}
