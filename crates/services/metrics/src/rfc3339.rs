//! The times of RFC 3339, to the letter of its grammar (section 5.6), as milliseconds of Unix time.
//!
//! jiff's own parser takes more, such as hours without minutes, commas, names of time zones and negative years, and fewer digits of a
//! fraction.

use jiff::civil::{Date, date};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// The millisecond that holds the moment which the text names; none if the text is no RFC 3339 time.
///
/// A leap second is taken where there may be one: as 23:59:60 UTC on the last day of June or December. Unix time has no place for
/// it, and counts it as the second that follows.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let mut text = Reader(text.as_bytes());
    let date = text.date()?;
    text.one_of(b"Tt")?;
    let (hour, minute) = text.hour_and_minute()?;
    text.one_of(b":")?;
    let second = text.number(2).filter(|second| *second <= 60)?;
    let fraction_ms = text.fraction_ms()?;
    let offset_ms = text.offset_ms()?;
    if !text.0.is_empty() {
        return None;
    }
    let minute_ms = days(date) * DAY_MS + (hour * 60 + minute) * MINUTE_MS - offset_ms;
    if second == 60 && !may_have_leap_second(minute_ms) {
        return None;
    }
    Some(minute_ms + second * SECOND_MS + fraction_ms)
}

fn days(of: Date) -> i64 {
    of.duration_since(date(1970, 1, 1)).as_hours() / 24
}

/// Whether the minute that begins then is the last one of June or December (section 5.7).
fn may_have_leap_second(minute_ms: i64) -> bool {
    let end = minute_ms + MINUTE_MS;
    let days = i32::try_from(end.div_euclid(DAY_MS));
    let day = days.ok().and_then(|days| {
        let since = jiff::SignedDuration::from_hours(i64::from(days) * 24);
        date(1970, 1, 1).checked_add(since).ok()
    });
    let begins_a_half_year = day.is_some_and(|day| matches!((day.month(), day.day()), (1 | 7, 1)));
    end.rem_euclid(DAY_MS) == 0 && begins_a_half_year
}

