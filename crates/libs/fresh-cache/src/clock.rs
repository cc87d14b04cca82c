//! Time, as the cache sees it: one clock that can be compared with others, one that only moves forward.
//!
//! Dates for clients come from the wall clock. Everything that expires is counted on the monotonic clock, which nobody can
//! set back.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// A point on the wall clock, in whole microseconds since the Unix epoch. Prints as a date of RFC 3339.
///
/// ```
/// use fresh_cache::Moment;
/// use std::time::SystemTime;
///
/// let moment = Moment::from_micros(1_750_000_000_042_000);
/// assert_eq!(moment.to_string(), "2025-06-15T15:06:40.042000Z");
/// assert!(SystemTime::from(moment) < SystemTime::now() && Moment::from(SystemTime::now()) > moment);
/// ```
///
/// [`Moment::default`] is the epoch itself, and stands for "no date known": it claims nothing, so it is never wrong.
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

/// A time before 1970 becomes "no date known".
impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Self(micros(time.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl From<Moment> for SystemTime {
    fn from(moment: Moment) -> Self {
        UNIX_EPOCH + Duration::from_micros(moment.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = i64::try_from(self.0).unwrap_or(i64::MAX);
        let timestamp = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        write!(formatter, "{timestamp:.6}")
    }
}

/// A moment, noted on both clocks: on the wall clock, for others, and on the monotonic clock, which nobody sets.
///
/// An answer states the earlier of two moments (rule 23): what the wall clock said then, and what it says now less the monotonic
/// time since. If the wall clock is set back, no old date becomes true again. If the machine slept, the monotonic clock stood still,
/// and the first of the two counts. Ordered by the monotonic clock. [`Date::default`] stands for "no date
/// known".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// On the monotonic clock, from which expiry is counted.
    pub monotonic: Duration,
    /// On the wall clock of that time.
    pub moment: Moment,
}

/// The two clocks are read one after the other, so they may seem to differ by this much although nobody set one. It is the
/// error of every date that is stated after a clock was set back.
const APART: Duration = Duration::from_micros(100);

impl Date {
    /// Now, on both clocks.
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        // The monotonic clock first: if the thread is paused in between, the date becomes earlier, never later.
        let monotonic = clock.monotonic();
        let moment = clock.now();
        Self { monotonic, moment }
    }

    /// The moment that an answer at this later time states for the date; the epoch if the date is unknown.
    pub(crate) fn told_at(self, now: Moment, monotonic: Duration) -> Moment {
        if self == Self::default() {
            return Moment::default();
        }
        let ago = monotonic.saturating_sub(self.monotonic);
        let counted_back = now.saturating_sub(ago);
        if self.moment <= counted_back.saturating_add(APART) {
            self.moment
        } else {
            counted_back
        }
    }
}

/// Where a feed, and every cache over it, reads the time: [`FeedOptions::clock`](crate::FeedOptions::clock).
///
/// A trait, so that a test can hold the time still, by a [`ManualClock`] or by one of its own. Programs use [`SystemClock`].
pub trait Clock: Debug + Send + Sync + 'static {
    /// The wall clock: what other machines understand, and what may be stepped.
    fn now(&self) -> Moment;

    /// The time since some fixed instant of this clock; never goes back. The instant lies further in the past than any date
    /// that a source may tell, such as [a hundred years](SystemClock::ORIGIN) before the clock was made.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// What the monotonic side shows when the clock is made. Dates that lie before it cannot be counted on it.
    pub const ORIGIN: Duration = Duration::from_hours(100 * 365 * 24);

    /// A clock whose monotonic time starts now, at [`ORIGIN`](Self::ORIGIN).
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
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        Self::ORIGIN.saturating_add(self.origin.elapsed())
    }
}

/// A clock that stands still until it is told to move: for tests and for simulated time.
///
/// Clones show the same time.
///
/// ```
/// use fresh_cache::{Clock as _, FeedOptions, ManualClock, Moment, SourceId, feed};
/// use std::{sync::Arc, time::Duration};
///
/// let clock = ManualClock::at(Moment::from_micros(1_750_000_000_000_000));
/// let options = FeedOptions { clock: Arc::new(clock.clone()), ..FeedOptions::default() };
/// let (feed, mut writer) = feed::channel::<u64>(1, options);
/// writer.watermark(SourceId(0), clock.now());
/// assert!(feed.trusted(SourceId(0)));
/// clock.advance(Duration::from_secs(1));
/// assert!(!feed.trusted(SourceId(0)), "it may have died since");
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    wall: Arc<AtomicU64>,
    monotonic: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that stands at `now`, with [`SystemClock::ORIGIN`] on its monotonic side.
    pub fn at(now: Moment) -> Self {
        let origin = micros(SystemClock::ORIGIN);
        Self {
            wall: Arc::new(AtomicU64::new(now.0)),
            monotonic: Arc::new(AtomicU64::new(origin)),
        }
    }

    /// Lets time pass: both clocks move, up to the end of time.
    pub fn advance(&self, duration: Duration) {
        for clock in [&self.monotonic, &self.wall] {
            let later = |now: u64| Some(now.saturating_add(micros(duration)));
            _ = clock.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }

    /// Lets the machine sleep: only the wall clock knows of it.
    pub fn suspend(&self, duration: Duration) {
        self.wall.fetch_add(micros(duration), Ordering::SeqCst);
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

/// A duration in whole microseconds.
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
    fn a_date_is_told_as_what_it_was_called_and_never_as_later_than_it_was() {
        let clock = ManualClock::at(Moment::from_micros(100_000_000));
        let date = Date::now(&clock);
        let told = || date.told_at(clock.now(), clock.monotonic());
        clock.advance(Duration::from_secs(5));
        assert_eq!(told(), Moment::from_micros(100_000_000));
        clock.step_to(Moment::from_micros(97_000_000));
        assert_eq!(told(), Moment::from_micros(92_000_000), "five seconds ago");
        clock.advance(Duration::from_secs(20));
        assert_eq!(told(), Moment::from_micros(92_000_000), "the clock has caught up");
        clock.suspend(Duration::from_hours(1));
        assert_eq!(told(), Moment::from_micros(100_000_000), "no later than it was");
        assert_eq!(
            Date::default().told_at(clock.now(), clock.monotonic()),
            Moment::default()
        );
    }

    #[test]
    fn differences_of_moments_never_go_below_zero() {
        let (early, late) = (Moment::from_micros(10), Moment::from_micros(25));
        assert_eq!(late.saturating_since(early), Duration::from_micros(15));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
    }
}
