//! What a reader asks for by `Cache-Control` and by `Prefer`: how fresh, how old, and how long it waits.
//!
//! Invalid values are ignored (RFC 9111, section 5.2; RFC 7240, section 2).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::headers::{elements, number};

/// What a reader would like, if it can be had (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The preference that was applied.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How much later than its wait an answer may be and still count as in time: timers and busy processors are not exact.
const TOLERANCE: Duration = Duration::from_millis(25);

/// What a reader asks for by `Cache-Control` and `Prefer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    /// A page composed for this request: `no-cache`, or `max-age=0`, which no page composed earlier satisfies (RFC 9111, sections
    /// 5.2.1.1 and 5.2.1.4).
    pub(crate) no_cache: bool,
    /// `max-age`: how old the page may be.
    pub(crate) max_age: Option<Duration>,
    /// `only-if-cached`: a page from the cache, or none.
    pub(crate) only_if_cached: bool,
    /// `wait` or `wait-ms`: how long the reader waits for a load.
    pub(crate) wait: Option<Wait>,
}

/// How long a reader waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// `wait=`, the registered preference.
    Seconds(u32),
    /// `wait-ms=`, our own: pages are measured in milliseconds.
    Millis(u32),
}

impl Preferences {
    /// What these headers ask for.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        for (name, value) in elements(headers, header::CACHE_CONTROL) {
            if name.eq_ignore_ascii_case("no-cache") {
                preferences.no_cache = true;
            } else if name.eq_ignore_ascii_case("only-if-cached") {
                preferences.only_if_cached = true;
            } else if name.eq_ignore_ascii_case("max-age")
                && let Some(seconds) = number(value)
            {
                // If there are several, the smallest applies.
                let max_age = Duration::from_secs(seconds.into());
                preferences.max_age = Some(preferences.max_age.map_or(max_age, |other| other.min(max_age)));
            }
        }
        preferences.no_cache |= preferences.max_age == Some(Duration::ZERO);
        preferences.wait = Wait::preferred(headers);
        preferences
    }
}

impl Wait {
    /// `wait-ms` wins over `wait`, which is coarser. Of several with one name, the first counts (RFC 7240, section 2).
    fn preferred(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(PREFER) {
            return None;
        }
        let first = |wanted: &str| {
            let mut elements = elements(headers, PREFER);
            let (_, value) = elements.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            number(value)
        };
        let millis = first("wait-ms").map(Self::Millis);
        millis.or_else(|| first("wait").map(Self::Seconds))
    }

    /// As a span of time.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Seconds(seconds) => Duration::from_secs(seconds.into()),
            Self::Millis(millis) => Duration::from_millis(millis.into()),
        }
    }

    /// `Preference-Applied` of an answer that took this long, if it came in time.
    pub(crate) fn applied(self, took: Duration) -> Option<HeaderValue> {
        let text = match self {
            Self::Seconds(seconds) => format!("wait={seconds}"),
            Self::Millis(millis) => format!("wait-ms={millis}"),
        };
        let in_time = took <= self.duration().saturating_add(TOLERANCE);
        in_time.then(|| HeaderValue::try_from(text).expect("digits are visible ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &HeaderName, lines: &[&str]) -> Preferences {
        let lines = lines.iter().map(|line| (name.clone(), line.parse().unwrap()));
        Preferences::of(&lines.collect())
    }

    fn cache_control(lines: &[&str]) -> Preferences {
        read(&header::CACHE_CONTROL, lines)
    }

    #[test]
    fn no_cache_and_max_age_0_are_found_among_other_directives_and_nothing_else_is() {
        for line in [
            "no-cache",
            "max-stale=5, No-Cache",
            "max-age=0",
            "MAX-AGE=0",
            "no-store ,\tmax-age=0 ",
            "max-age=\"0\"",
            "max-age=000",
            "x=\"a, b\",max-age=0",
            "x=\"a\\\", b\",max-age=0",
            ",,no-cache,",
            "max-age=5, max-age=0",
        ] {
            assert!(cache_control(&[line]).no_cache, "{line}");
        }
        assert!(
            cache_control(&["max-stale", "max-age=0"]).no_cache,
            "over two lines"
        );
        for line in [
            "",
            "x-no-cache",
            "no-store",
            "only-if-cached",
            "max-age=1",
            "max-age=10",
            "max-age=-0",
            "max-age",
            "max-age=",
            "max-age=\"\"",
            "s-maxage=0",
            "min-fresh=0",
            "x=\"a, no-cache\"",
            "x=\"\\\", max-age=0\"",
        ] {
            assert!(!cache_control(&[line]).no_cache, "{line}");
        }
        assert_eq!(cache_control(&[]), Preferences::default());
    }

    #[test]
    fn an_age_is_a_number_of_seconds_and_the_smallest_one_counts() {
        for (line, seconds) in [
            ("max-age=5", Some(5)),
            ("Max-Age=\"7\", only-if-cached", Some(7)),
            ("max-age=9, max-age=3", Some(3)),
            ("max-age=99999999999999999999", Some(u64::from(u32::MAX))),
            ("max-age=1.5", None),
            ("max-age=+5", None),
            ("max-age=5s", None),
            ("max-stale=5", None),
        ] {
            let age = seconds.map(Duration::from_secs);
            assert_eq!(cache_control(&[line]).max_age, age, "{line}");
        }
        assert!(cache_control(&["max-age=1, Only-If-Cached"]).only_if_cached);
        assert!(!cache_control(&["x=\"only-if-cached\""]).only_if_cached);
    }

    #[test]
    fn a_wait_is_preferred_in_seconds_or_in_milliseconds() {
        for (lines, wait) in [
            (&["wait=1"][..], Some(Wait::Seconds(1))),
            (&["wait-ms=150"], Some(Wait::Millis(150))),
            (&["wait=1, wait-ms=150"], Some(Wait::Millis(150))),
            (&["respond-async", "Wait=\"2\""], Some(Wait::Seconds(2))),
            (&["wait=1, wait=5"], Some(Wait::Seconds(1))),
            (&["wait = 3 ; x=\",\", return=minimal"], Some(Wait::Seconds(3))),
            (&["wait=0"], Some(Wait::Seconds(0))),
            (&["wait=99999999999"], Some(Wait::Seconds(u32::MAX))),
            (&["wait"], None),
            (&["wait="], None),
            (&["wait=x, wait=5"], None),
            (&["wait=-1"], None),
            (&["wait-ms=0.5"], None),
            (&["x=\"a, wait=1\""], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(read(&PREFER, lines).wait, wait, "{lines:?}");
        }
    }

    #[test]
    fn a_wait_is_said_to_be_applied_in_the_readers_words_unless_the_answer_was_late() {
        let applied = |wait: Wait, millis| wait.applied(Duration::from_millis(millis));
        assert_eq!(applied(Wait::Millis(150), 0).unwrap(), "wait-ms=150");
        assert_eq!(applied(Wait::Millis(150), 175).unwrap(), "wait-ms=150");
        assert_eq!(applied(Wait::Millis(150), 176), None);
        assert_eq!(applied(Wait::Seconds(0), 1).unwrap(), "wait=0");
        assert_eq!(applied(Wait::Seconds(u32::MAX), 1000).unwrap(), "wait=4294967295");
    }
}
