//! What is wrong between this process and its broker, in words, and said once in the log.

mod known;
mod reason;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::known::Kind;
use self::reason::Reason;
use crate::outage::Outage;

/// How long a complaint of the server may explain what fails: a little longer than what fails waits for its answer.
const COMPLAINT_HOLDS: Duration = Duration::from_secs(5);

/// A connection that does not hold for this long was of no use.
const HOLDS: Duration = Duration::from_secs(1);

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
    const fn wrong(self, reason: &Reason) -> &'static str {
        match self {
            Self::Connection => match reason.kind {
                Kind::Away => "the broker is away",
                Kind::Refused => "the broker refuses this service",
                Kind::Unusable => "the broker cannot be used",
            },
            Self::Stream => "the stream cannot be used",
            Self::Publishing => "nothing can be published; changes wait in the outbox",
            Self::Feed => "the feed is not received",
            Self::Subscription => "not subscribed",
        }
    }

    const fn right(self) -> &'static str {
        match self {
            Self::Connection => "connected to NATS again",
            Self::Stream => "the stream can be used",
            Self::Publishing => "publishing again",
            Self::Feed => "the feed is received again",
            Self::Subscription => "subscribed again",
        }
    }
}

/// What is wrong now. Cheap to clone: all clones are of one state.
///
/// Whoever tries again after a failure tells it of every attempt; it writes one line when an outage begins, with the
/// reason and what to do, and one when it is over.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stages: [StageState; Stage::ALL.len()],
    /// What the server last complained of, and when. It answers nothing to what it forbids, so that its complaint is the
    /// reason why an answer does not come.
    complaint: Option<(String, Instant)>,
    connected_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct StageState {
    wrong: Option<Reason>,
    outage: Outage,
}

impl StageState {
    /// Whether that has to be said.
    fn over(&mut self) -> bool {
        self.wrong = None;
        self.outage.over()
    }
}

impl Trouble {
    /// An attempt failed. Nothing is written while an earlier stage is wrong: that one was said, and is the reason.
    pub(crate) fn set(&self, stage: Stage, error: &dyn Error) {
        let complaint = self.recent_complaint();
        self.set_reason(stage, Reason::of(error, complaint.as_deref()));
    }

    /// An attempt succeeded, and so the stages before it work, too.
    pub(crate) fn clear(&self, stage: Stage) {
        let mut all = self.lock();
        // Not the connection: it alone knows when it is lost, and this may be an answer from before that.
        let works = [stage.min(Stage::Stream), stage];
        let over = works.map(|stage| all.stages[stage as usize].over());
        drop(all);
        for (stage, over) in works.into_iter().zip(over) {
            if over {
                tracing::info!("{}", stage.right());
            }
        }
    }

    /// Nothing was tried yet.
    pub(crate) fn not_yet_connected(&self) {
        self.lock().stages[Stage::Connection as usize].wrong = Some(Reason::not_yet());
    }

    /// The connection was lost. Why, the next attempt tells; it often succeeds, and then there is nothing to say.
    pub(crate) fn disconnected(&self) {
        let mut all = self.lock();
        let held = all.connected_at.is_some_and(|at| at.elapsed() >= HOLDS);
        if held {
            all.stages[Stage::Connection as usize].wrong = Some(Reason::lost());
            return;
        }
        drop(all);
        self.set_reason(Stage::Connection, Reason::hung_up());
    }

    /// An attempt to connect failed, with what the client says of it.
    pub(crate) fn not_connected(&self, error: &str) {
        self.set_reason(Stage::Connection, Reason::of_connecting(error));
    }

    /// An attempt to connect succeeded. Whether the log knows of the outage already, or needs no line for it.
    pub(crate) fn connected(&self) -> bool {
        let mut all = self.lock();
        all.connected_at = Some(Instant::now());
        let told = &all.stages[Stage::Connection as usize];
        // A broker that hangs up again and again is said once a minute, and that it is back once for each.
        let hung_up = told
            .wrong
            .as_ref()
            .is_some_and(|reason| reason.kind == Kind::Unusable);
        let said = told.outage.is_said() || hung_up;
        drop(all);
        self.clear(Stage::Connection);
        said
    }

    /// The client ended by itself; another one is made.
    pub(crate) fn client_ended(&self) {
        self.set_reason(Stage::Connection, Reason::client_ended());
    }

    /// The server said that something is wrong.
    pub(crate) fn server_said(&self, complaint: &str) {
        self.lock().complaint = Some((complaint.to_owned(), Instant::now()));
    }

    /// Whether something listens there, and is of no use.
    pub(crate) fn refused(&self) -> bool {
        let connection = &self.lock().stages[Stage::Connection as usize];
        connection
            .wrong
            .as_ref()
            .is_some_and(|reason| reason.kind != Kind::Away)
    }

    /// Whether anything is wrong.
    pub(crate) fn is_there(&self) -> bool {
        self.lock().stages.iter().any(|stage| stage.wrong.is_some())
    }

    fn recent_complaint(&self) -> Option<String> {
        let all = self.lock();
        let (complaint, at) = all.complaint.as_ref()?;
        (at.elapsed() < COMPLAINT_HOLDS).then(|| complaint.clone())
    }

    fn set_reason(&self, stage: Stage, reason: Reason) {
        let mut all = self.lock();
        let (earlier, rest) = all.stages.split_at_mut(stage as usize);
        let consequence = earlier.iter().any(|earlier| earlier.wrong.is_some());
        let told = &mut rest[0];
        let say = !consequence && told.outage.failed(&reason.key(), Instant::now());
        let line = say.then(|| reason.clone());
        told.wrong = Some(reason);
        drop(all);
        if let Some(reason) = line {
            let wrong = stage.wrong(&reason);
            tracing::warn!(
                reason = reason.what,
                to_do = reason.to_do,
                "{wrong}; trying again"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so that a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Trouble {
    /// For `/readyz`: what works, and what does not and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.lock();
        let wrong = |stage: &Stage| all.stages[*stage as usize].wrong.as_ref();
        let Some((stage, reason)) = Stage::ALL
            .iter()
            .find_map(|stage| wrong(stage).map(|reason| (*stage, reason)))
        else {
            return f.write_str("the broker is connected");
        };
        if stage > Stage::Connection {
            f.write_str("the broker is connected, but ")?;
        }
        write!(f, "{}: {reason}", stage.wrong(reason))
    }
}