/// What is left of the text.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(*first)
    }

    /// So many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let mut number = 0;
        for _ in 0..digits {
            number = number * 10 + i64::from(self.one_of(b"0123456789")? - b'0');
        }
        Some(number)
    }

    /// A date that the calendar has.
    fn date(&mut self) -> Option<Date> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        )
        .ok()
    }

    fn hour_and_minute(&mut self) -> Option<(i64, i64)> {
        let hour = self.number(2).filter(|hour| *hour <= 23)?;
        self.one_of(b":")?;
        let minute = self.number(2).filter(|minute| *minute <= 59)?;
        Some((hour, minute))
    }

    /// Any number of digits behind a full stop, cut after the third; 0 where there is no full stop.
    fn fraction_ms(&mut self) -> Option<i64> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.one_of(b".")?;
        let (mut fraction, mut unit) = (self.number(1)? * 100, 10);
        while self.0.first().is_some_and(u8::is_ascii_digit) {
            fraction += self.number(1)? * unit;
            unit /= 10;
        }
        Some(fraction)
    }

    /// How far the local time is ahead of UTC.
    fn offset_ms(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let (hour, minute) = self.hour_and_minute()?;
        Some(sign * (hour * 60 + minute) * MINUTE_MS)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn jiffs(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn the_examples_of_the_standard_are_understood() {
        for (text, same) in [
            ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.52Z"),
            ("1996-12-19T16:39:57-08:00", "1996-12-20T00:39:57Z"),
            ("1937-01-01T12:00:27.87+00:20", "1937-01-01T11:40:27.87Z"),
            ("1990-12-31T23:59:60Z", "1991-01-01T00:00:00Z"),
            ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
        ] {
            assert_eq!(milliseconds(text), Some(jiffs(same)), "{text}");
        }
    }

    #[test]
    fn all_that_the_grammar_allows_is_understood() {
        let at = jiffs("2026-11-28T15:45:05Z");
        for (text, expected) in [
            ("2026-11-28t15:45:05z", at),
            ("2026-11-28T15:45:05-00:00", at),
            ("2026-11-28T15:45:05.1Z", at + 100),
            ("2026-11-28T15:45:05.12Z", at + 120),
            ("2026-11-28T15:45:05.1239999999Z", at + 123),
            ("2026-11-28T15:45:05.00000000000000000000000009Z", at),
            ("2026-11-29T15:44:05+23:59", at),
            ("2026-11-27T15:46:05-23:59", at),
            ("2024-02-29T00:00:00Z", jiffs("2024-02-29T00:00:00Z")),
            ("0000-01-01T00:00:00Z", jiffs("0000-01-01T00:00:00Z")),
            (
                "0000-01-01T00:00:00+23:59",
                jiffs("0000-01-01T00:00:00Z") - 1439 * MINUTE_MS,
            ),
            (
                "9999-12-31T23:59:59.999-23:59",
                253_402_300_799_999 + 1439 * MINUTE_MS,
            ),
            ("2016-12-31T23:59:60.5Z", jiffs("2017-01-01T00:00:00.5Z")),
            ("2017-01-01T09:59:60+10:00", jiffs("2017-01-01T00:00:00Z")),
            ("1969-12-31T23:59:59.9999Z", -1),
        ] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_understood() {
        for text in [
            "",
            "2026-11-28",
            "2026-11-28T15Z",
            "2026-11-28T15:45Z",
            "2026-11-28T15:45:05",
            "20261128T154505Z",
            "2026-11-28T154505Z",
            "2026-11-28 15:45:05Z",
            "2026-11-28_15:45:05Z",
            "2026-11-28T15:45:05,5Z",
            "2026-11-28T15:45:05.Z",
            "2026-11-28T15:45:05Z[UTC]",
            "2026-11-28T15:45:05+01:00[Europe/Berlin]",
            "2026-11-28T15:45:05+01",
            "2026-11-28T15:45:05+0100",
            "2026-11-28T15:45:05+01:00:00",
            "2026-11-28T15:45:05+24:00",
            "2026-11-28T15:45:05+01:60",
            "2026-11-28T15:45:05\u{2212}01:00",
            "2026-11-28T15:45:05ZZ",
            " 2026-11-28T15:45:05Z",
            "2026-11-28T15:45:05Z ",
            "2026-11-28T15:45:05Z\n",
            "-0001-11-28T15:45:05Z",
            "-000001-11-28T15:45:05Z",
            "+002026-11-28T15:45:05Z",
            "226-11-28T15:45:05Z",
            "12026-11-28T15:45:05Z",
            "2026-00-28T15:45:05Z",
            "2026-13-28T15:45:05Z",
            "2026-11-00T15:45:05Z",
            "2026-11-31T15:45:05Z",
            "2026-02-29T15:45:05Z",
            "2026-1-28T15:45:05Z",
            "2026-11-28T24:00:00Z",
            "2026-11-28T15:60:05Z",
            "2026-11-28T15:45:61Z",
            "2026-11-28T15:45:60Z",
            "2026-11-28T23:59:60Z",
            "2016-12-31T23:59:60+01:00",
            "2026-W48-6T15:45:05Z",
            "2026-332T15:45:05Z",
            "２026-11-28T15:45:05Z",
            "1767225600",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_jiff_writes_is_understood_as_it_was_meant(
            ms in -62_167_219_200_000..253_402_200_000_000_i64,
            offset in -1_439..=1_439_i32,
        ) {
            let written = Timestamp::from_millisecond(ms).unwrap();
            prop_assert_eq!(milliseconds(&format!("{written:.3}")), Some(ms));
            let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
            let local = written.display_with_offset(zone).to_string();
            // Its year has four digits in UTC, and perhaps not there.
            if !local.starts_with(['-', '+']) {
                prop_assert_eq!(milliseconds(&local), Some(ms), "{}", local);
            }
        }

        #[test]
        fn any_text_is_taken_or_refused_and_breaks_nothing(text in "[0-9TtZz:.+-]{0,40}|.*") {
            let _ = milliseconds(&text);
        }
    }
}
