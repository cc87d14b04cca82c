//! What is broken, when, and for how long: a function of the seed and the round.

mod display;
mod draw;

use std::time::Duration;

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use stack::{Random, Source, one_of, random};

/// A process or a link. Each link has the names of its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The process of a source.
    Source(Source),
    /// The nats-server.
    Broker,
    /// The process of a page replica; of the first one's twin, the naive page, too.
    Replica(usize),
    /// By which a source publishes.
    SourceToBroker(Source),
    /// By which a replica receives the feed.
    ReplicaToBroker(usize),
    /// By which a replica asks.
    ReplicaToSource(usize, Source),
}

/// The kinds of faults; each lap of rounds has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Kind {
    /// A source is killed and started again.
    KillSource,
    /// A page replica is killed and started again: its cache is gone.
    KillReplica,
    /// The broker is killed and started again.
    KillBroker,
    /// The same, and its store is deleted meanwhile.
    WipeBroker,
    /// A source stands still, and goes on as if nothing had been.
    PauseSource,
    /// A page replica stands still.
    PauseReplica,
    /// The broker stands still.
    PauseBroker,
    /// A link closes its connections and takes no new ones.
    CutLink,
    /// A link takes everything and passes nothing on.
    BlackHoleLink,
    /// A source answers every replica late.
    SlowSource,
    /// A source publishes late, or a replica receives late.
    SlowFeed,
    /// No replica can ask a source, which goes on.
    FailSource,
    /// A replica reaches nobody and receives nothing.
    IsolateReplica,
    /// A source's clock is an hour off, and then right again.
    StepClock,
    /// A source's database is deleted: a new one begins.
    ResetSource,
    /// A source is set back to a copy of its database.
    RestoreSource,
    /// A second process of a source runs on a copy of its database.
    TwinSource,
    /// The clocks of all sources are ahead, and then right again.
    SetClocksBack,
    /// Of three brokers, the one is killed that leads the stream's copies.
    KillLeader,
    /// Of three brokers, two are killed.
    LoseQuorum,
    /// Of three brokers, one after the other is killed and started again.
    RollBroker,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::KillSource,
        Self::KillReplica,
        Self::KillBroker,
        Self::WipeBroker,
        Self::PauseSource,
        Self::PauseReplica,
        Self::PauseBroker,
        Self::CutLink,
        Self::BlackHoleLink,
        Self::SlowSource,
        Self::SlowFeed,
        Self::FailSource,
        Self::IsolateReplica,
        Self::StepClock,
        Self::ResetSource,
        Self::RestoreSource,
        Self::TwinSource,
        Self::SetClocksBack,
        Self::KillLeader,
        Self::LoseQuorum,
        Self::RollBroker,
    ];

    /// Whether it takes a broker of three servers.
    pub const fn needs_three_nodes(self) -> bool {
        matches!(self, Self::KillLeader | Self::LoseQuorum | Self::RollBroker)
    }
}

/// How a source is stopped before its database is copied, and again before the copy is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGKILL; the copy has the write-ahead log.
    Kill,
    /// SIGTERM; the copy has the write-ahead log, if there is one.
    Terminate,
    /// SIGTERM, and a checkpoint as by an operator; the copy is the database's file alone.
    TerminateAndLeaveOutTheLog,
}

/// What the process does that has a source's own database, while a second one has a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Original {
    /// It goes on.
    GoesOn,
    /// SIGKILL, and started again at once.
    Restarts,
    /// SIGKILL before the copy is taken; started again in the middle.
    ComesLater,
    /// SIGSTOP after a quarter, SIGCONT after three.
    StandsStill,
    /// SIGKILL before the copy is taken. It comes back after a quarter, with a new incarnation that an operator gave it, and
    /// reaches no broker until three quarters have passed: it answers, while the second one publishes.
    ComesRenewedAndCutOff,
}

