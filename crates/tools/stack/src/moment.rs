//! Points in time, as everyone on this machine reads them: the checks compare clocks that are one clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A point on the wall clock, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Before everything.
    pub const START: Self = Self(0);

    /// Reads the clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(micros(since))
    }

    /// Reads RFC 3339, as in `Fresh-As-Of`.
    pub fn parse(text: &str) -> Option<Self> {
        let micros = text.parse::<Timestamp>().ok()?.as_microsecond();
        u64::try_from(micros).ok().map(Self)
    }

    /// The same as a date.
    pub fn timestamp(self) -> Timestamp {
        let micros = i64::try_from(self.0).unwrap_or(i64::MAX);
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment, moved forward.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

impl fmt::Display for Moment {
    /// The time of the day in UTC, to the microsecond: as in the services' logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp().strftime("%H:%M:%S%.6f"))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_what_a_page_writes() {
        let moment = Moment::parse("2026-11-22T21:18:03.042Z").unwrap();
        assert_eq!(moment.to_string(), "21:18:03.042000");
        assert_eq!(Moment::parse("soon"), None);
        let later = moment.plus(Duration::from_millis(5));
        assert_eq!(later.since(moment), Duration::from_millis(5));
        assert_eq!(moment.since(later), Duration::ZERO);
    }
}
