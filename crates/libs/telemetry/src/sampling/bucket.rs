//! A token bucket in one atomic number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets so many through in a second, and as many at once after a second of rest (one at least).
#[derive(Debug)]
pub(super) struct Bucket {
    /// From here the other numbers count, in nanoseconds.
    epoch: Instant,
    /// The moment at which the bucket is full again. Who takes moves it on by one `interval`; so there is nothing to refill.
    full_at: AtomicU64,
    /// Between two tokens.
    interval: u64,
    /// How long an empty bucket takes to be full.
    depth: u64,
}

impl Bucket {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate that is not negative, and none that a nanosecond more or less would change"
    )]
    pub(super) fn new(per_second: f64) -> Self {
        let interval = 1e9 / per_second;
        Self {
            epoch: Instant::now(),
            full_at: AtomicU64::new(0),
            interval: interval as u64,
            // Nothing fits into it if nothing is to be let through.
            depth: if per_second > 0.0 {
                (interval * per_second.max(1.0)) as u64
            } else {
                0
            },
        }
    }

    /// Takes a token, if there is one. Where there is none, nothing is written.
    pub(super) fn take(&self, now: Instant) -> bool {
        let now = u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: the number stands for itself.
        let taken = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let next = full_at.max(now).saturating_add(self.interval);
                (next <= now.saturating_add(self.depth)).then_some(next)
            });
        taken.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slow_bucket_holds_one_and_a_closed_one_none() {
        let start = Instant::now();
        let slow = Bucket::new(0.5);
        let taken = |after: u64| slow.take(start + Duration::from_millis(after));
        assert_eq!([0, 1_000, 1_900, 2_100].map(taken), [true, false, false, true]);
        assert!(!Bucket::new(0.0).take(start + Duration::from_secs(1_000_000)));
    }

    #[test]
    fn rest_is_not_saved_up_beyond_its_depth() {
        let bucket = Bucket::new(10.0);
        let later = Instant::now() + Duration::from_hours(1);
        assert_eq!((0..1_000).filter(|_| bucket.take(later)).count(), 10);
    }

    #[test]
    fn threads_that_take_together_get_no_more_than_there_is() {
        let bucket = Bucket::new(1_000.0);
        let now = Instant::now();
        let taken: usize = std::thread::scope(|threads| {
            let take = || (0..10_000).filter(|_| bucket.take(now)).count();
            let threads: Vec<_> = (0..4).map(|_| threads.spawn(take)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1_000);
    }
}
