//! HTTP on this machine.

use std::fmt;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;

/// Nobody on this machine takes longer to take a connection, but who stands still.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// A client that waits so long for an answer: no proxy, no redirects, and every connection kept that was once needed.
///
/// # Panics
/// Never in practice: without TLS there is nothing that can fail.
pub fn client(patience: Duration) -> Client {
    let builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_WITHIN.min(patience))
        .pool_idle_timeout(None)
        .timeout(patience);
    builder.build().expect("a client without TLS can always be made")
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody listened.
    Unreachable,
    /// Nothing came in time.
    Timeout,
    /// The connection broke.
    Broken,
}

impl From<reqwest::Error> for Unanswered {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Unreachable
        } else {
            Self::Broken
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "cannot be reached",
            Self::Timeout => "does not answer",
            Self::Broken => "broke off its answer",
        })
    }
}

impl std::error::Error for Unanswered {}
