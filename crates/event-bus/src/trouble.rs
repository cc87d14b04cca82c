//! What is wrong between this process and its broker, in words, and said once in the log.

mod reason;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::reason::Reason;
use crate::outage::Outage;

/// What has to work, in this order: an earlier one that does not is why the later ones do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A broker is there and takes us.
    Connection,
    /// It has `JetStream`, and the stream is there or can be made.
    Stream,
    /// It takes what the relay publishes.
    Publishing,
    /// The feed is subscribed.
    Feed,
    /// The durable subscription is subscribed.
    Subscription,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Connection,
        Self::Stream,
        Self::Publishing,
        Self::Feed,
        Self::Subscription,
    ];

    /// What does not work, as readers of `/readyz` and of the log are told.
    const fn wrong(self) -> &'static str {
        match self {
            Self::Connection => "the broker is away",
            Self::Stream => "the stream cannot be used",
            Self::Publishing => "nothing can be published; changes wait in the outbox",
            Self::Feed => "the feed is not heard",
            Self::Subscription => "not subscribed",
        }
    }

    const fn right(self) -> &'static str {
        match self {
            Self::Connection => "connected to NATS",
            Self::Stream => "the stream can be used",
            Self::Publishing => "publishing again",
            Self::Feed => "hearing the feed again",
            Self::Subscription => "subscribed again",
        }
    }
}

/// What is wrong now. Cheap to clone: all clones are of one state.
///
/// Whoever tries again after a failure tells it of every attempt; it writes one line when an outage begins, with the
/// reason and what to do, and one when it is over.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<Stages>>);

#[derive(Debug, Default)]
struct Stages([StageState; Stage::ALL.len()]);

#[derive(Debug, Default)]
struct StageState {
    wrong: Option<Reason>,
    outage: Outage,
}

impl Trouble {
    /// An attempt failed. Nothing is written while an earlier stage is wrong: that one was said, and is the reason.
    pub(crate) fn set(&self, stage: Stage, error: &dyn Error) {
        self.set_reason(stage, Reason::of(error));
    }

    /// An attempt succeeded.
    pub(crate) fn clear(&self, stage: Stage) {
        let mut stages = self.lock();
        let told = &mut stages.0[stage as usize];
        told.wrong = None;
        let over = told.outage.over();
        drop(stages);
        if over {
            tracing::info!("{}", stage.right());
        }
    }

    /// The first stage that is wrong, with its reason. None if all that was tried works.
    pub(crate) fn now(&self) -> Option<(Stage, String)> {
        let stages = self.lock();
        Stage::ALL
            .into_iter()
            .find_map(|stage| Some((stage, stages.0[stage as usize].wrong.as_ref()?.to_string())))
    }

    fn set_reason(&self, stage: Stage, reason: Reason) {
        let mut stages = self.lock();
        let (earlier, rest) = stages.0.split_at_mut(stage as usize);
        let consequence = earlier.iter().any(|earlier| earlier.wrong.is_some());
        let told = &mut rest[0];
        let say = !consequence && told.outage.failed(&reason.what, Instant::now());
        let line = say.then(|| reason.clone());
        told.wrong = Some(reason);
        drop(stages);
        if let Some(Reason { what, to_do }) = line {
            tracing::warn!(reason = what, to_do, "{}; trying again", stage.wrong());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stages> {
        // The state is whole between any two statements, so that a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Trouble {
    /// For `/readyz`: what works, and what does not and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.now() {
            None => f.write_str("the broker is connected"),
            Some((Stage::Connection, reason)) => write!(f, "{}: {reason}", Stage::Connection.wrong()),
            Some((stage, reason)) => write!(f, "the broker is connected, but {}: {reason}", stage.wrong()),
        }
    }
}
