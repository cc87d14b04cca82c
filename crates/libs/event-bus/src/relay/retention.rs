//! How long the stream keeps a watermark. Pure.
//!
//! A watermark replaces the one before it, so the stream need not keep both. A source publishes four per second. Kept for a day, as
//! events are, those of three idle sources would take 480 MB. So a watermark has a time to live, except for one per minute.
//! The one that stays tells a publisher that comes back, hours later, what was published last (rule 20). And while it is on the
//! stream, a feed that was cut off later than it finds that the stream still reaches back to its place.

use std::time::{Duration, Instant};

/// The time to live of a watermark. Longer than any silence after which a claim is taken over.
const TIME_TO_LIVE: Duration = Duration::from_mins(1);
/// How often a watermark is kept for as long as an event.
const KEPT_EVERY: Duration = Duration::from_mins(1);

/// Which watermarks are kept.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Whether the stream takes messages with a time to live: made by a broker since 2.11 and a program that asked for it.
    may_expire: bool,
    /// When the last one was sent that is kept.
    kept: Option<Instant>,
}

impl Retention {
    /// What the stream takes.
    pub(super) fn of_stream(&mut self, may_expire: bool) {
        self.may_expire = may_expire;
    }

    /// The time to live of a watermark that is sent now; `None`: it is kept for as long as an event.
    pub(super) fn time_to_live(&self, now: Instant) -> Option<Duration> {
        let keep = !self.may_expire || self.kept.is_none_or(|kept| now - kept >= KEPT_EVERY);
        (!keep).then_some(TIME_TO_LIVE)
    }

    /// A watermark without a time to live was taken, which was sent then.
    pub(super) fn keep(&mut self, sent: Instant) {
        self.kept = Some(sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_watermark_a_minute_is_kept_and_all_where_the_stream_knows_no_time_to_live() {
        let start = Instant::now();
        let mut retention = Retention::default();
        assert_eq!(retention.time_to_live(start), None);
        retention.of_stream(true);
        assert_eq!(retention.time_to_live(start), None, "the first one");
        retention.keep(start);
        for seconds in [0, 1, 59] {
            let at = start + Duration::from_secs(seconds);
            assert_eq!(retention.time_to_live(at), Some(TIME_TO_LIVE), "{seconds}");
        }
        assert_eq!(retention.time_to_live(start + KEPT_EVERY), None);
        assert_eq!(
            retention.time_to_live(start + 2 * KEPT_EVERY),
            None,
            "until one was taken"
        );
    }
}
