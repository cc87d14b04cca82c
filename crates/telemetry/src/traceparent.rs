//! What a `traceparent` says, read without making anything of it.

use opentelemetry::trace::TraceId;

/// The caller's trace, and whether it is traced (W3C Trace Context, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traceparent {
    pub(crate) trace_id: TraceId,
    pub(crate) sampled: bool,
}

impl Traceparent {
    /// Reads one of the version in use, or what later versions are to begin with; none if it is not valid.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let (trace_id, rest) = rest.split_once('-')?;
        let (span_id, flags) = rest.split_once('-')?;
        let flags = match flags.split_once('-') {
            Some(_) if version == "00" => return None,
            Some((flags, _)) => flags,
            None => flags,
        };
        if version == "ff" {
            return None;
        }
        hexadecimal(version, 2)?;
        let trace_id = TraceId::from(hexadecimal(trace_id, 32)?);
        let span_id = hexadecimal(span_id, 16)?;
        let flags = hexadecimal(flags, 2)?;
        (trace_id != TraceId::INVALID && span_id != 0).then_some(Self {
            trace_id,
            sampled: flags & 1 == 1,
        })
    }
}

/// The number that as many hexadecimal digits say, in lower case as the standard asks.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    if text.len() != digits {
        return None;
    }
    text.bytes().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
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

    #[test]
    fn only_what_the_standard_allows_is_valid() {
        let valid = [
            TRACED.to_owned(),
            TRACED.replace("-01", "-03"),
            TRACED.replace("00-", "cc-").replace("-01", "-01-more"),
        ];
        for text in valid {
            assert!(Traceparent::read(&text).is_some(), "{text}");
            assert!(context_from_traceparent(&text).has_active_span(), "{text}");
        }
        let invalid = [
            TRACED.replace("-01", "-0"),
            TRACED.replace("-01", "-01-more"),
            TRACED.replace("-01", "-0g"),
            TRACED.replace("00-", "ff-"),
            TRACED.replace('a', "A"),
            TRACED.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            TRACED.replace("b7ad6b7169203331", &"0".repeat(16)),
            TRACED.replace("b7ad6b7169203331", "+7ad6b7169203331"),
            String::new(),
            "00".to_owned(),
            "é".to_owned(),
        ];
        for text in invalid {
            assert_eq!(Traceparent::read(&text), None, "{text}");
        }
    }
}
