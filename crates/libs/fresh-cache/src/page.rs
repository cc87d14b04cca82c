//! A page as it is kept: composed, with the fragments it was composed of, and checked on every read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Date, Moment, micros};
use crate::consistency::Token;
use crate::dependency::{Dependency, place_of};
use crate::feed::ids::{FenceIndex, Position, SourceId};
use crate::fragment::{Fragment, FragmentState};
use crate::freshness::{Freshness, FreshnessCheck, StaleReason};
use crate::loader::Loader;
use crate::strategy::Policy;

/// A page as it is kept: composed, with the fragments it was composed of.
pub struct CachedPage<L: Loader> {
    content: Arc<L::Page>,
    fragments: Box<[FragmentState<L::Body>]>,
    /// Each fragment's fence and latest date, in the order of the fragments.
    fences_and_dates: Box<[FenceAndDate]>,
    composed: Date,
    /// For each fragment, the backoff of its source if that failed; empty if none did.
    backoffs: Box<[Option<Backoff>]>,
    /// [`UNREAD`], [`READ`] or [`REFRESHING`]: whether anybody read it since its last refresh began (rule 18).
    read: AtomicU8,
    weight: u32,
}

/// A fragment's fence, and the latest date up to which any read found the fragment complete.
struct FenceAndDate {
    /// Where its fence stands.
    fence: FenceIndex,
    /// That date, in microseconds of the wall clock and of the monotonic one. Reads raise it: when the fragment becomes stale and
    /// its source is down, its date is that of the last good check, not that of its request. Two readers at once may leave
    /// halves of two dates; the date that is told is never later than either half allows.
    complete_until: AtomicU64,
    monotonic: AtomicU64,
}

/// Why and for how long a source that failed is not called again for a page.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    /// How it failed, without what became of its fragment.
    pub(crate) reason: Arc<str>,
    /// When it is over, on the monotonic clock.
    pub(crate) until: Duration,
    /// The feed's position when the source was asked: any later event or loss of the source ends the backoff.
    pub(crate) position: Position,
}

/// A refresh made it, and nobody has read it.
const UNREAD: u8 = 0;
/// Somebody read it.
const READ: u8 = 1;
/// Nobody read it since a refresh began that will replace it.
const REFRESHING: u8 = 2;

/// What a page is made of.
pub(crate) struct NewPage<'a, L: Loader> {
    pub(crate) content: Arc<L::Page>,
    pub(crate) fragments: Vec<FragmentState<L::Body>>,
    pub(crate) dependencies: &'a [Dependency<L::Entity>],
    pub(crate) composed: Date,
    pub(crate) backoffs: Vec<Option<Backoff>>,
    pub(crate) read: bool,
    pub(crate) weight: u32,
}

impl<L: Loader> CachedPage<L> {
    pub(crate) fn new(page: NewPage<'_, L>) -> Self {
        let NewPage {
            content,
            fragments,
            dependencies,
            composed,
            backoffs,
            read,
            weight,
        } = page;
        let mark = |(state, dependency): (&FragmentState<L::Body>, &Dependency<L::Entity>)| {
            let date = state
                .fragment()
                .map(|fragment| fragment.complete_until)
                .unwrap_or_default();
            FenceAndDate {
                fence: dependency.fence,
                complete_until: AtomicU64::new(date.moment.as_micros()),
                monotonic: AtomicU64::new(micros(date.monotonic)),
            }
        };
        let fences_and_dates = fragments.iter().zip(dependencies).map(mark).collect();
        let none_failed = backoffs.iter().all(Option::is_none);
        Self {
            content,
            fragments: fragments.into(),
            fences_and_dates,
            composed,
            backoffs: if none_failed {
                Box::default()
            } else {
                backoffs.into()
            },
            read: AtomicU8::new(if read { READ } else { UNREAD }),
            weight,
        }
    }

    /// What [`Loader::compose`] made.
    pub fn content(&self) -> &L::Page {
        &self.content
    }

    /// The same, to be shown again when nothing of it changed.
    pub(crate) fn shared_content(&self) -> Arc<L::Page> {
        Arc::clone(&self.content)
    }

    /// What it was composed of, in the order of [`Loader::dependencies`].
    pub fn fragments(&self) -> &[FragmentState<L::Body>] {
        &self.fragments
    }

    /// When it was composed, or last found to be the same as before.
    pub const fn composed(&self) -> Date {
        self.composed
    }

