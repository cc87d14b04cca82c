//! What a `traceparent` says, read without making anything of it.

use opentelemetry::trace::{SpanId, TraceId};

/// The caller's span, and whether it is traced (W3C Trace Context, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traceparent {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) sampled: bool,
}

impl Traceparent {
    /// Reads one of the version in use, or what later versions are to begin with; none if it is not valid.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']).as_bytes();
        let (known, later) = text.split_at_checked(FORM.len())?;
        let [version, flags] = [0..2, 53..55].map(|digits| hexadecimal(&known[digits]));
        let [upper, lower, span_id] = [3..19, 19..35, 36..52].map(|digits| hexadecimal(&known[digits]));
        let (version, flags) = (version?, flags?);
        let trace_id = TraceId::from(u128::from(upper?) << 64 | u128::from(lower?));
        let span_id = SpanId::from(span_id?);
        let has_dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let ends_here = later.is_empty() || (version != 0 && later.starts_with(b"-"));
        let names_a_span = trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
        (has_dashes && ends_here && names_a_span && version != 0xff).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

/// Version, trace, span and flags: what every version begins with.
const FORM: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The number that at most 16 hexadecimal digits say, in lower case as the standard asks.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;

    use super::*;
    use crate::context_from_traceparent;

    const TRACED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn trace_and_flag_are_read() {
        let read = Traceparent::read(TRACED).unwrap();
        assert_eq!(read.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(read.sampled);
        let untraced = TRACED.replace("-01", "-00");
        assert!(!Traceparent::read(&untraced).unwrap().sampled);
    }

    /// The cases of the standard's own test suite, each on its way into a context.
    #[test]
    fn only_what_the_standard_allows_is_valid() {
        let valid = [
            TRACED.to_owned(),
            TRACED.replace("-01", "-03"),
            TRACED.replace("-01", "-ff"),
            TRACED.replace("00-", "cc-"),
            TRACED
                .replace("00-", "cc-")
                .replace("-01", "-01-what-the-future-will-be-like"),
            format!(" {TRACED}"),
            format!("\t{TRACED}"),
            format!("{TRACED} "),
            format!("{TRACED}\t"),
            format!("\t {TRACED} \t"),
        ];
        for text in valid {
            assert!(
                Traceparent::read(&text).is_some_and(|read| read.sampled),
                "{text}"
            );
            assert!(context_from_traceparent(&text).has_active_span(), "{text}");
        }
        let invalid = [
            // The version: two digits in lower case, and not ff.
            TRACED.replace("00-", "ff-"),
            TRACED.replace("00-", "CC-"),
            TRACED.replace("00-", ".0-"),
            TRACED.replace("00-", "0.-"),
            TRACED.replace("00-", "+0-"),
            TRACED.replace("00-", "000-"),
            TRACED.replace("00-", "0000-"),
            TRACED.replace("00-", "0-"),
            TRACED.replace("00-", "-"),
            // The trace's id: 32, and not zero.
            TRACED.replace("0af7", "0AF7"),
            TRACED.replace("0af7", ".af7"),
            TRACED.replace("319c-", "319.-"),
            TRACED.replace("0af7", "+af7"),
            TRACED.replace("0af7", "00af7"),
            TRACED.replace("0af7", "af7"),
            TRACED.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            // The span's id: 16, and not zero.
            TRACED.replace("b7ad", ".7ad"),
            TRACED.replace("3331-", "333.-"),
            TRACED.replace("b7ad", "+7ad"),
            TRACED.replace("b7ad", "0b7ad"),
            TRACED.replace("b7ad", "7ad"),
            TRACED.replace("b7ad6b7169203331", &"0".repeat(16)),
            // The flags: two, with nothing behind them that a later version has not begun with a dash.
            TRACED.replace("-01", "-.0"),
            TRACED.replace("-01", "-0."),
            TRACED.replace("-01", "-+1"),
            TRACED.replace("-01", "-0A"),
            TRACED.replace("-01", "-001"),
            TRACED.replace("-01", "-1"),
            TRACED.replace("-01", "-"),
            TRACED.replace("-01", ""),
            TRACED.replace("-01", "-01."),
            TRACED.replace("-01", "-01-"),
            TRACED.replace("-01", "-01-what-the-future-will-be-like"),
            TRACED
                .replace("00-", "cc-")
                .replace("-01", "-01.what-the-future-will-be-like"),
            String::new(),
            "00".to_owned(),
            "é".to_owned(),
        ];
        for text in invalid {
            assert_eq!(Traceparent::read(&text), None, "{text}");
            assert!(!context_from_traceparent(&text).has_active_span(), "{text}");
        }
    }
}
