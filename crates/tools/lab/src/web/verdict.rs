//! Whether what a replica shows is true, as far as it can be told from outside.
//!
//! An answer is held against the compositions, which no cache took part in, that were there before it was asked for. So
//! whatever they showed had been committed by then.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use stack::{PROMISE, PerSource};

/// How many different compositions are remembered.
const REMEMBERED: usize = 256;

/// The revisions of the parts of a page; none where one is missing.
pub(super) type Revisions = PerSource<Option<u64>>;

/// One answer, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) etag: String,
    pub(super) revisions: Revisions,
    /// It says itself that something is stale or missing.
    pub(super) marked: Option<String>,
    pub(super) fresh_as_of: Option<Timestamp>,
    /// When it was asked for.
    pub(super) asked: Timestamp,
    /// How old its reader lets it be.
    pub(super) accepted: Duration,
}

/// What is said of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) colour: Colour,
    pub(super) why: String,
}

/// The colour of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Colour {
    /// Equal to a fresh composition.
    Green,
    /// Not equal or not whole, and it says so; or within its second.
    Amber,
    /// Not equal, and it does not say so.
    Red,
    /// Cannot be told.
    Grey,
}

/// What an answer lacks.
struct Missed {
    /// When a composition was first seen to hold it.
    since: Timestamp,
    /// A source changed; else only the clock went on.
    changed: bool,
}

/// What fresh compositions of one page have shown, and when first.
#[derive(Debug, Default)]
pub(super) struct Compositions {
    sightings: Vec<(Timestamp, Shown)>,
    /// The last composition was whole.
    current: bool,
}

impl Compositions {
    /// Notes a composition that was answered at a moment; none if there was no answer.
    pub(super) fn note(&mut self, answered: Timestamp, shown: Option<Shown>) {
        let whole = shown.filter(|shown| shown.marked.is_none());
        self.current = whole.is_some();
        let Some(shown) = whole else { return };
        if self
            .sightings
            .last()
            .is_some_and(|(_, last)| last.etag == shown.etag)
        {
            return;
        }
        if self.sightings.len() == REMEMBERED {
            self.sightings.remove(0);
        }
        self.sightings.push((answered, shown));
    }

    /// Judges what a replica showed.
    pub(super) fn judge(&self, shown: &Shown) -> Verdict {
        let missed = self.missed(shown);
        if let Some(how) = &shown.marked {
            return verdict(Colour::Amber, format!("says so itself: {how}"));
        }
        let Some(Missed { since, changed }) = missed else {
            return if self.current && self.before(shown).next().is_some() {
                verdict(Colour::Green, "equal to a fresh composition, or newer".to_owned())
            } else {
                verdict(Colour::Grey, "no whole composition to compare it with".to_owned())
            };
        };
        if changed && shown.fresh_as_of.is_some_and(|moment| moment > since) {
            return verdict(
                Colour::Red,
                "lacks a change from before its own Fresh-As-Of".to_owned(),
            );
        }
        let age = shown.asked.duration_since(since);
        if age.unsigned_abs() > PROMISE.max(shown.accepted) {
            let seconds = age.as_millis() / 1000;
            return verdict(
                Colour::Red,
                format!("lacks a change of at least {seconds} s ago, and does not say so"),
            );
        }
        if age.unsigned_abs() > PROMISE {
            let seconds = shown.accepted.as_secs();
            return verdict(
                Colour::Amber,
                format!("lacks a change, within the {seconds} s that its reader accepts"),
            );
        }
        verdict(Colour::Amber, "lacks a change of under a second ago".to_owned())
    }

    /// What was composed before an answer was asked for.
    fn before(&self, shown: &Shown) -> impl Iterator<Item = &(Timestamp, Shown)> {
        let asked = shown.asked;
        self.sightings.iter().take_while(move |(at, _)| *at <= asked)
    }

    /// The first composition that holds something which an answer lacks.
    fn missed(&self, shown: &Shown) -> Option<Missed> {
        let lacks = |known: &Shown| {
            let mut pairs = known.revisions.values().zip(shown.revisions.values());
            pairs.any(|(known, shown)| matches!((known, shown), (Some(known), Some(shown)) if known > shown))
        };
        if let Some((at, _)) = self.before(shown).find(|(_, known)| lacks(known)) {
            return Some(Missed {
                since: *at,
                changed: true,
            });
        }
        // Equal revisions and other bytes that were right once: the clock turned over a window, of which Fresh-As-Of
        // says nothing. Bytes that were never composed may be those of the next window.
        let mut later = self
            .before(shown)
            .skip_while(|(_, known)| known.etag != shown.etag);
        let (since, _) = later.nth(1)?;
        Some(Missed {
            since: *since,
            changed: false,
        })
    }
}