/// What is done to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL; started again at the end.
    Kill,
    /// The same, without its data when it starts again.
    KillAndWipe,
    /// SIGSTOP; SIGCONT at the end.
    Pause,
    /// SIGKILL of the server that leads the stream's copies; started again at the end.
    KillLeader,
    /// The same, and of one more.
    KillTwo,
    /// SIGKILL of one server after the other, each started again at once.
    Roll,
    /// SIGKILL, started at once with its clock off by so many milliseconds; killed and started with a right one at the end.
    StepClock(i64),
    /// All are started again with their clocks so many milliseconds ahead, and after a third of the time with right ones; from
    /// the middle on the first one is dead.
    SetClocksBack(i64),
    /// Stopped, its database copied, started; stopped at the end, and started with the copy instead of its database.
    Restore(Stop),
    /// A second process is started on a copy of its database, and killed at the end. It is written to, and nobody asks it.
    Twin(Original),
    /// Connections are closed, and refused.
    Cut,
    /// Nothing passes and nobody is told.
    BlackHole {
        /// Whether its connections are closed at the end, with what they held; if not, all of it arrives late.
        reset: bool,
    },
    /// Bytes pass later by so much.
    Slow(Duration),
}

/// One fault of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of which kind.
    pub kind: Kind,
    /// What is done.
    pub action: Action,
    /// To whom.
    pub places: Vec<Place>,
    /// After the round's beginning.
    pub at: Duration,
    /// From its beginning to its repair.
    pub lasts: Duration,
}

/// How hard a run is.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Which kinds of faults there are.
    pub kinds: Vec<Kind>,
    /// How many faults a round has at least.
    pub fewest: usize,
    /// How many it has at most.
    pub most: usize,
    /// Within which time they begin.
    pub spread: Duration,
    /// How long one may last.
    pub longest: Duration,
    /// How many page replicas there are to break.
    pub replicas: usize,
}

/// The faults of one round, in the order in which they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The faults.
    pub faults: Vec<Fault>,
}

impl Schedule {
    /// The schedule of a round. No process and no link has two faults in it.
    ///
    /// The first kinds of each round are dealt from a shuffled deck, so that a lap of rounds leaves no kind out.
    pub fn of(seed: u64, round: u32, pace: &Pace) -> Self {
        let mut random = random(seed, u64::from(round) + 1);
        let mut schedule = Self::default();
        for kind in dealt(seed, round as usize, pace) {
            schedule.add(kind, pace, &mut random);
        }
        let more = random.random_range(0..=pace.most.saturating_sub(pace.fewest));
        for _ in 0..more {
            let kind = one_of(&pace.kinds, &mut random);
            schedule.add(kind, pace, &mut random);
        }
        schedule.faults.sort_by_key(|fault| fault.at);
        schedule
    }

    /// How many rounds it takes until every kind was dealt.
    pub const fn lap(pace: &Pace) -> usize {
        pace.kinds.len().div_ceil(pace.fewest)
    }

    fn add(&mut self, kind: Kind, pace: &Pace, random: &mut Random) {
        // Two faults of one round may want the same place; some other place of the kind is free, mostly.
        for _ in 0..16 {
            let fault = draw::fault(kind, pace, random);
            if !self.touches(&fault.places) {
                self.faults.push(fault);
                return;
            }
        }
    }

    fn touches(&self, places: &[Place]) -> bool {
        self.faults
            .iter()
            .flat_map(|fault| &fault.places)
            .any(|place| places.contains(place))
    }
}

/// The round's hand of the deck, which is shuffled anew after each lap.
fn dealt(seed: u64, round: usize, pace: &Pace) -> Vec<Kind> {
    let (hand, rounds) = (pace.fewest, Schedule::lap(pace));
    let lap = u64::try_from(round / rounds).unwrap_or_default();
    let mut random = random(seed, u64::MAX - lap);
    let mut deck = pace.kinds.clone();
    // Two cards of a hand that want the same place would be one fault, and a lap would leave a kind out. Where kinds were
    // chosen by hand there may be no other way.
    for _ in 0..1_000 {
        deck.shuffle(&mut random);
        if deck.chunks(hand).all(|hand| !collide(hand)) {
            break;
        }
    }
    deck.chunks(hand).nth(round % rounds).unwrap_or_default().to_vec()
}

