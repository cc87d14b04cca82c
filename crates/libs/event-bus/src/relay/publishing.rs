//! Whether this process publishes for its source, for those who answer its readers and writers (rule 21).

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::Claim;

/// How long an accepted message shows that this process still holds its claim. It is counted from when the message was sent,
/// so that an acknowledgement that comes late shows no more than it should.
const LEASE: Duration = Duration::from_secs(1);

/// Where a relay stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Standing {
    /// It has not claimed yet, or has lost its claim and may claim again.
    Waiting,
    /// Its messages are accepted.
    Live {
        claim: Claim,
        /// When the last message that was accepted was sent.
        sent: Instant,
    },
    /// Another publisher is alive, which this one must not disturb.
    Refused,
}

/// Follows a [`Relay`](crate::Relay). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publishing(pub(super) watch::Receiver<Standing>);

impl Publishing {
    /// The claim that answers are to state: the live one, and none while it is not certain that this process holds it.
    pub fn claim(&self) -> Option<Claim> {
        match *self.0.borrow() {
            Standing::Live { claim, sent } => (sent.elapsed() < LEASE).then_some(claim),
            Standing::Waiting | Standing::Refused => None,
        }
    }

    /// Waits until this process publishes for its source.
    pub(crate) async fn until_live(&self) {
        let live = |standing: &Standing| matches!(standing, Standing::Live { .. });
        if self.0.clone().wait_for(live).await.is_err() {
            // The relay has ended, and with it the service.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this process must not publish any more.
    pub(crate) async fn until_refused(&self) {
        let refused = |standing: &Standing| *standing == Standing::Refused;
        if self.0.clone().wait_for(refused).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether another publisher is alive, so that nothing that is written here could be announced.
    pub fn is_refused(&self) -> bool {
        *self.0.borrow() == Standing::Refused
    }
}
