//! The times of RFC 3339, to the letter of its grammar (section 5.6), as milliseconds of Unix time.
//!
//! jiff's own parser takes more, such as hours without minutes, commas, names of time zones and negative years, and fewer digits of a
//! fraction. So the form is compared first, and jiff reads the date and the times of day of it.

use std::iter::repeat;

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time, date};

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);

/// The millisecond that holds the moment which the text names; none if the text is no RFC 3339 time.
///
/// A leap second is taken where there may be one: as 23:59:60 UTC on the last day of June or December. Unix time has no place for
/// it, and counts it as the second that follows.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let (local, rest) = text.split_at_checked(19)?;
    if !has_form(local, "0000-00-00T00:00:00") {
        return None;
    }
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?),
        None => ("", rest),
    };
    let second: i64 = local[17..].parse().ok()?;
    let minute: DateTime = local[..16].parse().ok()?;
    let minute = minute.duration_since(EPOCH) - ahead_of_utc(offset)?;
    if second > 60 || (second == 60 && !may_have_leap_second(minute)) {
        return None;
    }
    let digits = fraction.bytes().chain(repeat(b'0')).take(3);
    let fraction_ms = digits.fold(0, |ms, digit| ms * 10 + i64::from(digit - b'0'));
    Some((minute.as_secs() + second) * 1_000 + fraction_ms)
}

/// Whether the text matches the form: `0` stands for a digit, `+` for a sign, any other character for itself.
fn has_form(text: &str, form: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        b'+' => matches!(byte, b'+' | b'-'),
        _ => byte.eq_ignore_ascii_case(&wanted),
    };
    text.len() == form.len() && text.bytes().zip(form.bytes()).all(fits)
}

/// How far the local time is ahead of UTC.
fn ahead_of_utc(offset: &str) -> Option<SignedDuration> {
    if has_form(offset, "Z") {
        return Some(SignedDuration::ZERO);
    }
    if !has_form(offset, "+00:00") {
        return None;
    }
    let ahead = offset[1..].parse::<Time>().ok()?.duration_since(Time::MIN);
    Some(if offset.starts_with('-') { -ahead } else { ahead })
}

/// Whether the minute that begins then is the last one of June or December (section 5.7).
fn may_have_leap_second(minute: SignedDuration) -> bool {
    let end = EPOCH.checked_add(minute + SignedDuration::from_mins(1));
    end.is_ok_and(|end| end.time() == Time::MIN && end.day() == 1 && matches!(end.month(), 1 | 7))
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
                jiffs("0000-01-01T00:00:00Z") - 1_439 * 60_000,
            ),
            (
                "9999-12-31T23:59:59.999-23:59",
                253_402_300_799_999 + 1_439 * 60_000,
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
