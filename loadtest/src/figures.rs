//! Numbers as a reader wants them: as many digits as mean something, and never a rounding that makes a promise true.

/// What stands where nothing was measured.
pub(crate) const ABSENT: &str = "-";

/// A whole number as a fraction; three digits are told, so that 52 bits are enough.
#[expect(
    clippy::cast_precision_loss,
    reason = "three significant digits are told of it"
)]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

/// The share that `part` is of `whole`; none of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

/// `1,116`: a whole number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
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

/// `0.042`, `3.14`, `31.4`, `3,140`: to three digits, whole from a hundred on.
pub(crate) fn brief(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        return ABSENT.to_owned();
    }
    match size {
        _ if number == 0.0 => "0".to_owned(),
        _ if size < 0.00995 => format!("{number:.5}"),
        _ if size < 0.0995 => format!("{number:.3}"),
        _ if size < 9.995 => format!("{number:.2}"),
        _ if size < 99.95 => format!("{number:.1}"),
        _ => whole(number),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is rounded, and a cast stops at the largest number that there is"
)]
fn whole(number: f64) -> String {
    let digits = grouped(number.abs().round() as u64);
    if number < 0.0 {
        format!("-{digits}")
    } else {
        digits
    }
}

/// A number that somebody chose, such as `20` or `0.25`: as it is, to three decimals, or one from ten on.
pub(crate) fn chosen(number: f64) -> String {
    let parts = if number.abs() < 10.0 { 1e3 } else { 1e1 };
    let rounded = (number * parts).round() / parts;
    if rounded.fract() == 0.0 {
        whole(rounded)
    } else {
        format!("{rounded}")
    }
}

/// Microseconds as a number of milliseconds, such as `3.14`.
pub(crate) fn milliseconds(us: u64) -> String {
    brief(float(us) / 1e3)
}

/// Microseconds with their unit, such as `3.14 ms` or `12.1 s`.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", milliseconds(us)),
        _ => format!("{} s", brief(float(us) / 1e6)),
    }
}

/// A share as a number of per cent: `100` and `0` only where it is all or nothing.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 1e2;
    match percent {
        _ if !percent.is_finite() => ABSENT.to_owned(),
        _ if share <= 0.0 || share >= 1.0 => format!("{percent:.0}"),
        _ if percent < 0.01 => "<0.01".to_owned(),
        _ if percent > 99.99 => ">99.99".to_owned(),
        _ => format!("{percent:.2}"),
    }
}

/// What `format` makes of a value that may be missing.
pub(crate) fn known<T>(value: Option<T>, format: impl Fn(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), format)
}

/// `one, two and three`.
pub(crate) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_whatever_their_size() {
        let told = [
            0.0, 0.000_42, 0.042, 0.42, 2.5678, 9.97, 25.678, 99.7, 2567.8, -2567.8,
        ]
        .map(brief);
        let expected = [
            "0", "0.00042", "0.042", "0.42", "2.57", "9.97", "25.7", "99.7", "2,568", "-2,568",
        ];
        assert_eq!(told, expected);
        assert_eq!(brief(f64::NAN), ABSENT);
        assert_eq!(
            [20.0, 0.25, 1200.0, 101.786].map(chosen),
            ["20", "0.25", "1,200", "101.8"]
        );
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        let told = [0.0, 0.000_01, 0.1234, 0.9998, 0.999_999, 1.0].map(percent);
        assert_eq!(told, ["0", "<0.01", "12.34", "99.98", ">99.99", "100"]);
    }

    #[test]
    fn durations_choose_their_unit() {
        let told = [0, 999, 1_000, 45_250, 999_499, 12_100_000].map(duration);
        assert_eq!(told, ["0 µs", "999 µs", "1.00 ms", "45.2 ms", "999 ms", "12.1 s"]);
        assert_eq!(share(1, 0), None);
    }

    #[test]
    fn lists_read_as_sentences_do() {
        let words = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            [listed(&words), listed(&words[..1]), listed(&[])],
            ["a, b and c", "a", ""]
        );
    }
}
