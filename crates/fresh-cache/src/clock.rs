//! Time, as the cache sees it: one clock that can be compared with others, one that only moves forward.
//!
//! Dates that are said to a client come from the wall clock. Everything that expires is counted on the
//! monotonic clock, which no administrator can set back.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the wall clock, in whole microseconds since the Unix epoch.
///
/// [`Moment::default`] is the epoch itself, and stands for "no date known": nothing that is claimed of it is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment that many microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Moment) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment, moved forward.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// This moment, moved back; not before the epoch.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

/// Where the cache reads the time.
///
/// A trait, so that a test can hold the time still. Programs use [`SystemClock`].
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock: what other machines understand, and what may be stepped.
    fn now(&self) -> Moment;

    /// The time since some fixed instant of this clock; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        // Before 1970 there is no date worth telling: such a host dates everything "unknown".
        Moment(micros(
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        ))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that stands still until it is told to move: for tests and for simulated time.
///
/// Clones show the same time.
///
/// ```
/// use fresh_cache::{Clock as _, Ledger, LedgerOptions, ManualClock, Moment, SourceId};
/// use std::{sync::Arc, time::Duration};
///
/// let clock = ManualClock::at(Moment::from_micros(1_750_000_000_000_000));
/// let (ledger, mut hearing) = Ledger::with_clock(1, LedgerOptions::default(), Arc::new(clock.clone()));
/// hearing.watermark(SourceId(0), clock.now());
/// assert!(ledger.trusted(SourceId(0)));
/// clock.advance(Duration::from_secs(1));
/// assert!(!ledger.trusted(SourceId(0)), "it may have died since");
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    wall: Arc<AtomicU64>,
    monotonic: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that stands at `now`, with an hour on its monotonic side.
    pub fn at(now: Moment) -> Self {
        let hour = micros(Duration::from_hours(1));
        Self {
            wall: Arc::new(AtomicU64::new(now.0)),
            monotonic: Arc::new(AtomicU64::new(hour)),
        }
    }

    /// Lets time pass: both clocks move, up to the end of time.
    pub fn advance(&self, duration: Duration) {
        for clock in [&self.monotonic, &self.wall] {
            let later = |now: u64| Some(now.saturating_add(micros(duration)));
            _ = clock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }

    /// Sets the wall clock alone, as an administrator or a time service does.
    pub fn step_to(&self, now: Moment) {
        self.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic.load(Ordering::SeqCst))
    }
}

/// A duration in whole microseconds; half a million years are enough for anyone.
pub(crate) fn micros(duration: Duration) -> u64 {
    // In 64 bits throughout: every read does this.
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(u64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stepping_the_wall_clock_leaves_the_monotonic_one_alone() {
        let clock = ManualClock::at(Moment::from_micros(5_000_000));
        let before = clock.monotonic();
        clock.step_to(Moment::from_micros(1_000_000));
        assert_eq!(clock.monotonic(), before);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Moment::from_micros(3_000_000));
        assert_eq!(clock.monotonic(), before + Duration::from_secs(2));
    }

    #[test]
    fn differences_of_moments_never_go_below_zero() {
        let (early, late) = (Moment::from_micros(10), Moment::from_micros(25));
        assert_eq!(late.saturating_since(early), Duration::from_micros(15));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }
}
