//! Faults in words.

use std::fmt;

use super::{Action, Fault, Kind, Place};

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
