//! Notices that the broker did not deliver what the source counts.
//!
//! A subscription gets messages again, and late: what was sent on a connection that broke comes after its successors. So a
//! jump of the count is a suspicion, and a loss once the broker says that everything before it was delivered.

use std::collections::BTreeSet;

use super::Place;
use crate::event::Message;
use crate::sequence::{Cause, PublisherStatus, SourceSequence};
use crate::{Event, Incarnation};

/// What the broker sends before it waits for acknowledgements. More than that cannot be on its way.
pub(super) const IN_FLIGHT: u16 = 64;

/// What was delivered, and what was not.
#[derive(Debug, Default)]
pub(super) struct Losses {
    sequence: SourceSequence,
    /// The furthest message so far. What comes from before it is a redelivery or a replay.
    frontier: Option<Place>,
    missing: Option<Missing>,
}

/// Changes that the source counts and that were not delivered yet.
#[derive(Debug)]
struct Missing {
    cause: Cause,
    incarnation: Incarnation,
    sequences: BTreeSet<u64>,
    /// The message that revealed it.
    before: u64,
}

impl Losses {
    /// Takes note of the stream that is subscribed to, by its end.
    pub(super) fn subscribed(&mut self, end: Place) -> Option<Cause> {
        let known = self.frontier?;
        if known.stream == end.stream && known.sequence <= end.sequence {
            return None;
        }
        self.missing = None;
        // Of another stream, nothing was delivered yet. Of one that was cut back, what is left was.
        let another = known.stream != end.stream;
        self.frontier = Some(if another { end.with_sequence(0) } else { end });
        Some(Cause::Stream)
    }

    /// Takes note of a message: the loss that it reveals, if that is certain already.
    pub(super) fn take(&mut self, message: &Message, place: Place) -> Option<Cause> {
        if let Some(known) = self.frontier
            && place.sequence <= known.sequence
        {
            self.arrived_late(message);
            return None;
        }
        self.frontier = Some(place);
        let before = self.sequence.last();
        let cause = match self.judge(message)? {
            Cause::NewPublisher => counted_on(before, message)?,
            cause => cause,
        };
        match cause {
            Cause::FirstMessage => None,
            cause @ (Cause::Gap | Cause::Behind) => self.suspect(cause, before, message, place),
            cause => {
                self.missing = None;
                Some(cause)
            }
        }
    }

    /// Takes note of a message that cannot be read.
    pub(super) fn take_unreadable(&mut self, place: Place) -> Option<Cause> {
        let again = self
            .frontier
            .is_some_and(|known| place.sequence <= known.sequence);
        if again {
            return None;
        }
        self.frontier = Some(place);
        Some(Cause::Unreadable)
    }

    /// Up to where the broker must have delivered everything before a suspicion is a loss; none: nothing is suspected.
    pub(super) fn suspected(&self) -> Option<u64> {
        self.missing.as_ref().map(|missing| missing.before)
    }

    /// What is still missing was lost.
    pub(super) fn confirmed(&mut self) -> Option<Cause> {
        self.missing.take().map(|missing| missing.cause)
    }

    fn judge(&mut self, message: &Message) -> Option<Cause> {
        match message {
            Message::Change(event) => {
                self.sequence
                    .change(event.claim, event.incarnation, event.sequence)
                    .0
            }
            Message::Claim { claim, .. } => {
                self.sequence.claim(Some(*claim));
                None
            }
            Message::Watermark { claim, count, .. } => {
                let publisher = self.sequence.claim(*claim);
                if publisher == PublisherStatus::Retired {
                    return None;
                }
                self.sequence.watermark(*count)
            }
        }
    }

    /// The changes between what was received before and what this message counts.
    fn suspect(
        &mut self,
        cause: Cause,
        before: Option<(Incarnation, u64)>,
        message: &Message,
        place: Place,
    ) -> Option<Cause> {
        let (incarnation, last) = before?;
        let end = match message {
            Message::Change(event) => event.sequence,
            Message::Watermark { count, .. } | Message::Claim { count, .. } => count.sequence + 1,
        };
        let missing = self.missing.get_or_insert(Missing {
            cause,
            incarnation,
            sequences: BTreeSet::new(),
            before: place.sequence,
        });
        missing.before = place.sequence;
        let several = usize::from(IN_FLIGHT) + 1;
        missing.sequences.extend((last + 1..end).take(several));
        if missing.sequences.len() < several {
            return None;
        }
        self.confirmed()
    }

    fn arrived_late(&mut self, message: &Message) {
        let (
            Some(missing),
            Message::Change(Event {
                incarnation,
                sequence,
                ..
            }),
        ) = (&mut self.missing, message)
        else {
            return;
        };
        if missing.incarnation == *incarnation {
            missing.sequences.remove(sequence);
        }
        if missing.sequences.is_empty() {
            self.missing = None;
        }
    }
}

