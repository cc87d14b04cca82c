//! One fault of a kind, drawn.

use stack::{Random, Source, one_of};
use std::time::Duration;

use super::{Action, Fault, Kind, Original, Pace, Place, Stop};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

/// So far off that no stated skew could allow it.
const CLOCK_STEP_MS: i64 = 3_600_000;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn fault(kind: Kind, pace: &Pace, random: &mut Random) -> Fault {
    let (action, places) = what(kind, pace, random);
    let (least, most) = lasts(kind);
    Fault {
        kind,
        action,
        places,
        at: random.random_range(Duration::ZERO..=pace.spread),
        lasts: random.random_range(least.min(pace.longest)..=most.min(pace.longest)),
    }
}

fn lasts(kind: Kind) -> (Duration, Duration) {
    match kind {
        Kind::KillSource | Kind::KillReplica | Kind::KillBroker | Kind::WipeBroker => (ms(0), ms(3_000)),
        Kind::ResetSource => (ms(0), ms(1_500)),
        // A claim is made 600 ms after a start: a copy is put back from which one is missing, or none.
        Kind::RestoreSource => (ms(100), ms(3_000)),
        Kind::TwinSource | Kind::SetClocksBack => (ms(1_500), ms(5_000)),
        Kind::StepClock => (ms(1_000), ms(4_000)),
        // Trust ends after a second, and a request's deadline is shorter: draw values on both sides of these.
        Kind::PauseSource | Kind::PauseReplica | Kind::PauseBroker => (ms(200), ms(5_000)),
        Kind::KillLeader
        | Kind::LoseQuorum
        | Kind::RollBroker
        | Kind::CutLink
        | Kind::BlackHoleLink
        | Kind::SlowSource
        | Kind::SlowFeed
        | Kind::FailSource
        | Kind::IsolateReplica => (ms(500), ms(5_000)),
    }
}

fn what(kind: Kind, pace: &Pace, random: &mut Random) -> (Action, Vec<Place>) {
    let source = one_of(&Source::ALL, random);
    let replica = random.random_range(0..pace.replicas);
    let black_hole = Action::BlackHole {
        reset: random.random_ratio(1, 2),
    };
    let one = |place| vec![place];
    match kind {
        Kind::KillSource => (Action::Kill, one(Place::Source(source))),
        Kind::KillReplica => (Action::Kill, one(Place::Replica(replica))),
        Kind::KillBroker => (Action::Kill, one(Place::Broker)),
        Kind::WipeBroker => (Action::KillAndWipe, one(Place::Broker)),
        Kind::KillLeader => (Action::KillLeader, one(Place::Broker)),
        Kind::LoseQuorum => (Action::KillTwo, one(Place::Broker)),
        Kind::RollBroker => (Action::Roll, one(Place::Broker)),
        Kind::PauseSource => (Action::Pause, one(Place::Source(source))),
        Kind::PauseReplica => (Action::Pause, one(Place::Replica(replica))),
        Kind::PauseBroker => (Action::Pause, one(Place::Broker)),
        Kind::CutLink => (Action::Cut, one(link(source, replica, random))),
        Kind::BlackHoleLink => (black_hole, one(link(source, replica, random))),
        Kind::SlowSource => {
            // There and back: mostly within the deadline of 900 ms, so that events overtake the answer; sometimes not.
            let most = one_of(&[200, 400, 1_500], random);
            let by = random.random_range(ms(50)..=ms(most));
            (Action::Slow(by), to_source(source, pace))
        }
        Kind::SlowFeed => {
            // A watermark that arrives a second late is no evidence; one that arrives a little late is, and says most.
            let most = one_of(&[200, 400, 1_200], random);
            let by = random.random_range(ms(20)..=ms(most));
            let way = [Place::SourceToBroker(source), Place::ReplicaToBroker(replica)];
            (Action::Slow(by), one(one_of(&way, random)))
        }
        Kind::FailSource => (Action::Cut, to_source(source, pace)),
        Kind::IsolateReplica => {
            let asks = Source::ALL.map(|source| Place::ReplicaToSource(replica, source));
            let places = [vec![Place::ReplicaToBroker(replica)], asks.to_vec()].concat();
            (one_of(&[Action::Cut, black_hole], random), places)
        }
        Kind::StepClock => {
            let by = one_of(&[CLOCK_STEP_MS, -CLOCK_STEP_MS], random);
            (Action::StepClock(by), one(Place::Source(source)))
        }
        Kind::ResetSource => (Action::KillAndWipe, one(Place::Source(source))),
        Kind::RestoreSource => {
            let stop = one_of(
                &[Stop::Kill, Stop::Terminate, Stop::TerminateAndLeaveOutTheLog],
                random,
            );
            (Action::Restore(stop), one(Place::Source(source)))
        }
        Kind::TwinSource => {
            let original = one_of(
                &[
                    Original::GoesOn,
                    Original::Restarts,
                    Original::ComesLater,
                    Original::StandsStill,
                    Original::ComesRenewedAndCutOff,
                ],
                random,
            );
            let mut places = vec![Place::Source(source)];
            if original == Original::ComesRenewedAndCutOff {
                places.push(Place::SourceToBroker(source));
            }
            (Action::Twin(original), places)
        }
        Kind::SetClocksBack => {
            // So far that the clock does not catch up within the fault, and so far that it does.
            let by = one_of(&[8_000, 2_000], random);
            let mut sources = Source::ALL;
            sources.shuffle(random);
            (Action::SetClocksBack(by), sources.map(Place::Source).to_vec())
        }
    }
}

/// The links to the broker more often than the others: without the feed a cache is on its own.
fn link(source: Source, replica: usize, random: &mut Random) -> Place {
    one_of(
        &[
            Place::ReplicaToBroker(replica),
            Place::SourceToBroker(source),
            Place::ReplicaToSource(replica, source),
            Place::ReplicaToBroker(replica),
        ],
        random,
    )
}

fn to_source(source: Source, pace: &Pace) -> Vec<Place> {
    (0..pace.replicas)
        .map(|replica| Place::ReplicaToSource(replica, source))
        .collect()
}
