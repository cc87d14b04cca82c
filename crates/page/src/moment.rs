//! Dates between the cache, which counts microseconds, and the wire, which writes RFC 3339.

use fresh_cache::Moment;
use jiff::Timestamp;

/// The cache's date of a date on the wire. What lies before 1970 is no date at all.
pub(crate) fn moment(time: Timestamp) -> Moment {
    Moment::from_micros(u64::try_from(time.as_microsecond()).unwrap_or_default())
}

/// The cache's date, in whole milliseconds, rounded down: a page must not claim more than is true (rule 10).
pub(crate) fn timestamp(moment: Moment) -> Timestamp {
    let millis = i64::try_from(moment.as_micros() / 1000).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// How long ago that was, in seconds; below zero if it is yet to come.
pub(crate) fn seconds_since(time: Timestamp) -> f64 {
    Timestamp::now().duration_since(time).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_rounded_down() {
        let time: Timestamp = "2026-11-22T21:18:03.042999Z".parse().unwrap();
        assert_eq!(timestamp(moment(time)).to_string(), "2026-11-22T21:18:03.042Z");
    }

    #[test]
    fn what_is_out_of_range_stays_a_date() {
        assert_eq!(moment(Timestamp::MIN), Moment::default());
        assert_eq!(timestamp(Moment::from_micros(u64::MAX)), Timestamp::MAX);
    }
}
