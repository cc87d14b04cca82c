//! Faults in words.

use std::fmt;

use super::{Action, Fault, Kind, Original, Place, Stop};

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(source) => write!(f, "{source}"),
            Self::Broker => write!(f, "the broker"),
            Self::Replica(replica) => write!(f, "page-{replica}"),
            Self::SourceToBroker(source) => write!(f, "{source} to broker"),
            Self::ReplicaToBroker(replica) => write!(f, "page-{replica} to broker"),
            Self::ReplicaToSource(replica, source) => write!(f, "page-{replica} to {source}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KillSource => "a source killed",
            Self::KillReplica => "a page killed",
            Self::KillBroker => "the broker killed",
            Self::WipeBroker => "the broker killed, its store deleted",
            Self::PauseSource => "a source paused",
            Self::PauseReplica => "a page paused",
            Self::PauseBroker => "the broker paused",
            Self::CutLink => "a link cut",
            Self::BlackHoleLink => "a link black-holed",
            Self::SlowSource => "a source slow",
            Self::SlowFeed => "a link to the broker slow",
            Self::FailSource => "a source out of reach of all pages",
            Self::IsolateReplica => "a page out of reach of everything",
            Self::StepClock => "a source's clock stepped, and back",
            Self::ResetSource => "a source's database deleted",
            Self::RestoreSource => "a source set back to a copy",
            Self::TwinSource => "a second process on a source's copy",
            Self::SetClocksBack => "the clocks of all sources set back",
            Self::KillLeader => "of three brokers the leader killed",
            Self::LoseQuorum => "of three brokers two killed",
            Self::RollBroker => "three brokers restarted in turn",
        })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9, copy",
            Self::Terminate => "stop (SIGTERM), copy",
            Self::TerminateAndLeaveOutTheLog => "stop (SIGTERM), checkpoint, copy without the -wal",
        })
    }
}

impl fmt::Display for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GoesOn => "lives on",
            Self::Restarts => "is restarted",
            Self::ComesLater => "comes back in the middle",
            Self::ComesRenewedAndCutOff => "comes back renewed and cut off from the broker",
            Self::StandsStill => "is paused for half of the time",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s: ", self.at.as_secs_f64())?;
        match self.action {
            Action::Kill => write!(f, "kill -9")?,
            Action::KillAndWipe => write!(f, "kill -9 and delete the data of")?,
            Action::Pause => write!(f, "pause")?,
            Action::StepClock(by) => write!(f, "restart with a clock {by:+} ms off")?,
            Action::KillLeader => write!(f, "kill -9 the leader of")?,
            Action::KillTwo => write!(f, "kill -9 the leader and another one of")?,
            Action::Roll => write!(f, "kill -9 and restart one after the other of")?,
            Action::SetClocksBack(by) => {
                write!(
                    f,
                    "set the clocks ahead by {by} ms, then right, then kill the first:"
                )?;
            }
            Action::Restore(stop) => write!(f, "{stop}, run on, stop, put the copy back:")?,
            Action::Twin(original) => {
                write!(f, "start a second process on a copy, while the first {original}:")?;
            }
            Action::Cut => write!(f, "cut")?,
            Action::BlackHole { reset: false } => write!(f, "black-hole")?,
            Action::BlackHole { reset: true } => write!(f, "black-hole, and reset at the end,")?,
            Action::Slow(by) => write!(f, "slow down by {} ms", by.as_millis())?,
        }
        for (number, place) in self.places.iter().enumerate() {
            write!(f, "{} {place}", if number == 0 { "" } else { "," })?;
        }
        write!(f, "; repaired {:.3} s later", self.lasts.as_secs_f64())
    }
}
