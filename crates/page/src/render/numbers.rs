//! Numbers and times as a reader wants them.
//!
//! Nothing here looks at a clock: a page is rendered once and read for hours, so "3 minutes ago" would soon
//! be untrue.

use jiff::Timestamp;

use crate::fragment::Share;

/// `1,116`: a whole number in groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `97.92 %`, rounded down: a hundred per cent is said only where nothing failed.
pub(super) fn percent(share: Share) -> String {
    match share.get() * 1e2 {
        whole if whole.fract() == 0.0 => format!("{whole} %"),
        percent => format!("{:.2} %", (percent * 1e2).floor() / 1e2),
    }
}

/// `22 Nov 21:18` in UTC.
pub(super) fn short(time: Timestamp) -> String {
    time.strftime("%-d %b %H:%M").to_string()
}

/// `1 endpoint`, `2 endpoints`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_share_below_one_is_never_called_a_hundred_per_cent() {
        for (share, text) in [
            (1.0, "100 %"),
            (0.999_999, "99.99 %"),
            (0.9792, "97.92 %"),
            (0.5, "50 %"),
            (0.0, "0 %"),
        ] {
            assert_eq!(percent(Share::try_from(share).unwrap()), text);
        }
    }

    #[test]
    fn times_are_said_in_utc_and_rounded_down() {
        let time: Timestamp = "2026-11-02T07:05:03.0429Z".parse().unwrap();
        assert_eq!(short(time), "2 Nov 07:05");
    }
}