    /// The fragments that are stale or missing: the source, and why.
    pub fn degraded(&self) -> impl Iterator<Item = (SourceId, &str)> {
        let states = self.fences_and_dates.iter().zip(&self.fragments);
        states.filter_map(|(mark, state)| Some((mark.fence.source(), state.reason()?)))
    }

    /// The memory it keeps, in bytes.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether the page has a fragment of each of these, in this order: it has, unless the loader names other dependencies of a
    /// key than before, which it must not.
    pub(crate) fn depends_on(&self, dependencies: &[Dependency<L::Entity>]) -> bool {
        let fences = dependencies.iter().map(|dependency| dependency.fence);
        self.fences_and_dates.iter().map(|mark| mark.fence).eq(fences)
    }

    /// The backoff of a fragment that is stale or missing. A fragment may be current and have one (the feed came back while its
    /// source was gone); that one is not held back.
    pub(crate) fn failed(&self, index: usize, check: &FreshnessCheck<'_>) -> Option<Backoff> {
        self.fragments.get(index)?.reason()?;
        self.backoff(index, check).cloned()
    }

    /// One fragment as evidence for a load: with the latest moment it was found complete until.
    pub(crate) fn known(&self, index: usize) -> Option<Fragment<L::Body>> {
        let mut fragment = self.fragments.get(index)?.fragment()?.clone();
        fragment.complete_until = self.latest(index);
        Some(fragment)
    }

    /// Whether the fragment, fetched before the token was shown to us, reflects it.
    pub(crate) fn has(&self, place: usize, token: &Token<L::Entity>) -> bool {
        let fragment = self.fragments.get(place).and_then(FragmentState::fragment);
        fragment.is_some_and(|fragment| token.is_reflected_by_kept(fragment))
    }

    /// The entities whose fragment on this page does not reflect the tokens' versions, each once. `asked_since` tells whether a
    /// fragment was requested after the token was shown to us. If it was not, it is compared with the token as a kept fragment.
    pub(crate) fn short_of(
        &self,
        tokens: &[Token<L::Entity>],
        dependencies: &[Dependency<L::Entity>],
        asked_since: impl Fn(&Fragment<L::Body>) -> bool,
    ) -> Vec<(SourceId, L::Entity)> {
        let mut short = Vec::new();
        for token in tokens {
            let Some(place) = place_of(dependencies, token.source, &token.entity) else {
                continue;
            };
            let shown = self.fragments.get(place).and_then(FragmentState::fragment);
            let reflected = shown.is_some_and(|shown| {
                token.is_reflected_by_kept(shown)
                    || asked_since(shown) && shown.version.reflects(token.version)
            });
            let behind = (token.source, token.entity.clone());
            if !reflected && !short.contains(&behind) {
                short.push(behind);
            }
        }
        short
    }

    /// The backoff of a source that has just failed to give its fragment, if it is not over.
    pub(crate) fn backoff(&self, index: usize, check: &FreshnessCheck<'_>) -> Option<&Backoff> {
        let backoff = self.backoffs.get(index)?.as_ref()?;
        let fence = self.fences_and_dates[index].fence;
        let over = backoff.until <= check.monotonic() || check.feed().overtaken(fence, backoff.position);
        (!over).then_some(backoff)
    }

    /// Whether a page composed of these fragments would equal this one: each is in the same state, in the same version and with the
    /// same claim, which the page's own tokens state. A stale one also has the same date, which the page shows.
    ///
    /// One version may have several answers if they depend on the clock: the caller makes sure that no new answer came.
    pub(crate) fn shows(&self, states: &[FragmentState<L::Body>]) -> bool {
        self.fragments.iter().zip(states).all(|(one, other)| {
            let version = |state: &FragmentState<L::Body>| {
                state
                    .fragment()
                    .map(|fragment| (fragment.version, fragment.claim))
            };
            let stale_since = |state: &FragmentState<L::Body>| match state {
                FragmentState::Stale { fragment, .. } => Some(fragment.complete_until),
                FragmentState::Current(_) | FragmentState::Missing { .. } => None,
            };
            one.reason() == other.reason()
                && version(one) == version(other)
                && stale_since(one) == stale_since(other)
        })
    }

    /// Notes that a reader got this page.
    pub(crate) fn touch(&self) {
        // Relaxed, here and below: an old value costs one refresh too many or too few, and nothing else. Loaded before it is
        // stored, because many readers share the cache line and few find the page unread.
        if !self.was_read() {
            self.read.store(READ, Ordering::Relaxed);
        }
    }

