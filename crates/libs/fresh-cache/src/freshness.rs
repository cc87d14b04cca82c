//! The proof that a part still is its source's answer, checked on every read (rules 8, 9, 10 and 12).

use std::time::Duration;

use crate::clock::{Date, Moment};
use crate::feed::state::{Ledger, Slot, Watermarks};
use crate::fragment::Evidence;

/// Why a part is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// An event or a loss was heard after its request began.
    Passed,
    /// It no longer holds by itself.
    Expired,
    /// Its source is not trusted, and no revalidation stands in.
    Distrusted,
    /// It was stale or missing when the page was composed.
    Degraded,
    /// The strategy takes nobody's word.
    Unasked,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Nothing: proven.
    pub(crate) doubt: Option<Doubt>,
    /// The part reflects everything its source committed before this date, proven or not.
    pub(crate) complete_until: Date,
}

/// One look at the ledger and the clocks, to check parts by.
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    ledger: &'a Ledger,
    watermarks: &'a Watermarks,
    now: Moment,
    monotonic: Duration,
}

impl<'a> Proof<'a> {
    /// Reads the clocks. The watermarks were loaded before: a reader that was paused in between must find them old.
    pub(crate) fn new(ledger: &'a Ledger, watermarks: &'a Watermarks) -> Self {
        let (now, monotonic) = (ledger.clock().now(), ledger.clock().monotonic());
        Self {
            ledger,
            watermarks,
            now,
            monotonic,
        }
    }

    /// The time of this check.
    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// The same, to be noted.
    pub(crate) const fn date(&self) -> Date {
        Date {
            monotonic: self.monotonic,
            moment: self.now,
        }
    }

    /// The same, on the clock that is never set.
    pub(crate) const fn monotonic(&self) -> Duration {
        self.monotonic
    }

    /// What was heard, for questions that are not about evidence.
    pub(crate) const fn ledger(&self) -> &Ledger {
        self.ledger
    }

    /// Checks one part.
    pub(crate) fn check(&self, slot: Slot, part: Evidence) -> Verdict {
        let doubt = self.doubt(slot, part);
        let complete_until = match doubt {
            // max(T, start) is sound only in this order: T was loaded first, the fence and the floor after it. What the
            // source committed before T was published before T, and heard or reported lost before T was stored; so its
            // fence or the floor was visible to the check above, which found the part's request to have begun after it.
            // And what was committed before the request began is in the answer anyway. This does not take trust: an old
            // T is a weak statement, not a false one, and a part that a revalidation stands in for passed the same check.
            // It takes the same publisher: what one has committed, another's T does not know.
            None | Some(Doubt::Distrusted) if self.vouched(slot, part) => {
                let watermark = self.watermarks.complete_until(slot.source());
                watermark.unwrap_or_default().max(part.complete_until)
            }
            _ => part.complete_until,
        };
        Verdict {
            doubt,
            complete_until,
        }
    }

    /// What a date is called now.
    pub(crate) fn tell(&self, date: Date) -> Moment {
        date.told_at(self.now, self.monotonic)
    }

    fn doubt(&self, slot: Slot, part: Evidence) -> Option<Doubt> {
        if self.ledger.passed(slot, part.position) {
            Some(Doubt::Passed)
        } else if part.holds_until.is_some_and(|until| until <= self.monotonic) {
            Some(Doubt::Expired)
        } else if !(self.confirmed_just_now(part) || self.vouched(slot, part) && self.trusted(slot)) {
            Some(Doubt::Distrusted)
        } else {
            None
        }
    }

    /// Whether the source's watermark is of the publisher that answered.
    fn vouched(&self, slot: Slot, part: Evidence) -> bool {
        self.watermarks.vouches(slot.source(), part.claim)
    }

    fn trusted(&self, slot: Slot) -> bool {
        self.watermarks.trusted(slot.source(), self.now, self.monotonic)
    }

