//! The invariants of the design, checked on one answer.

use std::time::Duration;

use fresh_cache::{Answer, Brought, Clock as _, Fetch, FragmentState, Outcome, SourceId, Strategy, Version};

use crate::feed::Channel;
use crate::random_sources::{ENTITIES, Pages, RandomSources, State};

const SOURCES: [SourceId; 2] = [SourceId(0), SourceId(1)];

/// Per entity, the latest states that any answer showed.
pub(crate) type ShownSoFar = [[usize; 2]; ENTITIES];

/// What a reader knew when it arrived: per source, as indexes of states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    arrived: Duration,
    applied: [usize; 2],
    deleted: [usize; 2],
    shown: [usize; 2],
}

impl Floor {
    pub(crate) fn of(
        entity: usize,
        sources: &RandomSources,
        channels: &[Channel; 2],
        shown: &ShownSoFar,
    ) -> Self {
        Self {
            arrived: sources.clock.monotonic(),
            applied: [0, 1].map(|source| channels[source].applied[entity]),
            deleted: [0, 1].map(|source| channels[source].deleted[entity]),
            shown: shown[entity],
        }
    }
}

/// A version that a reader knows of, and the state it names; `None` if the reader made it up.
pub(crate) type Token = (SourceId, Version, Option<usize>);

/// One answer, and everything it is compared with.
pub(crate) struct Witness<'a> {
    pub(crate) sources: &'a RandomSources,
    pub(crate) strategy: Strategy,
    pub(crate) entity: usize,
    pub(crate) floor: Floor,
    pub(crate) tokens: &'a [Token],
    pub(crate) answer: &'a Answer<Pages>,
    /// Which history this is.
    pub(crate) place: String,
}

impl Witness<'_> {
    pub(crate) fn check(&self) {
        self.check_date();
        if !matches!(self.strategy, Strategy::Ttl(_)) {
            self.check_age();
        }
        for source in SOURCES {
            if let Some(fragment) = self.answer.page.content()[source.0] {
                self.check_evidence(source);
                self.check_truth(source, fragment.state);
                if matches!(self.strategy, Strategy::Invalidate | Strategy::Prepopulate) {
                    self.check_order(source, fragment.state);
                    self.check_bucket(source, fragment.bucket);
                }
            }
        }
        self.tokens.iter().for_each(|token| self.check_token(token));
    }

    /// The date of the answer, on the clock that nobody sets.
    fn date(&self) -> Duration {
        let clock = &self.sources.clock;
        let age = clock.now().saturating_since(self.answer.fresh_as_of);
        clock.monotonic().saturating_sub(age)
    }

    fn unmarked(&self) -> bool {
        self.answer.degraded().next().is_none()
    }

    /// I3: the date is none of the future, and that of a hit is of the last second.
    fn check_date(&self) {
        let (now, date) = (self.sources.clock.now(), self.answer.fresh_as_of);
        assert!(date <= now, "{}: a date in the future", self.place);
        let by_events = !matches!(self.strategy, Strategy::Ttl(_));
        if self.answer.outcome == Outcome::Hit && self.unmarked() && by_events {
            let age = now.saturating_since(date);
            assert!(
                age < Duration::from_secs(1),
                "{}: a hit that is {age:?} old",
                self.place
            );
        }
    }

    /// I3: who waited for an answer that is not marked does not get one of long before: the load that was joined had
    /// begun within the second before, and what it kept was fresh within the second before that. Unless the clock was set
    /// back, which leaves of the dates before it no more than the starts of requests.
    fn check_age(&self) {
        let (arrived, date) = (self.floor.arrived, self.date());
        let set_back = *self.sources.set_back.lock().unwrap();
        assert!(
            !self.unmarked()
                || date.saturating_add(Duration::from_secs(2)) > arrived
                || set_back.is_some_and(|set_back| set_back > date),
            "{}: dated {date:?} for one who came at {arrived:?}",
            self.place
        );
    }

    /// I4: no answer is dated after the last word of any of its sources.
    fn check_evidence(&self, source: SourceId) {
        let vouched = self.sources.sources[source.0].lock().unwrap().vouched;
        let date = self.date();
        assert!(
            date <= vouched,
            "{}, {source:?}, I4: dated {date:?}, last received or asked of {vouched:?}",
            self.place
        );
    }

    /// I3: what was committed before the date is shown.
    fn check_truth(&self, source: SourceId, shown: usize) {
        let next = self.sources.sources[source.0].lock().unwrap().states[self.entity]
            .get(shown + 1)
            .copied();
        if let Some(State { at, .. }) = next {
            let date = self.date();
            assert!(
                at >= date,
                "{}, {source:?}, I3: lacks what was committed at {at:?}, dated {date:?}",
                self.place
            );
        }
    }

    /// I1 and I2: neither what was applied nor what was shown is undone; not even marked, if its deletion was applied.
    fn check_order(&self, source: SourceId, shown: usize) {
        let (floor, place) = (&self.floor, &self.place);
        assert!(
            shown >= floor.deleted[source.0],
            "{place}, {source:?}: shows what an applied event deleted"
        );
        if matches!(self.answer.page.fragments()[source.0], FragmentState::Current(_)) {
            assert!(
                shown >= floor.applied[source.0],
                "{place}, {source:?}, I1: an event that was applied is undone"
            );
            assert!(
                shown >= floor.shown[source.0],
                "{place}, {source:?}, I2: back in time"
            );
        }
    }

    fn check_bucket(&self, source: SourceId, shown: u64) {
        let bucket = self.sources.bucket(source);
        assert!(
            self.answer.outcome != Outcome::Hit || !self.unmarked() || shown == bucket,
            "{}, {source:?}: past its time",
            self.place
        );
    }

    /// Rule 13: the answer reflects what its reader knew of, or says that it does not, and then not for want of asking.
    fn check_token(&self, &(source, version, state): &Token) {
        let Self { answer, place, .. } = self;
        let named = answer.behind.iter().any(|(of, _)| *of == source);
        let shown = answer.page.content()[source.0].map(|fragment| fragment.state);
        if !named {
            assert!(
                state.is_some() && shown >= state,
                "{place}, {source:?}: shows {shown:?} to one who knows of {version:?}, and does not say so"
            );
            return;
        }
        let source_now = self.sources.sources[source.0].lock().unwrap();
        // It was in backoff when the reader arrived, or when the load began that the reader joined.
        let backoffs = source_now.failed[self.entity]
            .is_some_and(|failed| self.floor.arrived.saturating_sub(failed) < Duration::from_secs(2));
        let failed = |fetch: &Fetch| fetch.source == source && fetch.brought == Brought::Failure;
        assert!(
            state.is_none()
                || version.incarnation != source_now.incarnation
                || backoffs
                || answer.fetches.iter().any(failed),
            "{place}, {source:?}: {version:?} was not asked for"
        );
    }
}
