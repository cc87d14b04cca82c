//! What was written and when, to judge what is read by.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stack::{Incarnation, PerSource, Source};

use crate::client::{Answer, Failure, Write};

/// An unmarked answer that lacks a change of more than this ago is stale: the page promises less.
pub const STALE_AFTER: Duration = stack::PROMISE;

/// How many writes to one account at one source are remembered each; of older ones, that there were some.
const REMEMBERED: usize = 10_000;

/// Every write that was acknowledged, by source and account.
#[derive(Debug, Default)]
pub struct Oracle(Mutex<Writes>);

/// How an answer compares to what was acknowledged before it was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// How long before its request the first write that it lacks had been acknowledged; none if it lacks none.
    pub behind: Option<Duration>,
    /// Whether it lacks one that had been acknowledged before its own `Fresh-As-Of`.
    pub mismatch: bool,
}

/// A version comes from another database of its source than all before: nothing can be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnotherDatabase(pub Source);

impl fmt::Display for AnotherDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another database of {}", self.0)
    }
}

impl std::error::Error for AnotherDatabase {}

impl From<AnotherDatabase> for Failure {
    fn from(other: AnotherDatabase) -> Self {
        Self::Other(other.to_string())
    }
}

#[derive(Debug, Default)]
struct Writes {
    /// The one database that each source had from the start of the run.
    incarnations: PerSource<Option<Incarnation>>,
    by_account: HashMap<(Source, u64), AccountWrites>,
}

/// The writes to one account at one source, by revision.
#[derive(Debug, Default)]
struct AccountWrites {
    remembered: VecDeque<Write>,
    /// The highest of those that are no longer remembered.
    forgotten: Option<Write>,
}

impl Oracle {
    /// Remembers a write.
    pub fn learn(&self, write: &Write) -> Result<(), AnotherDatabase> {
        let mut writes = self.lock();
        writes.require_database(write.source, write.version.incarnation)?;
        let account = (write.source, write.account);
        writes.by_account.entry(account).or_default().insert(*write);
        Ok(())
    }

    /// Compares an answer with what is known.
    pub fn judge(&self, answer: &Answer) -> Result<Judgement, AnotherDatabase> {
        let mut writes = self.lock();
        let mut judgement = Judgement::default();
        for (source, version) in answer.versions.present() {
            writes.require_database(source, version.incarnation)?;
            if let Some(account) = writes.by_account.get(&(source, answer.account)) {
                let lacking = || account.beyond(version.revision);
                let behind = lacking()
                    .filter_map(|write| answer.sent.checked_duration_since(write.acked))
                    .filter(|behind| !behind.is_zero());
                judgement.behind = judgement.behind.max(behind.max());
                judgement.mismatch |= lacking().any(|write| write.acked_at < answer.fresh_as_of);
            }
        }
        Ok(judgement)
    }

    fn lock(&self) -> MutexGuard<'_, Writes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writes {
    /// The first database of a source that is met is the one.
    fn require_database(&mut self, source: Source, incarnation: Incarnation) -> Result<(), AnotherDatabase> {
        let known = self.incarnations[source].get_or_insert(incarnation);
        if *known == incarnation {
            Ok(())
        } else {
            Err(AnotherDatabase(source))
        }
    }
}

impl AccountWrites {
    /// Acknowledgements may arrive in another order than the writes were made in.
    fn insert(&mut self, write: Write) {
        let revision = |write: &Write| write.version.revision;
        let place = self
            .remembered
            .partition_point(|known| revision(known) < revision(&write));
        self.remembered.insert(place, write);
        if self.remembered.len() > REMEMBERED {
            let forgotten = self.forgotten.into_iter().chain(self.remembered.pop_front());
            self.forgotten = forgotten.max_by_key(revision);
        }
    }

