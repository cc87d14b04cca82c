//! Windows of time, laid on buckets: what is answered changes when a bucket ends, and only then.

use http_edge::document;
use jiff::Timestamp;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::sample::{Invalid, UnixMs};

/// Said of a window that is not one of [`Window::ALL`].
const NOT_A_WINDOW: Invalid = Invalid("must be 1h, 24h or 7d");

/// How far back a summary looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Window {
    Hour,
    #[default]
    Day,
    Week,
}

impl Window {
    /// All of them, shortest first.
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|window| window.as_str() == text)
            .ok_or(NOT_A_WINDOW)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 24 * 3_600,
            Self::Week => 7 * 24 * 3_600,
        }
    }

    /// Divides the window, so that a series has 48 to 60 points.
    pub(crate) fn bucket_seconds(self) -> i64 {
        match self {
            Self::Hour => 60,
            Self::Day => 1_800,
            Self::Week => 10_800,
        }
    }
}

/// A window in a query, as the OpenAPI document describes it.
impl PartialSchema for Window {
    fn schema() -> RefOr<Schema> {
        document::one_of(&Self::ALL.map(Self::as_str), Self::default().as_str())
    }
}

impl ToSchema for Window {}

/// A window with its place in time: from `start` up to, and without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    window: Window,
    /// Unix time, a multiple of the bucket's length.
    end_seconds: i64,
}

impl Frame {
    /// The frame of every moment of the bucket that `now` is in: it ends when that bucket does, always after `now`.
    pub(crate) fn holding(now: Timestamp, window: Window) -> Self {
        let bucket = window.bucket_seconds();
        let current = UnixMs::from(now).0.div_euclid(bucket * 1_000);
        Self {
            window,
            end_seconds: (current + 1) * bucket,
        }
    }

    pub(crate) fn window(self) -> Window {
        self.window
    }

    pub(crate) fn end_seconds(self) -> i64 {
        self.end_seconds
    }

    pub(crate) fn start(self) -> UnixMs {
        UnixMs((self.end_seconds - self.window.seconds()) * 1_000)
    }

    pub(crate) fn end(self) -> UnixMs {
        UnixMs(self.end_seconds * 1_000)
    }

    /// For how many whole seconds after `now` this is still the frame. Rounded down: an answer may be asked for
    /// again too early, never be believed too long (rule 9).
    pub(crate) fn seconds_left(self, now: Timestamp) -> u64 {
        let end_nanoseconds = i128::from(self.end_seconds) * 1_000_000_000;
        let left = (end_nanoseconds - now.as_nanosecond()) / 1_000_000_000;
        u64::try_from(left).unwrap_or(0)
    }

    pub(crate) fn buckets(self) -> usize {
        let buckets = self.window.seconds() / self.window.bucket_seconds();
        usize::try_from(buckets).expect("a window has some tens of buckets")
    }

    /// From where up to, and without, which moment the bucket lasts.
    pub(crate) fn bucket(self, bucket: usize) -> (UnixMs, UnixMs) {
        let bucket = i64::try_from(bucket).expect("a window has some tens of buckets");
        let length = self.window.bucket_seconds() * 1_000;
        let start = self.start().0 + bucket * length;
        (UnixMs(start), UnixMs(start + length))
    }

    /// Which bucket the moment falls into; none outside of the frame.
    pub(crate) fn bucket_of(self, at: UnixMs) -> Option<usize> {
        let offset = usize::try_from(at.0.checked_sub(self.start().0)?).ok()?;
        let bucket_ms = usize::try_from(self.window.bucket_seconds() * 1_000).ok()?;
        Some(offset / bucket_ms).filter(|bucket| *bucket < self.buckets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn frame(now: &str, window: Window) -> (String, u64) {
        let frame = Frame::holding(at(now), window);
        let end = Timestamp::from_second(frame.end_seconds()).unwrap();
        (end.to_string(), frame.seconds_left(at(now)))
    }

    #[test]
    fn a_frame_turns_exactly_when_its_bucket_ends() {
        let cases = [
            (
                Window::Hour,
                "2026-01-01T10:07:59.999999999Z",
                "2026-01-01T10:08:00Z",
                0,
            ),
            (Window::Hour, "2026-01-01T10:08:00Z", "2026-01-01T10:09:00Z", 60),
            (Window::Day, "2026-01-01T10:29:58.999Z", "2026-01-01T10:30:00Z", 1),
            (
                Window::Day,
                "2026-01-01T10:30:00.000000001Z",
                "2026-01-01T11:00:00Z",
                1_799,
            ),
            (Window::Week, "2026-01-01T23:59:59Z", "2026-01-02T00:00:00Z", 1),
            (
                Window::Week,
                "2026-01-02T00:00:00Z",
                "2026-01-02T03:00:00Z",
                10_800,
            ),
            (Window::Hour, "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", 0),
        ];
        for (window, now, end, left) in cases {
            assert_eq!(frame(now, window), (end.to_owned(), left), "{now}");
        }
    }

    #[test]
    fn an_answer_is_never_said_to_hold_longer_than_it_does() {
        let now = at("2026-01-01T10:07:58.000000001Z");
        let frame = Frame::holding(now, Window::Hour);
        assert_eq!(frame.seconds_left(now), 1, "a nanosecond short of two seconds");
        assert_eq!(frame.seconds_left(at("2026-01-01T10:09:00Z")), 0, "past its end");
    }

    #[test]
    fn buckets_divide_the_frame_without_gap_or_rest() {
        for window in Window::ALL {
            let frame = Frame::holding(at("2026-01-01T10:07:58Z"), window);
            let bucket_ms = window.bucket_seconds() * 1_000;
            let (start, end) = (frame.start().0, frame.end().0);
            assert_eq!(start + bucket_ms * i64::try_from(frame.buckets()).unwrap(), end);
            assert_eq!(bucket_ms % 60_000, 0, "no minute is in two buckets");
            for bucket in 0..frame.buckets() {
                let (from, to) = frame.bucket(bucket);
                assert_eq!(to.0 - from.0, bucket_ms);
                assert_eq!(
                    (frame.bucket_of(from), frame.bucket_of(UnixMs(to.0 - 1))),
                    (Some(bucket), Some(bucket))
                );
            }
            assert_eq!(frame.bucket_of(UnixMs(start - 1)), None);
            assert_eq!(frame.bucket_of(UnixMs(start)), Some(0));
            assert_eq!(frame.bucket_of(UnixMs(start + bucket_ms - 1)), Some(0));
            assert_eq!(frame.bucket_of(UnixMs(start + bucket_ms)), Some(1));
            assert_eq!(frame.bucket_of(UnixMs(end - 1)), Some(frame.buckets() - 1));
            assert_eq!(frame.bucket_of(UnixMs(end)), None);
            assert_eq!(frame.bucket_of(UnixMs(i64::MIN)), None);
            assert_eq!(frame.bucket_of(UnixMs(i64::MAX)), None);
            assert_eq!(Window::parse(window.as_str()).unwrap(), window);
        }
    }

    #[test]
    fn who_names_no_window_is_told_every_window() {
        let refused = Window::parse("2h").unwrap_err().to_string();
        for window in Window::ALL {
            assert!(refused.contains(window.as_str()), "{refused}");
        }
    }
}