    /// Whether somebody read it since the last refresh began.
    pub(crate) fn was_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) == READ
    }

    /// Notes that a refresh begins. Returns whether a refresh made this page and nobody read it.
    pub(crate) fn begin_refresh(&self) -> bool {
        self.read.swap(REFRESHING, Ordering::Relaxed) == UNREAD
    }

    /// Notes that a reader found this page stale. Returns whether a refresh made it and nobody had read it.
    pub(crate) fn reject(&self) -> bool {
        self.read.swap(READ, Ordering::Relaxed) == UNREAD
    }

    /// Checks every fragment: gives the first reason why one is stale, and the oldest date (rule 10).
    pub(crate) fn freshness(&self, check: &FreshnessCheck<'_>, policy: &dyn Policy) -> PageFreshness {
        let mut page = PageFreshness {
            stale: None,
            complete_until: check.now(),
        };
        for (index, state) in self.fragments.iter().enumerate() {
            let fragment = self.fragment_freshness(index, state, check, policy);
            page.stale = page.stale.or(fragment.stale);
            page.complete_until = page.complete_until.min(check.tell(fragment.complete_until));
        }
        page
    }

    /// Whether a page that is complete until this moment is an answer for a reader who accepts this age (rule 27).
    pub(crate) fn is_young_enough(
        &self,
        check: &FreshnessCheck<'_>,
        complete_until: Moment,
        max_age: Duration,
    ) -> bool {
        let may_be_shown = |(mark, state): (&FenceAndDate, &FragmentState<L::Body>)| {
            let fragment = state.fragment();
            fragment.is_some_and(|fragment| check.may_age(mark.fence, fragment.meta()))
        };
        check.now().saturating_since(complete_until) <= max_age
            && self
                .fences_and_dates
                .iter()
                .zip(&self.fragments)
                .all(may_be_shown)
    }

    fn fragment_freshness(
        &self,
        index: usize,
        state: &FragmentState<L::Body>,
        check: &FreshnessCheck<'_>,
        policy: &dyn Policy,
    ) -> Freshness {
        // A source that failed is not called for a while (backoff): otherwise every read of this page would wait for it.
        let retry = self
            .backoff(index, check)
            .is_none()
            .then_some(StaleReason::Degraded);
        let Some(fragment) = state.fragment() else {
            // Nothing is shown of it, so nothing can be out of date but the statement that it is missing.
            return Freshness {
                stale: retry,
                complete_until: self.composed,
            };
        };
        let mark = &self.fences_and_dates[index];
        let fence = mark.fence;
        let freshness = policy.freshness(check, fence, fragment.meta());
        let latest = self.latest(index).max(freshness.complete_until);
        mark.note(latest);
        let reason = match state {
            // What was deleted by an applied event is not shown, marked or not (rule 12).
            FragmentState::Stale { .. } if check.feed().deleted(fence, fragment.position) => {
                Some(StaleReason::Degraded)
            }
            FragmentState::Stale { .. } => retry,
            FragmentState::Current(_) | FragmentState::Missing { .. } => freshness.stale,
        };
        Freshness {
            stale: reason,
            complete_until: latest,
        }
    }

    fn latest(&self, index: usize) -> Date {
        self.fences_and_dates[index].latest()
    }
}

impl FenceAndDate {
    // Relaxed, here and below: each date is true of a fragment that never changes, whoever reads it when.
    fn latest(&self) -> Date {
        Date {
            monotonic: Duration::from_micros(self.monotonic.load(Ordering::Relaxed)),
            moment: Moment::from_micros(self.complete_until.load(Ordering::Relaxed)),
        }
    }

    fn note(&self, latest: Date) {
        let monotonic = micros(latest.monotonic);
        if monotonic > self.monotonic.load(Ordering::Relaxed) {
            self.monotonic.fetch_max(monotonic, Ordering::Relaxed);
            // Stored, not the maximum: by a clock that was set back the later date is the smaller number.
            self.complete_until
                .store(latest.moment.as_micros(), Ordering::Relaxed);
        }
    }
}

/// What a check of a whole page found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageFreshness {
    /// Why the page must be loaded again; `None`: it is shown as it is. That is a fresh page, or a marked one whose
    /// stale or missing fragments are in backoff.
    pub(crate) stale: Option<StaleReason>,
    /// The page reflects everything its sources committed before this moment, fresh or not.
    pub(crate) complete_until: Moment,
}

impl<L: Loader> fmt::Debug for CachedPage<L> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self
            .fragments
            .iter()
            .map(|state| state.fragment().map(|fragment| fragment.version))
            .collect();
        formatter
            .debug_struct("CachedPage")
            .field("versions", &versions)
            .field("composed", &self.composed)
            .finish_non_exhaustive()
    }
}