/// What the first message of a new publisher of the same database reveals: nothing, if its count is the next. To a feed it is a
/// loss, because what a replica shows was vouched for by the former.
fn counted_on(before: Option<(Incarnation, u64)>, message: &Message) -> Option<Cause> {
    let (_, last) = before?;
    match message {
        Message::Change(event) => (event.sequence > last + 1).then_some(Cause::Gap),
        Message::Watermark { count, .. } if count.sequence > last => Some(Cause::Behind),
        Message::Watermark { count, .. } if count.sequence < last => Some(Cause::SetBack),
        Message::Watermark { .. } | Message::Claim { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::outbox::Count;
    use crate::{Claim, Nonce};

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);
    const CLAIM: Claim = Claim(10);

    fn at(sequence: u64) -> Place {
        Place { stream: 1, sequence }
    }

    fn change(incarnation: Incarnation, sequence: u64) -> Message {
        Message::Change(Event {
            id: String::new(),
            kind: String::new(),
            entity: String::new(),
            time: Timestamp::UNIX_EPOCH,
            sequence,
            revision: 1,
            nonce: Nonce(0),
            incarnation,
            claim: Some(CLAIM),
            data: Bytes::new(),
        })
    }

    fn watermark(incarnation: Incarnation, sequence: u64) -> Message {
        Message::Watermark {
            claim: Some(CLAIM),
            count: Count {
                incarnation,
                sequence,
                nonce: None,
            },
            complete_until: Timestamp::UNIX_EPOCH,
        }
    }

    /// Has received three changes, the last one at 4.
    fn receiving() -> Losses {
        let mut losses = Losses::default();
        assert_eq!(losses.take(&watermark(A, 0), at(1)), None);
        for sequence in 1..=3 {
            assert_eq!(losses.take(&change(A, sequence), at(sequence + 1)), None);
        }
        losses
    }

    #[test]
    fn what_was_lost_is_told_once_the_broker_has_delivered_all_before_it() {
        let mut losses = receiving();
        assert_eq!(losses.suspected(), None);
        assert_eq!(losses.take(&change(A, 5), at(8)), None);
        assert_eq!(losses.suspected(), Some(8));
        assert_eq!(losses.confirmed(), Some(Cause::Gap));
        assert_eq!(losses.suspected(), None);
        assert_eq!(losses.take(&watermark(A, 6), at(9)), None);
        assert_eq!(losses.suspected(), Some(9));
        assert_eq!(losses.confirmed(), Some(Cause::Behind));
        assert_eq!(losses.take(&watermark(A, 6), at(10)), None);
        assert_eq!(losses.suspected(), None);
    }

    #[test]
    fn what_comes_late_or_again_is_not_lost() {
        let mut losses = receiving();
        losses.take(&change(A, 6), at(9));
        losses.take(&change(A, 5), at(8));
        assert_eq!(losses.suspected(), Some(9));
        losses.take(&change(A, 4), at(6));
        assert_eq!(losses.suspected(), None);
        for sequence in 1..=6 {
            assert_eq!(losses.take(&change(A, sequence), at(sequence + 1)), None);
            assert_eq!(losses.suspected(), None, "a replay");
        }
        losses.take(&change(A, 7), at(12));
        assert_eq!(losses.suspected(), None);
    }

    #[test]
    fn more_than_can_be_on_its_way_is_lost_at_once() {
        let mut losses = receiving();
        let next = 4 + u64::from(IN_FLIGHT);
        assert_eq!(losses.take(&change(A, next), at(500)), None, "so many can");
        assert_eq!(losses.take(&change(A, next + 2), at(502)), Some(Cause::Gap));
        assert_eq!(
            losses.take(&change(A, next + 1_000_000), at(503)),
            Some(Cause::Gap)
        );
        assert_eq!(losses.take(&change(A, next + 1_000_001), at(504)), None);
    }

    #[test]
    fn a_publisher_that_counts_on_reveals_nothing_and_one_that_does_not_does() {
        let claimed = |message, by| match message {
            Message::Change(event) => Message::Change(Event { claim: by, ..event }),
            Message::Watermark {
                count,
                complete_until,
                ..
            } => Message::Watermark {
                claim: by,
                count,
                complete_until,
            },
            claim @ Message::Claim { .. } => claim,
        };
        let [y, z, last] = [11, 12, 13].map(|claim| Some(Claim(claim)));
        let mut losses = receiving();
        assert_eq!(losses.take(&claimed(watermark(A, 3), y), at(5)), None);
        assert_eq!(losses.take(&claimed(change(A, 4), y), at(6)), None);
        assert_eq!(losses.suspected(), None);
        assert_eq!(losses.take(&claimed(watermark(A, 5), z), at(7)), None);
        assert_eq!(losses.suspected(), Some(7));
        assert_eq!(losses.confirmed(), Some(Cause::Behind));
        assert_eq!(
            losses.take(&claimed(watermark(A, 4), last), at(8)),
            Some(Cause::SetBack)
        );
    }

    #[test]
    fn another_database_and_another_stream_are_losses_at_once() {
        let mut losses = receiving();
        assert_eq!(losses.take(&change(B, 1), at(9)), Some(Cause::NewIncarnation));
        assert_eq!(losses.subscribed(at(20)), None);
        assert_eq!(losses.subscribed(at(3)), Some(Cause::Stream), "cut back");
        assert_eq!(losses.take(&change(B, 2), at(4)), None);
        let anew = Place {
            stream: 2,
            sequence: 7,
        };
        assert_eq!(losses.subscribed(anew), Some(Cause::Stream));
        assert_eq!(losses.take(&change(B, 3), anew.with_sequence(1)), None);
        assert_eq!(losses.subscribed(anew), None);
        assert_eq!(
            losses.take_unreadable(anew.with_sequence(2)),
            Some(Cause::Unreadable)
        );
        assert_eq!(losses.take_unreadable(anew.with_sequence(2)), None);
    }
}
