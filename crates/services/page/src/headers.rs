//! The headers by which an answer says how it was served and how fresh it is; and how headers that are lists are read.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use fresh_cache::{Brought, Fetch, Forward, Outcome};

use crate::moment::{ascii, digits};
use crate::source::Source;

/// The moment up to which the page is complete.
pub(crate) const FRESH_AS_OF: HeaderName = HeaderName::from_static("fresh-as-of");
/// How the cache served it (RFC 9211).
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What took how long (W3C Server Timing).
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// `Cache-Status`, such as `page; fwd=miss; stored; detail="metrics missing"`.
///
/// `degraded` says which fragments are missing or stale; empty when all is well. It must not hold quotes.
pub(crate) fn cache_status(outcome: Outcome, degraded: &str) -> Cow<'static, str> {
    if outcome == Outcome::Hit && degraded.is_empty() {
        return Cow::Borrowed("page; hit");
    }
    let mut text = "page".to_owned();
    match outcome {
        Outcome::Hit | Outcome::StaleHit => text.push_str("; hit"),
        Outcome::Forwarded {
            why,
            collapsed,
            stored,
        } => {
            let _ = write!(text, "; fwd={}", forward(why));
            text.push_str(if stored { "; stored" } else { "" });
            text.push_str(if collapsed { "; collapsed" } else { "" });
        }
    }
    if !degraded.is_empty() {
        let _ = write!(text, "; detail=\"{degraded}\"");
    }
    Cow::Owned(text)
}

/// Every word that [`outcome_name`] has.
pub(crate) const OUTCOMES: [&str; 6] = ["hit", "stale_hit", "miss", "stale", "bypass", "request"];

/// The outcome as one word: also the label by which answers are counted.
pub(crate) const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Hit => "hit",
        Outcome::StaleHit => "stale_hit",
        Outcome::Forwarded { why, .. } => forward(why),
    }
}

const fn forward(why: Forward) -> &'static str {
    match why {
        Forward::Miss => "miss",
        Forward::Stale => "stale",
        Forward::Bypass => "bypass",
        Forward::Request => "request",
    }
}

/// `Server-Timing`: the cache's whole time, then each source that was asked.
pub(crate) fn server_timing(cache: Duration, fetches: &[Fetch]) -> String {
    let micros = cache.as_micros();
    let mut text = format!("cache;dur={}.", micros / 1000);
    // By hand, because this is made anew for every cached page.
    let mut below = *b"000";
    digits(&mut below, (micros % 1000).try_into().expect("below a thousand"));
    text.push_str(ascii(&below));
    for fetch in fetches {
        let brought = match fetch.brought {
            Brought::New => "new",
            Brought::NotModified => "not modified",
            Brought::Failure => "failure",
        };
        let source = Source::ALL[fetch.source.0];
        let _ = write!(
            text,
            ", {source};dur={:.3};desc=\"{brought}\"",
            fetch.took.as_secs_f64() * 1e3
        );
    }
    text
}

/// A header's value from text that this program made.
pub(crate) fn value(text: impl Into<Cow<'static, str>>) -> HeaderValue {
    match text.into() {
        Cow::Borrowed(text) => HeaderValue::from_static(text),
        Cow::Owned(text) => HeaderValue::try_from(text).expect("this program's texts are visible ASCII"),
    }
}

const WHITESPACE: [char; 2] = [' ', '\t'];

/// The elements of a header that is a list, such as `Cache-Control`: each as its name and its value, which is empty if it has none.
/// Parameters of an element are left out: the elements used here define none.
pub(crate) fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).map(|element| {
        let element = split(element, ';').next().unwrap_or_default();
        let (name, value) = element.split_once('=').unwrap_or((element, ""));
        (name.trim_matches(WHITESPACE), value.trim_matches(WHITESPACE))
    })
}

/// Splits a text; a separator within quotes separates nothing.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let separates = character == separator && !quoted;
        quoted ^= character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
        separates
    })
}

/// A number without a sign, quoted or not. One that is too large is the largest (RFC 9111, section 1.2.2).
pub(crate) fn number(value: &str) -> Option<u32> {
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let digits = unquoted.unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use fresh_cache::SourceId;

    use super::*;

    #[test]
    fn cache_status_follows_the_grammar() {
        let forwarded = |why, collapsed, stored| Outcome::Forwarded {
            why,
            collapsed,
            stored,
        };
        for (outcome, degraded, text) in [
            (Outcome::Hit, "", "page; hit"),
            (Outcome::StaleHit, "", "page; hit"),
            (
                forwarded(Forward::Miss, false, true),
                "",
                "page; fwd=miss; stored",
            ),
            (
                forwarded(Forward::Miss, true, true),
                "",
                "page; fwd=miss; stored; collapsed",
            ),
            (forwarded(Forward::Bypass, false, false), "", "page; fwd=bypass"),
            (
                forwarded(Forward::Stale, false, true),
                "endpoints stale, metrics missing",
                "page; fwd=stale; stored; detail=\"endpoints stale, metrics missing\"",
            ),
        ] {
            assert_eq!(cache_status(outcome, degraded), text);
        }
    }

    #[test]
    fn server_timing_names_the_cache_and_each_source_asked() {
        let fetch = Fetch {
            source: SourceId(2),
            took: Duration::from_micros(3250),
            brought: Brought::NotModified,
        };
        assert_eq!(server_timing(Duration::from_micros(42), &[]), "cache;dur=0.042");
        assert_eq!(
            server_timing(Duration::from_millis(4), &[fetch]),
            "cache;dur=4.000, metrics;dur=3.250;desc=\"not modified\""
        );
    }
}
