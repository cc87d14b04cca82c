//! Notices that something was not received, and who publishes for a source (rules 7 and 21). Pure: no broker, no clock.
//!
//! The broker may lose what it acknowledged, a consumer may skip what was deleted, a database may be reset or set back, and a
//! publisher that was replaced may wake up. None of that is announced. What reveals it is a source's own contiguous count of
//! its announcements, and the claim that every message states.

use std::collections::VecDeque;

use crate::outbox::Count;
use crate::{Claim, Incarnation};

/// Former claims that are remembered per source. A publisher that wakes up after so many others have followed it is taken
/// for a new one.
const RETIRED: usize = 256;
/// Of messages that state no claim: their program is older than claims are.
const UNCLAIMED: Claim = Claim(0);

/// Why something may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The first message of this source: what came before is unknown.
    FirstMessage,
    /// The first message of a new publisher: the former one may not have published everything it has.
    NewPublisher,
    /// The source's database is another one.
    NewIncarnation,
    /// The sequence jumped.
    Gap,
    /// A watermark counts more announcements than were received.
    Behind,
    /// A watermark counts fewer announcements than were received: the source's database was set back.
    SetBack,
    /// A message that says too little.
    Unreadable,
    /// The stream was made anew, cut short, or set back.
    Stream,
}

impl Cause {
    /// Every cause but the first messages of a source and of a publisher: with those, nothing was there to receive.
    pub(crate) const LOSSES: [Self; 6] = [
        Self::NewIncarnation,
        Self::Gap,
        Self::Behind,
        Self::SetBack,
        Self::Unreadable,
        Self::Stream,
    ];

    /// As a metric's label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FirstMessage => "first received",
            Self::NewPublisher => "new publisher",
            Self::NewIncarnation => "new incarnation",
            Self::Gap => "gap",
            Self::Behind => "behind",
            Self::SetBack => "set back",
            Self::Unreadable => "unreadable",
            Self::Stream => "stream",
        }
    }
}

/// How an announcement relates to what was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Next,
    Repeat,
    /// Its publisher is not the source's current one: it says that something changed, and proves nothing.
    Foreign,
}

/// Whether the publisher of a message on the watermark's subject is the source's current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublisherStatus {
    Current,
    /// It is, from this message on. Its next message counts as a first one: another history may have the same count.
    New,
    /// It did so once, and another one took over.
    Retired,
}

/// What is known of one source.
#[derive(Debug, Default)]
pub(crate) struct SourceSequence {
    /// Who publishes for the source. A history that was left is never returned to: a retired claim is never live again.
    live: Option<Claim>,
    retired: VecDeque<Claim>,
    last: Option<(Incarnation, u64)>,
    /// Whether the current publisher has counted anything yet.
    counted: bool,
}

impl SourceSequence {
    /// The announcement that was counted last.
    pub(crate) fn last(&self) -> Option<(Incarnation, u64)> {
        self.last
    }

    /// Takes note of an announcement: the loss it reveals, if any, and whether it is new.
    pub(crate) fn change(
        &mut self,
        claim: Option<Claim>,
        incarnation: Incarnation,
        sequence: u64,
    ) -> (Option<Cause>, Order) {
        if self.live != Some(claim.unwrap_or(UNCLAIMED)) {
            return (None, Order::Foreign);
        }
        let first = self.first_message(incarnation);
        let repeat = self
            .last
            .is_some_and(|(known, last)| known == incarnation && sequence <= last);
        let (loss, order) = match (first, self.last) {
            (Some(first), _) => (Some(first), if repeat { Order::Repeat } else { Order::Next }),
            (None, _) if repeat => return (None, Order::Repeat),
            (None, Some((_, last))) if sequence == last + 1 => (None, Order::Next),
            (None, _) => (Some(Cause::Gap), Order::Next),
        };
        self.count(incarnation, sequence);
        (loss, order)
    }

    /// Takes note of a claim, or of the claim that a watermark states. The messages on their subject form a chain, each
    /// published after its publisher saw the one before it; so the last one whose claim is not retired is the current publisher.
    pub(crate) fn claim(&mut self, claim: Option<Claim>) -> PublisherStatus {
        let claim = claim.unwrap_or(UNCLAIMED);
        if self.live == Some(claim) {
            return PublisherStatus::Current;
        }
        if self.retired.contains(&claim) {
            return PublisherStatus::Retired;
        }
        if let Some(former) = self.live.replace(claim) {
            self.retired.truncate(RETIRED - 1);
            self.retired.push_front(former);
        }
        self.counted = false;
        PublisherStatus::New
    }

    /// Whether this is the first message of the current publisher, or of another database.
    fn first_message(&self, incarnation: Incarnation) -> Option<Cause> {
        match self.last {
            None => Some(Cause::FirstMessage),
            Some((known, _)) if known != incarnation => Some(Cause::NewIncarnation),
            Some(_) => (!self.counted).then_some(Cause::NewPublisher),
        }
    }

    fn count(&mut self, incarnation: Incarnation, sequence: u64) {
        self.last = Some((incarnation, sequence));
        self.counted = true;
    }

