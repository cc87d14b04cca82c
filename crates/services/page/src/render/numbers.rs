//! Numbers and times as a reader wants them.
//!
//! Nothing here looks at a clock: a page is rendered once and read for hours, so "3 minutes ago" would soon
//! be untrue.

use jiff::Timestamp;

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

/// `97.91 %`, which is 47 of 48, rounded down: a hundred per cent is said only where nothing failed. None of nothing.
///
/// In whole numbers: the product of a share and a hundred may lie just below the number that it is.
pub(super) fn percent(part: u64, whole: u64) -> Option<String> {
    let part = u128::from(part);
    let hundredths = (part * 10_000).checked_div(u128::from(whole))?;
    Some(match (part * 100) % u128::from(whole) {
        0 => format!("{} %", hundredths / 100),
        _ => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    })
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
    use crate::fragment::Share;

    #[test]
    fn digits_stand_in_groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_share_below_one_is_never_called_a_hundred_per_cent() {
        for (part, whole, text) in [
            (7, 7, "100 %"),
            (999_999, 1_000_000, "99.99 %"),
            (47, 48, "97.91 %"),
            (58, 100, "58 %"),
            (1, 2, "50 %"),
            (0, 48, "0 %"),
            (u64::MAX - 1, u64::MAX, "99.99 %"),
        ] {
            assert_eq!(percent(part, whole).as_deref(), Some(text));
        }
        assert_eq!(percent(0, 0), None);
    }

    /// Of every number of samples that a day or so has, as metrics says it: a quotient, written and read as JSON.
    #[test]
    fn a_share_of_samples_is_told_as_it_is_counted() {
        for whole in 1..=200_u32 {
            for part in 0..=whole {
                let json = serde_json::to_string(&(f64::from(part) / f64::from(whole))).unwrap();
                let share: Share = serde_json::from_str(&json).unwrap();
                let counted = share.of(whole.into());
                assert_eq!(counted, u64::from(part), "{part} of {whole}");
                let told = percent(counted, whole.into()).unwrap();
                let hundredths = part * 10_000 / whole;
                let exact = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                let told = told.strip_suffix(" %").unwrap();
                let padded = if told.contains('.') {
                    told.to_owned()
                } else {
                    format!("{told}.00")
                };
                assert_eq!(padded, exact, "{part} of {whole}");
                assert_eq!(told == "100", part == whole, "{part} of {whole}");
            }
        }
    }

    #[test]
    fn times_are_said_in_utc_and_rounded_down() {
        let time: Timestamp = "2026-11-02T07:05:03.0429Z".parse().unwrap();
        assert_eq!(short(time), "2 Nov 07:05");
    }
}