/// Whether two of the kinds always want the same place.
fn collide(kinds: &[Kind]) -> bool {
    let count = |of: &[Kind]| kinds.iter().filter(|kind| of.contains(kind)).count();
    let broker = count(&[
        Kind::KillBroker,
        Kind::WipeBroker,
        Kind::PauseBroker,
        Kind::KillLeader,
        Kind::LoseQuorum,
        Kind::RollBroker,
    ]);
    let every_replica = count(&[Kind::SlowSource, Kind::FailSource]);
    let one_source = count(&[
        Kind::KillSource,
        Kind::PauseSource,
        Kind::StepClock,
        Kind::ResetSource,
        Kind::RestoreSource,
        Kind::TwinSource,
    ]);
    broker > 1
        || (count(&[Kind::IsolateReplica]) > 0 && every_replica > 0)
        || (count(&[Kind::SetClocksBack]) > 0 && one_source > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn pace() -> Pace {
        Pace {
            kinds: Kind::ALL.to_vec(),
            fewest: 2,
            most: 3,
            spread: Duration::from_secs(2),
            longest: Duration::from_secs(5),
            replicas: 2,
        }
    }

    fn lap(seed: u64) -> Vec<Schedule> {
        (0..u32::try_from(Schedule::lap(&pace())).unwrap())
            .map(|round| Schedule::of(seed, round, &pace()))
            .collect()
    }

    #[test]
    fn a_schedule_follows_from_the_seed_and_the_round_alone() {
        assert_eq!(lap(42), lap(42));
        assert_ne!(lap(42), lap(43));
        assert_eq!(lap(42)[3], Schedule::of(42, 3, &pace()));
    }

    #[test]
    fn a_lap_leaves_no_kind_out() {
        for seed in 0..200 {
            let kinds: BTreeSet<_> = lap(seed)
                .iter()
                .flat_map(|schedule| schedule.faults.iter().map(|fault| fault.kind))
                .collect();
            let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
            assert!(missing.is_empty(), "seed {seed} never: {missing:?}");
        }
    }

    #[test]
    fn nothing_has_two_faults_in_one_round() {
        for seed in 0..200 {
            for schedule in lap(seed) {
                let places: Vec<_> = schedule.faults.iter().flat_map(|fault| &fault.places).collect();
                let distinct: BTreeSet<_> = places.iter().collect();
                assert_eq!(places.len(), distinct.len(), "{schedule:?}");
            }
        }
    }

    #[test]
    fn faults_keep_to_the_pace() {
        let pace = pace();
        for seed in 0..200 {
            for fault in lap(seed).iter().flat_map(|schedule| &schedule.faults) {
                assert!(fault.at <= pace.spread && fault.lasts <= pace.longest, "{fault}");
                assert!(!fault.places.is_empty());
            }
        }
    }

    #[test]
    fn a_restore_and_a_second_publisher_say_how() {
        let fault = |action| Fault {
            kind: Kind::RestoreSource,
            action,
            places: vec![Place::Source(Source::Accounts)],
            at: Duration::ZERO,
            lasts: Duration::from_secs(1),
        };
        assert_eq!(
            fault(Action::Restore(Stop::TerminateAndLeaveOutTheLog)).to_string(),
            "0.000 s: stop (SIGTERM), checkpoint, copy without the -wal, run on, stop, put the copy back: accounts; repaired 1.000 s later"
        );
        assert_eq!(
            fault(Action::Twin(Original::ComesLater)).to_string(),
            "0.000 s: start a second process on a copy, while the first comes back in the middle: accounts; repaired 1.000 s later"
        );
    }

    #[test]
    fn a_fault_says_what_it_does() {
        let fault = Fault {
            kind: Kind::CutLink,
            action: Action::Cut,
            places: vec![Place::ReplicaToSource(1, Source::Metrics), Place::Broker],
            at: Duration::from_millis(250),
            lasts: Duration::from_millis(1300),
        };
        assert_eq!(
            fault.to_string(),
            "0.250 s: cut page-1 to metrics, the broker; repaired 1.300 s later"
        );
    }
}
