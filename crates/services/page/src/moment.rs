//! Dates between the cache, which counts microseconds, and the wire, which writes RFC 3339.

use fresh_cache::Moment;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// The cache's date of a date on the wire. What lies before 1970 is no date at all.
pub(crate) fn moment(time: Timestamp) -> Moment {
    Moment::from_micros(u64::try_from(time.as_microsecond()).unwrap_or_default())
}

/// The cache's date, in whole milliseconds, rounded down: a page must not claim more than is true (rule 10).
pub(crate) fn timestamp(moment: Moment) -> Timestamp {
    let millis = i64::try_from(moment.as_micros() / 1000).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// `2026-11-22T21:18:03.042Z`: RFC 3339 with milliseconds, rounded down.
///
/// By hand, like [`InWords`]: the library's formatter costs more than all the rest of a cached page's headers.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    let time = Offset::UTC.to_datetime(time);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[..4], time.year().unsigned_abs());
    digits(&mut text[5..7], time.month().unsigned_abs().into());
    digits(&mut text[8..10], time.day().unsigned_abs().into());
    clock(&mut text[11..23], &time);
    ascii(&text).to_owned()
}

/// `22 Nov 21:18:03.042`: for people, in UTC, the milliseconds rounded down.
pub(crate) struct InWords(pub(crate) Timestamp);

impl maud::Render for InWords {
    fn render_to(&self, words: &mut String) {
        const MONTHS: [&[u8; 3]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
        ];
        let time = Offset::UTC.to_datetime(self.0);
        let day = u16::from(time.day().unsigned_abs());
        let mut text = *b"00 Jan 00:00:00.000";
        digits(&mut text[..2], day);
        text[3..6].copy_from_slice(MONTHS[usize::from(time.month().unsigned_abs()) - 1]);
        clock(&mut text[7..], &time);
        words.push_str(ascii(&text[usize::from(day < 10)..]));
    }
}

/// Writes over `00:00:00.000`.
fn clock(text: &mut [u8], time: &DateTime) {
    digits(&mut text[..2], time.hour().unsigned_abs().into());
    digits(&mut text[3..5], time.minute().unsigned_abs().into());
    digits(&mut text[6..8], time.second().unsigned_abs().into());
    digits(&mut text[9..12], time.millisecond().unsigned_abs());
}

/// Writes the last digits of a number, as many as there is room for.
pub(crate) fn digits(text: &mut [u8], mut number: u16) {
    for place in text.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).expect("a digit is below ten");
        number /= 10;
    }
}

/// What was written by these functions.
pub(crate) fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("digits and letters are ASCII")
}

/// How long ago that was, in seconds; below zero if it is yet to come.
pub(crate) fn seconds_since(time: Timestamp) -> f64 {
    Timestamp::now().duration_since(time).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use maud::Render as _;

    use super::*;

    #[test]
    fn dates_are_rounded_down() {
        let time: Timestamp = "2026-11-22T21:18:03.042999Z".parse().unwrap();
        assert_eq!(timestamp(moment(time)).to_string(), "2026-11-22T21:18:03.042Z");
    }

    #[test]
    fn dates_are_written_as_the_library_writes_them() {
        for text in [
            "2026-11-02T07:05:03.0429Z",
            "2026-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(rfc3339(time), format!("{time:.3}"));
            assert_eq!(
                InWords(time).render().into_string(),
                time.strftime("%-d %b %H:%M:%S%.3f").to_string()
            );
        }
        assert_eq!(rfc3339(Timestamp::MAX).len(), 24);
    }

    #[test]
    fn what_is_out_of_range_stays_a_date() {
        assert_eq!(moment(Timestamp::MIN), Moment::default());
        assert_eq!(timestamp(Moment::from_micros(u64::MAX)), Timestamp::MAX);
    }
}