    /// A revalidation stands in for trust for a while, counted from the start of its request (rule 12).
    fn confirmed_just_now(&self, part: Evidence) -> bool {
        part.started
            .is_some_and(|started| self.monotonic.saturating_sub(started.monotonic) < self.ledger.trust())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::feed::state::{LedgerOptions, SourceId};
    use crate::feed::writer::Hearing;
    use crate::fragment::{Claim, Part, Version};
    use std::sync::Arc;

    const SOURCE: SourceId = SourceId(0);
    const ENTITY: u64 = 42;
    const SECOND: Duration = Duration::from_secs(1);
    const MOMENT: Duration = Duration::from_micros(1);
    const ALMOST_A_SECOND: Duration = Duration::from_micros(999_999);

    /// A ledger that trusts its one source, on a clock that stands still.
    struct Bench {
        clock: ManualClock,
        ledger: Arc<Ledger>,
        hearing: Hearing,
    }

    impl Bench {
        fn new(clock_skew: Duration) -> Self {
            let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
            let options = LedgerOptions {
                clock_skew,
                ..LedgerOptions::default()
            };
            let (ledger, hearing) = Ledger::with_clock(1, options, Arc::new(clock.clone()));
            let mut bench = Self {
                clock,
                ledger,
                hearing,
            };
            bench.hear_watermark();
            bench
        }

        fn hear_watermark(&mut self) {
            self.hearing.watermark(SOURCE, self.clock.now());
        }

        fn fetch(&self, holds_for: Option<Duration>) -> Part<()> {
            let version = Version {
                incarnation: 1,
                revision: 1,
                nonce: 0,
            };
            Part::answered(
                SOURCE,
                self.ledger.stamp(),
                version,
                Some(Claim::default()),
                (),
                holds_for,
            )
        }

        fn check(&self, part: &Part<()>) -> (Option<Doubt>, Moment) {
            let watermarks = self.ledger.watermarks();
            let proof = Proof::new(&self.ledger, &watermarks);
            let verdict = proof.check(self.ledger.slot(SOURCE, ENTITY), part.evidence());
            (verdict.doubt, proof.tell(verdict.complete_until))
        }

        fn doubt(&self, part: &Part<()>) -> Option<Doubt> {
            self.check(part).0
        }
    }

    #[test]
    fn a_part_is_proven_until_an_event_of_its_entity_is_heard() {
        let mut bench = Bench::new(Duration::ZERO);
        let part = bench.fetch(None);
        let slot = bench.ledger.slot(SOURCE, ENTITY);
        let other = (0..100).find(|&entity| bench.ledger.slot(SOURCE, entity) != slot);
        let other = other.expect("a hundred entities do not share one slot");
        bench.hearing.changed(SOURCE, other);
        assert_eq!(bench.doubt(&part), None);
        bench.hearing.changed(SOURCE, ENTITY);
        assert_eq!(bench.doubt(&part), Some(Doubt::Passed));
        assert_eq!(bench.doubt(&bench.fetch(None)), None);
    }

    #[test]
    fn a_loss_leaves_nothing_proven_that_was_fetched_before() {
        let mut bench = Bench::new(Duration::ZERO);
        let part = bench.fetch(None);
        bench.hearing.lost(SOURCE);
        assert_eq!(bench.doubt(&part), Some(Doubt::Passed));
        assert_eq!(bench.doubt(&bench.fetch(None)), None);
    }

    #[test]
    fn a_part_without_evidence_is_never_proven() {
        let clock = ManualClock::at(Moment::from_micros(1_700_000_000_000_000));
        let (ledger, _hearing) = Ledger::with_clock(1, LedgerOptions::default(), Arc::new(clock));
        let part = Part::unproven(
            SOURCE,
            Version {
                incarnation: 1,
                revision: 1,
                nonce: 0,
            },
            (),
        );
        let watermarks = ledger.watermarks();
        let verdict = Proof::new(&ledger, &watermarks).check(ledger.slot(SOURCE, ENTITY), part.evidence());
        assert_eq!(
            verdict,
            Verdict {
                doubt: Some(Doubt::Passed),
                complete_until: Date::default()
            }
        );
    }

    #[test]
    fn an_answer_holds_as_long_as_it_said_from_the_start_of_its_request() {
        let mut bench = Bench::new(Duration::ZERO);
        let part = bench.fetch(Some(3 * SECOND));
        bench.clock.advance(2 * SECOND + ALMOST_A_SECOND);
        bench.hear_watermark();
        assert_eq!(bench.doubt(&part), None);
        bench.clock.advance(MOMENT);
        bench.hear_watermark();
        let verdict = (Some(Doubt::Expired), part.complete_until.moment);
        assert_eq!(
            bench.check(&part),
            verdict,
            "what depends on the clock is not vouched for by events"
        );
    }

    #[test]
    fn trust_ends_when_no_watermark_was_heard_for_a_second() {
        // The skew keeps T itself from ending it.
        let mut bench = Bench::new(60 * SECOND);
        let part = bench.fetch(None);
        bench.clock.advance(10 * SECOND);
        bench.hear_watermark();
        bench.clock.advance(ALMOST_A_SECOND);
        assert!(bench.ledger.trusted(SOURCE));
        assert_eq!(bench.doubt(&part), None);
        bench.clock.advance(MOMENT);
        assert!(!bench.ledger.trusted(SOURCE));
        assert_eq!(bench.doubt(&part), Some(Doubt::Distrusted));
    }

    #[test]
    fn hearing_an_old_watermark_is_no_evidence_of_life() {
        let mut bench = Bench::new(Duration::ZERO);
        let part = bench.fetch(None);
        bench.clock.advance(10 * SECOND);
        let second_ago = Moment::from_micros(bench.clock.now().as_micros() - 1_000_000);
        bench.hearing.watermark(SOURCE, second_ago);
        assert!(!bench.ledger.trusted(SOURCE));
        assert_eq!(bench.doubt(&part), Some(Doubt::Distrusted));
        bench.hearing.watermark(SOURCE, second_ago.saturating_add(MOMENT));
        assert!(bench.ledger.trusted(SOURCE));
        assert_eq!(bench.doubt(&part), None);
    }

    #[test]
    fn a_watermark_from_the_future_is_no_evidence_of_anything() {
        let mut bench = Bench::new(SECOND);
        let part = bench.fetch(None);
        bench.clock.advance(10 * SECOND);
        let future = bench.clock.now().saturating_add(SECOND + MOMENT);
        bench.hearing.watermark(SOURCE, future);
        let distrusted = (Some(Doubt::Distrusted), part.complete_until.moment);
        assert_eq!(bench.check(&part), distrusted);
        bench.clock.advance(MOMENT);
        assert_eq!(
            bench.check(&part),
            distrusted,
            "that the clock caught up makes it no truer"
        );
        bench
            .hearing
            .watermark(SOURCE, bench.clock.now().saturating_add(SECOND));
        assert_eq!(bench.doubt(&part), None, "the skew allows it");
    }

    #[test]
    fn nothing_is_complete_until_later_than_now() {
        let mut bench = Bench::new(SECOND);
        let part = bench.fetch(None);
        bench
            .hearing
            .watermark(SOURCE, bench.clock.now().saturating_add(SECOND));
        assert_eq!(bench.check(&part).1, bench.clock.now());
    }

    #[test]
    fn a_request_stands_in_for_trust_for_one_second_from_its_start() {
        let mut bench = Bench::new(Duration::ZERO);
        bench.clock.advance(10 * SECOND);
        let part = bench.fetch(None);
        bench.clock.advance(ALMOST_A_SECOND);
        assert_eq!(bench.doubt(&part), None);
        bench.clock.advance(MOMENT);
        assert_eq!(bench.doubt(&part), Some(Doubt::Distrusted));
        let part = bench.fetch(None);
        bench.hearing.changed(SOURCE, ENTITY);
        assert_eq!(bench.doubt(&part), Some(Doubt::Passed), "fences hold as ever");
    }

    #[test]
    fn a_part_is_complete_until_the_watermark_or_its_start_whichever_is_later() {
        let mut bench = Bench::new(Duration::ZERO);
        bench.clock.advance(SECOND / 2);
        let part = bench.fetch(None);
        let start = bench.clock.now();
        assert_eq!(bench.check(&part).1, start);
        bench.clock.advance(SECOND / 4);
        bench.hear_watermark();
        let watermark = bench.clock.now();
        bench.clock.advance(SECOND / 2);
        assert_eq!(bench.check(&part), (None, watermark));
        bench.clock.advance(2 * SECOND);
        let verdict = (Some(Doubt::Distrusted), watermark);
        assert_eq!(
            bench.check(&part),
            verdict,
            "an old watermark is still true of it"
        );
        bench.hearing.changed(SOURCE, ENTITY);
        bench.hear_watermark();
        assert_eq!(bench.check(&part), (Some(Doubt::Passed), start));
    }

    #[test]
    fn a_watermark_vouches_only_for_answers_of_its_own_publisher() {
        let mut bench = Bench::new(Duration::ZERO);
        let (old, new) = (Some(Claim::default()), Some(Claim(8)));
        let part = |bench: &Bench, claim| Part {
            claim,
            ..bench.fetch(None)
        };
        let parts = [part(&bench, old), part(&bench, new), part(&bench, None)];
        let start = bench.clock.now();
        bench.clock.advance(2 * SECOND);
        bench.hear_watermark();
        let check = |bench: &Bench| parts.each_ref().map(|part| bench.check(part));
        let doubted = (Some(Doubt::Distrusted), start);
        assert_eq!(check(&bench), [(None, bench.clock.now()), doubted, doubted]);
        bench.hearing.claimed(SOURCE, Claim(8));
        assert_eq!(
            check(&bench),
            [doubted, doubted, doubted],
            "the new one has not said anything yet"
        );
        bench.hear_watermark();
        assert_eq!(check(&bench), [doubted, (None, bench.clock.now()), doubted]);
    }

    #[test]
    fn a_clock_that_is_set_back_and_catches_up_brings_no_date_back() {
        let mut bench = Bench::new(Duration::ZERO);
        let right = bench.clock.now();
        bench.clock.step_to(right.saturating_add(8 * SECOND));
        bench.hear_watermark();
        let part = bench.fetch(None);
        bench.clock.step_to(right);
        assert_eq!(bench.check(&part).1, right);
        bench.clock.advance(10 * SECOND);
        assert_eq!(bench.check(&part).1, right, "and not eight seconds later");
    }

    #[test]
    fn an_old_watermark_is_no_younger_by_a_clock_that_is_set_back() {
        let mut bench = Bench::new(Duration::ZERO);
        bench.clock.advance(10 * SECOND);
        let told = bench.clock.now();
        bench.clock.advance(ALMOST_A_SECOND);
        bench.hearing.watermark(SOURCE, told);
        assert!(bench.ledger.trusted(SOURCE));
        bench.clock.advance(MOMENT);
        bench.clock.step_to(told);
        assert!(!bench.ledger.trusted(SOURCE));
    }

    #[test]
    fn a_machine_that_slept_claims_nothing_for_the_time_it_slept() {
        let mut bench = Bench::new(Duration::ZERO);
        bench.hear_watermark();
        let (part, asleep) = (bench.fetch(None), bench.clock.now());
        bench.clock.suspend(3600 * SECOND);
        assert!(!bench.ledger.trusted(SOURCE));
        assert_eq!(bench.check(&part).1, asleep);
    }
}