fn verdict(colour: Colour, why: String) -> Verdict {
    Verdict { colour, why }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use stack::Source;

    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(milliseconds: i64) -> Timestamp {
        START + SignedDuration::from_millis(milliseconds)
    }

    fn shown(account: u64, fresh_as_of: i64, asked: i64) -> Shown {
        let etag = format!("W/\"json-24h-{account}.4.4-cafe{account}\"");
        Shown {
            revisions: PerSource::from_fn(|source| {
                Some(if source == Source::Accounts { account } else { 4 })
            }),
            etag,
            marked: None,
            fresh_as_of: Some(at(fresh_as_of)),
            asked: at(asked),
            accepted: Duration::ZERO,
        }
    }

    /// Revision 1 was seen at once, revision 2 after ten seconds.
    fn seen() -> Compositions {
        let mut seen = Compositions::default();
        seen.note(at(0), Some(shown(1, 0, 0)));
        seen.note(at(10_000), Some(shown(2, 10_000, 9_990)));
        seen.note(at(10_500), Some(shown(2, 10_500, 10_490)));
        seen
    }

    #[test]
    fn what_equals_the_composition_or_is_newer_is_green() {
        assert_eq!(seen().judge(&shown(2, 9_000, 10_600)).colour, Colour::Green);
        assert_eq!(seen().judge(&shown(3, 9_000, 10_600)).colour, Colour::Green);
    }

    #[test]
    fn what_lacks_a_change_is_red_after_a_second_and_amber_before() {
        assert_eq!(seen().judge(&shown(1, 9_000, 10_600)).colour, Colour::Amber);
        assert_eq!(seen().judge(&shown(1, 9_000, 11_001)).colour, Colour::Red);
    }

    #[test]
    fn what_lacks_a_change_is_amber_for_as_long_as_its_reader_accepts_that() {
        let accepted = |asked| Shown {
            accepted: Duration::from_secs(5),
            ..shown(1, 9_000, asked)
        };
        let within = seen().judge(&accepted(14_900));
        assert_eq!(within.colour, Colour::Amber);
        assert!(within.why.contains("within the 5 s"), "{}", within.why);
        assert_eq!(seen().judge(&accepted(15_100)).colour, Colour::Red);
    }

    #[test]
    fn what_claims_a_moment_after_a_change_that_it_lacks_is_red_at_once() {
        assert_eq!(seen().judge(&shown(1, 10_001, 10_002)).colour, Colour::Red);
    }

    #[test]
    fn what_was_composed_after_the_answer_was_asked_for_says_nothing_of_it() {
        assert_eq!(seen().judge(&shown(1, 9_000, 9_999)).colour, Colour::Green);
        assert_eq!(seen().judge(&shown(1, -9_000, -1)).colour, Colour::Grey);
    }

    #[test]
    fn what_says_so_itself_is_amber_however_old_it_is() {
        let mut stale = shown(1, 0, 99_000);
        stale.marked = Some("accounts stale".to_owned());
        assert_eq!(seen().judge(&stale).colour, Colour::Amber);
    }

    #[test]
    fn without_a_whole_composition_nothing_is_called_green() {
        let mut seen = seen();
        let mut partial = shown(2, 0, 0);
        partial.marked = Some("metrics stale".to_owned());
        seen.note(at(11_000), Some(partial));
        assert_eq!(seen.judge(&shown(2, 9_000, 11_001)).colour, Colour::Grey);
        // What was known before is still known.
        assert_eq!(seen.judge(&shown(1, 9_000, 11_001)).colour, Colour::Red);
    }

    #[test]
    fn a_window_that_ended_is_a_difference_and_one_that_begins_is_none() {
        let mut seen = seen();
        let mut next = shown(2, 20_000, 19_990);
        next.etag.push('x');
        assert_eq!(
            seen.judge(&next).colour,
            Colour::Green,
            "the composition is the older one"
        );
        seen.note(at(20_000), Some(next));
        assert_eq!(seen.judge(&shown(2, 20_100, 20_200)).colour, Colour::Amber);
        assert_eq!(seen.judge(&shown(2, 21_900, 22_000)).colour, Colour::Red);
    }
}
