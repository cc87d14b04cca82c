//! Says an outage when it begins and when it is over, not at every attempt.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same line is written at most this often, however often an outage begins.
const REPEAT_AFTER: Duration = Duration::from_mins(1);
/// Reasons that are told apart. An outage with more of them does not get more lines.
const REASONS: usize = 16;

/// Decides which lines of an outage are written: one for each reason, and one when it is over.
///
/// It is told of every attempt. A connection that comes and goes begins an outage each time: then too, a reason is said
/// at most once a minute, and the end is said only if its beginning was.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// Counts outages, so that a long one does not repeat itself after a minute.
    number: u64,
    /// An outage goes on.
    wrong: bool,
    /// The log says that it does.
    said: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    reason: String,
    outage: u64,
    at: Instant,
}

impl Outage {
    /// An attempt failed for this reason. Whether a line has to say so.
    pub(crate) fn failed(&mut self, reason: &str, now: Instant) -> bool {
        if !self.wrong {
            self.wrong = true;
            self.number += 1;
        }
        let outage = self.number;
        let recent = |line: &Line| line.outage == outage || now.duration_since(line.at) < REPEAT_AFTER;
        self.lines.retain(recent);
        if self.lines.len() == REASONS || self.lines.iter().any(|line| line.reason == reason) {
            return false;
        }
        self.lines.push(Line {
            reason: reason.to_owned(),
            outage,
            at: now,
        });
        self.said = true;
        true
    }

    /// The log says that an outage goes on.
    pub(crate) fn is_said(&self) -> bool {
        self.said
    }

    /// An attempt succeeded. Whether a line has to say that the outage is over.
    pub(crate) fn over(&mut self) -> bool {
        self.wrong = false;
        std::mem::take(&mut self.said)
    }
}

/// Lines about single happenings, of which there may be thousands a second: each is written at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<Outage>);

impl Seldom {
    /// Whether to write this line now.
    pub(crate) fn say(&self, line: &str) -> bool {
        let mut outage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is over at once.
        let say = outage.failed(line, Instant::now());
        outage.over();
        say
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Duration = Duration::from_millis(100);

    #[test]
    fn a_long_outage_is_said_once_and_its_end_once() {
        let (mut outage, mut now) = (Outage::default(), Instant::now());
        let mut said = 0;
        for _ in 0..10_000 {
            said += u32::from(outage.failed("refused", now));
            now += ATTEMPT;
        }
        assert_eq!(said, 1);
        assert!(outage.over());
        assert!(!outage.over(), "it is over only once");
    }

    #[test]
    fn another_reason_within_an_outage_is_said_once_too() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        let said: Vec<bool> = ["away", "refused", "away", "refused"]
            .map(|reason| outage.failed(reason, now))
            .to_vec();
        assert_eq!(said, [true, true, false, false]);
        assert!(outage.over());
    }

    #[test]
    fn a_connection_that_comes_and_goes_is_said_once_a_minute() {
        let (mut outage, mut now) = (Outage::default(), Instant::now());
        let (mut begun, mut ended) = (0, 0);
        for _ in 0..3_000 {
            begun += u32::from(outage.failed("kicked out", now));
            ended += u32::from(outage.over());
            now += ATTEMPT;
        }
        assert_eq!((begun, ended), (5, 5), "five minutes");
    }

    #[test]
    fn what_begins_within_the_minute_and_lasts_is_said_after_it() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert!(outage.failed("refused", start));
        assert!(outage.over());
        assert!(!outage.failed("refused", start + ATTEMPT));
        assert!(outage.failed("refused", start + REPEAT_AFTER));
        assert!(outage.over());
    }

    #[test]
    fn a_happening_is_said_once_a_minute() {
        let seldom = Seldom::default();
        let said = ["lost", "unreadable", "lost", "lost", "unreadable"].map(|line| seldom.say(line));
        assert_eq!(said, [true, true, false, false, false]);
    }

    #[test]
    fn reasons_without_number_do_not_flood() {
        let (mut outage, now) = (Outage::default(), Instant::now());
        let said = (0..1_000).filter(|number| outage.failed(&format!("message {number}"), now));
        assert_eq!(said.count(), REASONS);
    }
}
