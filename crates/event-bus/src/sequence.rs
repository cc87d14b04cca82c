//! Notices that something was not heard (rule 7). Pure: no broker, no clock.
//!
//! The broker may lose what it acknowledged, a consumer may skip what was deleted, a database may be reset. None of
//! that is announced. What reveals it is a source's own contiguous count of its announcements.

use crate::Incarnation;

/// Why something may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The first word of this source: what came before is unknown.
    FirstHeard,
    /// The source's database is another one.
    NewIncarnation,
    /// The sequence jumped.
    Gap,
    /// A watermark counts more announcements than were heard.
    Behind,
    /// A message that says too little.
    Unreadable,
    /// The stream was made anew, cut short, or set back.
    Stream,
}

/// How an announcement relates to what was heard before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Next,
    Repeat,
}

/// What was heard of one source.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    last: Option<(Incarnation, u64)>,
}

impl Heard {
    /// Takes note of an announcement: the loss it reveals, if any, and whether it is new.
    pub(crate) fn change(&mut self, incarnation: Incarnation, sequence: u64) -> (Option<Cause>, Order) {
        let (loss, order) = match self.last {
            None => (Some(Cause::FirstHeard), Order::Next),
            Some((known, _)) if known != incarnation => (Some(Cause::NewIncarnation), Order::Next),
            Some((_, last)) if sequence <= last => return (None, Order::Repeat),
            Some((_, last)) if sequence == last + 1 => (None, Order::Next),
            Some(_) => (Some(Cause::Gap), Order::Next),
        };
        self.last = Some((incarnation, sequence));
        (loss, order)
    }

    /// Takes note of a watermark that counts `sequence` announcements. Fewer than heard is an old watermark, no loss.
    pub(crate) fn watermark(&mut self, incarnation: Incarnation, sequence: u64) -> Option<Cause> {
        let loss = match self.last {
            None => Some(Cause::FirstHeard),
            Some((known, _)) if known != incarnation => Some(Cause::NewIncarnation),
            Some((_, last)) if sequence > last => Some(Cause::Behind),
            Some(_) => return None,
        };
        self.last = Some((incarnation, sequence));
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Incarnation = Incarnation(1);
    const B: Incarnation = Incarnation(2);

    #[test]
    fn the_first_word_of_a_source_is_a_loss_and_the_next_is_not() {
        let mut heard = Heard::default();
        assert_eq!(heard.change(A, 41), (Some(Cause::FirstHeard), Order::Next));
        assert_eq!(heard.change(A, 42), (None, Order::Next));
        assert_eq!(heard.watermark(A, 42), None);
    }

    #[test]
    fn a_watermark_ahead_of_what_was_heard_is_a_loss_once() {
        let mut heard = Heard::default();
        heard.change(A, 1);
        assert_eq!(heard.watermark(A, 3), Some(Cause::Behind));
        assert_eq!(heard.watermark(A, 3), None);
        assert_eq!(heard.change(A, 4), (None, Order::Next));
    }

    #[test]
    fn another_incarnation_is_a_loss_even_if_its_count_fits() {
        let mut heard = Heard::default();
        heard.change(A, 7);
        assert_eq!(heard.change(B, 8), (Some(Cause::NewIncarnation), Order::Next));
        assert_eq!(heard.watermark(A, 8), Some(Cause::NewIncarnation));
    }

    proptest! {
        /// Whatever is dropped or repeated: after each watermark, every sequence it counts was heard since the last
        /// reported loss, or a loss was reported.
        #[test]
        fn what_was_missed_is_always_reported(
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..60),
        ) {
            let mut heard = Heard::default();
            let mut sent = 0;
            let mut missed = true; // everything before the first word
            for (lost, repeated, watermark) in steps {
                sent += 1;
                if lost {
                    missed = true;
                } else {
                    for _ in 0..=u8::from(repeated) {
                        let (loss, _) = heard.change(A, sent);
                        prop_assert_eq!(loss.is_some(), missed);
                        missed = false;
                    }
                }
                if watermark {
                    prop_assert_eq!(heard.watermark(A, sent).is_some(), missed);
                    missed = false;
                }
            }
        }
    }
}
