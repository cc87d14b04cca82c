//! The clock by which a source dates what it announces.

use jiff::{SignedDuration, Timestamp};

use crate::outbox::Pending;

/// The machine's clock; for lessons and fault tests, one that is ahead of it or behind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset: SignedDuration,
}

impl Clock {
    /// A clock that is so far ahead of the machine's; behind it, if negative.
    pub fn ahead_by_milliseconds(offset: i64) -> Self {
        Self {
            offset: SignedDuration::from_millis(offset),
        }
    }

    pub(crate) fn now(self) -> Timestamp {
        self.shift(Timestamp::now())
    }

    /// What this clock showed when the row was written by the machine's.
    pub(crate) fn redate(self, row: &mut Pending) {
        if !self.offset.is_zero()
            && let Ok(time) = row.time.parse()
        {
            row.time = format!("{:.6}", self.shift(time));
        }
    }

    fn shift(self, time: Timestamp) -> Timestamp {
        let farthest = if self.offset.is_negative() {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        time.checked_add(self.offset).unwrap_or(farthest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_off_by_as_much_as_one_likes() {
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let shifted = |offset| Clock::ahead_by_milliseconds(offset).shift(noon).to_string();
        assert_eq!(shifted(0), "2026-01-01T12:00:00Z");
        assert_eq!(shifted(1_500), "2026-01-01T12:00:01.5Z");
        assert_eq!(shifted(-60_000), "2026-01-01T11:59:00Z");
        assert_eq!(shifted(i64::MAX), Timestamp::MAX.to_string());
        assert_eq!(shifted(i64::MIN), Timestamp::MIN.to_string());
    }
}