    /// The writes that an answer of this revision lacks; the forgotten ones as one, the last of them.
    fn beyond(&self, revision: u64) -> impl Iterator<Item = &Write> {
        let shown = move |write: &Write| write.version.revision <= revision;
        let first = self.remembered.partition_point(shown);
        let forgotten = self.forgotten.iter().filter(move |write| !shown(write));
        forgotten.chain(self.remembered.range(first..))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use stack::{Asked, Moment, Outcome, Version};

    use super::*;

    fn shown(revisions: &[(Source, u64)]) -> PerSource<Option<Version>> {
        let shown = revisions.iter();
        shown
            .map(|&(source, revision)| (source, Some(version(revision))))
            .collect()
    }

    /// A clock whose two faces go together.
    struct Clock(Instant, Moment);

    impl Clock {
        fn new() -> Self {
            Self(Instant::now(), Moment::now())
        }

        fn at(&self, ms: u64) -> Instant {
            self.0 + Duration::from_millis(ms)
        }

        fn wall(&self, ms: u64) -> Moment {
            self.1.plus(Duration::from_millis(ms))
        }

        fn change(&self, revision: u64, ms: u64) -> Write {
            Write {
                source: Source::Endpoints,
                account: 7,
                version: version(revision),
                acked: self.at(ms),
                acked_at: self.wall(ms),
            }
        }

        /// Sent at one time, dated another.
        fn answer(&self, revision: u64, sent_ms: u64, dated_ms: u64) -> Answer {
            Answer {
                account: 7,
                sent: self.at(sent_ms),
                ended: self.at(sent_ms + 1),
                versions: shown(&[(Source::Accounts, 0), (Source::Endpoints, revision)]),
                fresh_as_of: self.wall(dated_ms),
                age_when_sent: Duration::ZERO,
                age: Duration::ZERO,
                outcome: Outcome::Hit,
                collapsed: false,
                marked: false,
                requests: Asked::default(),
            }
        }
    }

    fn version(revision: u64) -> Version {
        Version {
            incarnation: Incarnation(1),
            revision,
            nonce: revision,
        }
    }

    fn known(changes: &[Write]) -> Oracle {
        let known = Oracle::default();
        for change in changes {
            known.learn(change).unwrap();
        }
        known
    }

    fn behind_ms(known: &Oracle, answer: &Answer) -> Option<u128> {
        known
            .judge(answer)
            .unwrap()
            .behind
            .map(|behind| behind.as_millis())
    }

    #[test]
    fn an_answer_is_behind_since_the_first_change_that_it_lacks() {
        let clock = Clock::new();
        let known = known(&[clock.change(2, 100), clock.change(3, 200), clock.change(4, 300)]);
        let behind = |revision| behind_ms(&known, &clock.answer(revision, 1000, 0));
        assert_eq!(behind(1), Some(900));
        assert_eq!(behind(2), Some(800));
        assert_eq!(behind(3), Some(700));
        assert_eq!(behind(4), None);
        assert_eq!(behind(5), None, "somebody else may write too");
    }

    #[test]
    fn only_what_was_acknowledged_before_the_request_is_due() {
        let clock = Clock::new();
        let known = known(&[clock.change(2, 100)]);
        assert_eq!(behind_ms(&known, &clock.answer(1, 99, 0)), None);
        assert_eq!(behind_ms(&known, &clock.answer(1, 100, 0)), None);
        assert_eq!(behind_ms(&known, &clock.answer(1, 101, 0)), Some(1));
    }

    #[test]
    fn a_later_revision_that_was_acknowledged_sooner_counts() {
        let clock = Clock::new();
        let known = known(&[clock.change(3, 100), clock.change(2, 200)]);
        assert_eq!(behind_ms(&known, &clock.answer(1, 150, 0)), Some(50));
        assert_eq!(behind_ms(&known, &clock.answer(2, 150, 0)), Some(50));
        assert_eq!(behind_ms(&known, &clock.answer(3, 250, 0)), None);
    }

    #[test]
    fn an_answer_is_a_mismatch_if_it_is_dated_after_a_change_that_it_lacks() {
        let clock = Clock::new();
        let known = known(&[clock.change(2, 100)]);
        let mismatch = |revision, dated| known.judge(&clock.answer(revision, 50, dated)).unwrap().mismatch;
        assert!(!mismatch(1, 99));
        assert!(!mismatch(1, 100), "complete up to then, not including it");
        assert!(mismatch(1, 101));
        assert!(!mismatch(2, 101));
    }

    #[test]
    fn accounts_and_sources_do_not_answer_for_each_other() {
        let clock = Clock::new();
        let known = known(&[clock.change(2, 100)]);
        let other = Answer {
            account: 8,
            ..clock.answer(1, 500, 500)
        };
        assert_eq!(known.judge(&other), Ok(Judgement::default()));
        let missing = Answer {
            versions: shown(&[(Source::Accounts, 1), (Source::Metrics, 1)]),
            ..clock.answer(1, 500, 500)
        };
        assert_eq!(
            known.judge(&missing),
            Ok(Judgement::default()),
            "a fragment that is not shown"
        );
    }

    #[test]
    fn another_database_is_not_passed_over() {
        let clock = Clock::new();
        let known = known(&[clock.change(2, 100)]);
        let mut answer = clock.answer(9, 500, 0);
        let other = Version {
            incarnation: Incarnation(2),
            ..version(9)
        };
        answer.versions[Source::Endpoints] = Some(other);
        assert_eq!(known.judge(&answer), Err(AnotherDatabase(Source::Endpoints)));
        let mut change = clock.change(10, 600);
        change.version.incarnation = Incarnation(2);
        assert_eq!(known.learn(&change), Err(AnotherDatabase(Source::Endpoints)));
    }

    #[test]
    fn what_is_forgotten_still_counts_by_its_last_change() {
        let clock = Clock::new();
        let known = Oracle::default();
        for number in 1..=12_000 {
            known.learn(&clock.change(number, number)).unwrap();
        }
        assert_eq!(behind_ms(&known, &clock.answer(0, 20_000, 0)), Some(18_000));
        assert_eq!(behind_ms(&known, &clock.answer(11_999, 20_000, 0)), Some(8000));
        let writes = &known.lock().by_account[&(Source::Endpoints, 7)];
        assert_eq!(writes.remembered.len(), REMEMBERED);
    }
}