    /// Takes note of a watermark of the current publisher for the source. A count above or below the one received is a loss.
    pub(crate) fn watermark(&mut self, count: Count) -> Option<Cause> {
        let Count {
            incarnation,
            sequence,
            ..
        } = count;
        let loss = self.first_message(incarnation).or(match self.last {
            Some((_, last)) if sequence > last => Some(Cause::Behind),
            Some((_, last)) if sequence < last => Some(Cause::SetBack),
            _ => None,
        });
        self.count(incarnation, sequence);
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);
    const X: Option<Claim> = Some(Claim(10));
    const Y: Option<Claim> = Some(Claim(11));
    const Z: Option<Claim> = Some(Claim(12));

    fn count(incarnation: Incarnation, sequence: u64) -> Count {
        Count {
            incarnation,
            sequence,
            nonce: None,
        }
    }

    /// One who has received X claim.
    fn following_x() -> SourceSequence {
        let mut received = SourceSequence::default();
        assert_eq!(received.claim(X), PublisherStatus::New);
        received
    }

    fn watermark(received: &mut SourceSequence, claim: Option<Claim>, count: Count) -> Option<Cause> {
        let publisher = received.claim(claim);
        assert_ne!(publisher, PublisherStatus::Retired);
        received.watermark(count)
    }

    #[test]
    fn the_first_message_of_a_source_is_a_loss_and_the_next_is_not() {
        let mut received = following_x();
        assert_eq!(
            received.change(X, A, 41),
            (Some(Cause::FirstMessage), Order::Next)
        );
        assert_eq!(received.change(X, A, 42), (None, Order::Next));
        assert_eq!(watermark(&mut received, X, count(A, 42)), None);
    }

    #[test]
    fn a_count_that_is_not_the_one_applied_is_a_loss_once_in_either_direction() {
        let mut received = following_x();
        received.change(X, A, 1);
        assert_eq!(watermark(&mut received, X, count(A, 3)), Some(Cause::Behind));
        assert_eq!(watermark(&mut received, X, count(A, 3)), None);
        assert_eq!(received.change(X, A, 4), (None, Order::Next));
        assert_eq!(watermark(&mut received, X, count(A, 2)), Some(Cause::SetBack));
        assert_eq!(watermark(&mut received, X, count(A, 2)), None);
    }

    #[test]
    fn another_incarnation_is_a_loss_even_if_its_count_fits() {
        let mut received = following_x();
        received.change(X, A, 7);
        assert_eq!(
            received.change(X, B, 8),
            (Some(Cause::NewIncarnation), Order::Next)
        );
        assert_eq!(
            watermark(&mut received, X, count(A, 8)),
            Some(Cause::NewIncarnation)
        );
    }

    #[test]
    fn a_history_that_was_left_is_never_returned_to() {
        let mut received = following_x();
        assert_eq!(received.claim(Y), PublisherStatus::New);
        assert_eq!(received.claim(X), PublisherStatus::Retired);
        assert_eq!(received.change(X, A, 1).1, Order::Foreign);
        assert_eq!(received.claim(Y), PublisherStatus::Current);
        for other in 100..100 + RETIRED as u64 - 1 {
            assert_eq!(received.claim(Some(Claim(other))), PublisherStatus::New);
        }
        assert_eq!(received.claim(X), PublisherStatus::Retired);
        assert_eq!(received.claim(Y), PublisherStatus::Retired);
    }

    #[test]
    fn the_first_message_of_another_publisher_is_a_loss_whatever_it_counts() {
        let mut received = following_x();
        received.change(X, A, 1);
        assert_eq!(
            received.change(Y, A, 2),
            (None, Order::Foreign),
            "an event claims nothing"
        );
        assert_eq!(
            watermark(&mut received, Y, count(A, 1)),
            Some(Cause::NewPublisher)
        );
        assert_eq!(watermark(&mut received, Y, count(A, 1)), None);
        assert_eq!(received.claim(Z), PublisherStatus::New);
        assert_eq!(received.change(Z, A, 2), (Some(Cause::NewPublisher), Order::Next));
        assert_eq!(watermark(&mut received, Z, count(A, 2)), None);
    }

    #[test]
    fn messages_without_a_claim_are_those_of_one_publisher_until_another_one_claims() {
        let mut received = SourceSequence::default();
        assert_eq!(
            watermark(&mut received, None, count(A, 1)),
            Some(Cause::FirstMessage)
        );
        assert_eq!(received.change(None, A, 2), (None, Order::Next));
        assert_eq!(received.claim(X), PublisherStatus::New);
        assert_eq!(received.claim(None), PublisherStatus::Retired);
    }

    proptest! {
        /// Whatever is dropped or repeated: after each watermark, every sequence it counts was received since the last
        /// reported loss, or a loss was reported.
        #[test]
        fn what_was_missed_is_always_reported(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..60),
        ) {
            let mut received = following_x();
            let mut sent = 0;
            let mut missed = true; // everything before the first message
            for (lost, repeated, told) in steps {
                sent += 1;
                if lost {
                    missed = true;
                } else {
                    for _ in 0..=u8::from(repeated) {
                        let (loss, _) = received.change(X, A, sent);
                        prop_assert_eq!(loss.is_some(), missed);
                        missed = false;
                    }
                }
                if told {
                    prop_assert_eq!(watermark(&mut received, X, count(A, sent)).is_some(), missed);
                    missed = false;
                }
            }
        }
    }
}
