//! One connection to NATS, and the stream that everything is published to.

mod connection;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::{self, stream};
use tokio::sync::watch;

use self::connection::{Dialer, Link};
use crate::NatsConfig;
use crate::config::FileError;
use crate::trouble::{Stage, Trouble};

/// What the stream may hold. `JetStream` reserves as much when it is made.
const STREAM_BYTES: i64 = 1 << 30;
/// What it may hold at least: hours of a small site. With less room than this there is no stream.
const LEAST_STREAM_BYTES: i64 = 16 << 20;

/// The stream's name and the first token of every subject in it.
#[derive(Debug, Clone)]
pub struct Topology {
    /// The JetStream stream.
    pub stream: String,
    /// Changes go to `<prefix>.<source>.<entity>`, watermarks to `<prefix>.<source>.watermark`.
    pub prefix: String,
}

impl Topology {
    /// The subject on which a source announces changes of an entity.
    pub fn subject(&self, source: &str, entity: &str) -> String {
        format!("{}.{source}.{entity}", self.prefix)
    }

    /// Whose subject it is, and of what: the reverse of [`subject`](Self::subject).
    pub(crate) fn parse<'a>(&self, subject: &'a str) -> Option<(&'a str, &'a str)> {
        let (source, entity) = subject
            .strip_prefix(&self.prefix)?
            .strip_prefix('.')?
            .split_once('.')?;
        (!source.is_empty() && !entity.is_empty() && !entity.contains('.')).then_some((source, entity))
    }

    /// The subject as a span is named by it: the entity left out, because names must stay few.
    pub(crate) fn pattern(&self, source: &str) -> String {
        self.subject(source, "*")
    }

    fn stream_config(&self, replicas: StreamReplicas) -> stream::Config {
        stream::Config {
            name: self.stream.clone(),
            subjects: vec![format!("{}.>", self.prefix)],
            // A log to catch up from, not the truth: the sources are. A day and a gibibyte bound it.
            max_age: Duration::from_hours(24),
            max_bytes: STREAM_BYTES,
            discard: stream::DiscardPolicy::Old,
            duplicate_window: Duration::from_mins(2),
            num_replicas: replicas.0,
            // For watermarks, which are worth little once the next one is there. Brokers before 2.11 take no notice.
            allow_message_ttl: true,
            ..stream::Config::default()
        }
    }
}

/// How many servers of a cluster keep the stream: 1, 3 or 5, of which a majority must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamReplicas(usize);

impl Default for StreamReplicas {
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for StreamReplicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StreamReplicas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1" => Ok(Self(1)),
            "3" => Ok(Self(3)),
            "5" => Ok(Self(5)),
            _ => Err("one of: 1, 3, 5".to_owned()),
        }
    }
}

/// A connection that comes back by itself. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    /// The client that is used now: should its task end, another one takes its place.
    link: watch::Receiver<Link>,
    pub(crate) topology: Topology,
    stream_replicas: StreamReplicas,
    /// Changes with every new connection: what was subscribed before may have missed something.
    pub(crate) connections: watch::Receiver<u64>,
    trouble: Trouble,
}

/// The settings of the connection are wrong. An absent server is not an error: the client keeps trying.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It is no URL of a NATS server.
    #[error("cannot use the NATS URL {url}")]
    Url {
        /// As it was given, without user and password.
        url: String,
        /// What is wrong with it.
        source: async_nats::ConnectError,
    },
    /// A certificate or a key cannot be used.
    #[error("cannot use the files for TLS to NATS")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<FileError> for ConnectError {
    fn from(error: FileError) -> Self {
        Self::File(error.into())
    }
}

impl Broker {
    /// Connects, or starts trying to. Returns at once when no server is there: a source must accept mutations and
    /// a page must be served without one.
    ///
    /// A user and a password may stand in the URL, as `nats://user:password@host:port`, in characters that a URL does not
    /// encode. That user's inboxes are then `_INBOX.<user>.>`, so that a server can keep users out of each other's.
    pub async fn connect(
        server: impl Into<NatsConfig>,
        name: &str,
        topology: Topology,
    ) -> Result<Self, ConnectError> {
        let config = server.into();
        config.check_files()?;
        let (connected, connections) = watch::channel(0);
        let trouble = Trouble::default();
        trouble.not_yet_connected();
        let dialer = Dialer::new(config, name, connected, trouble.clone());
        let (first, ended) = dialer.dial().await?;
        let (links, link) = watch::channel(first);
        tokio::spawn(dialer.redial(links, ended));
        Ok(Self {
            link,
            topology,
            stream_replicas: StreamReplicas::default(),
            connections,
            trouble,
        })
    }

    /// Has the stream kept by so many servers, should it have to be made: one that is there stays as it is. A server alone
    /// refuses to make one of several.
    #[must_use]
    pub fn with_stream_replicas(self, stream_replicas: StreamReplicas) -> Self {
        Self {
            stream_replicas,
            ..self
        }
    }

    /// Whether the connection is up, as far as the client knows.
    pub fn connected(&self) -> bool {
        self.link.borrow().client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits until nobody puts a new client in the place of one that ended, which by itself never happens: what receives and
    /// what publishes would be cut off for good.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut link = self.link.clone();
        async move { while link.changed().await.is_ok() {} }
    }

    /// The client that is used now. To be asked for anew after a failure.
    pub(crate) fn client(&self) -> async_nats::Client {
        self.link.borrow().client.clone()
    }

    /// `JetStream` by the client that is used now. To be asked for anew after a failure.
    pub(crate) fn jetstream(&self) -> jetstream::Context {
        self.link.borrow().jetstream.clone()
    }

    /// Waits for the first connection: at start it takes a moment, which is not yet a failure.
    pub(crate) async fn first_connection(&self) {
        // The sender is held for as long as a broker is, so that waiting cannot fail.
        let _ = self.connections.clone().wait_for(|count| *count > 0).await;
    }

    /// What is wrong now: told by whoever uses the broker, shown by `/readyz`, said once in the log.
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The stream, created if it is not there. It tells [`trouble`](Self::trouble) how that went.
    pub(crate) async fn stream(&self) -> Result<stream::Stream, CreateStreamError> {
        // Boxed: a stream's settings are large, and every task that uses a stream would be as large.
        let stream = Box::pin(self.find_or_make_stream()).await;
        match &stream {
            Ok(_) => self.trouble.clear(Stage::Stream),
            Err(error) => self.trouble.set(Stage::Stream, error),
        }
        stream
    }

    /// A broker without room for a gibibyte gets a smaller stream. It is caught up from for a shorter time, and what it
    /// drops too early is noticed as a loss; without any stream, nobody would learn of anything.
    async fn find_or_make_stream(&self) -> Result<stream::Stream, CreateStreamError> {
        let mut config = self.topology.stream_config(self.stream_replicas);
        let mut raced = false;
        loop {
            let stream = self.jetstream().get_or_create_stream(config.clone()).await;
            match &stream {
                Err(error) if is_no_room(error) && config.max_bytes > LEAST_STREAM_BYTES => {
                    config.max_bytes /= 4;
                    continue;
                }
                // Another service made one of another size at the same moment.
                Err(error) if !raced && has_code(error, ErrorCode::STREAM_NAME_EXIST) => {
                    raced = true;
                    continue;
                }
                Ok(made) if config.max_bytes < STREAM_BYTES => warn_of_small(made),
                _ => {}
            }
            return stream;
        }
    }
}

fn is_no_room(error: &CreateStreamError) -> bool {
    // The second one is how a cluster says it.
    has_code(error, ErrorCode::STORAGE_RESOURCES_EXCEEDED)
        || error.to_string().contains("insufficient storage")
}

fn has_code(error: &CreateStreamError, code: ErrorCode) -> bool {
    matches!(error.kind(), CreateStreamErrorKind::JetStream(refusal) if refusal.error_code() == code)
}

fn warn_of_small(made: &stream::Stream) {
    let config = &made.cached_info().config;
    tracing::warn!(
        stream = config.name,
        bytes = config.max_bytes,
        to_do = "raise max_file_store of the broker, or make room on its disk, and then edit max_bytes of the stream",
        "the broker has no room for a stream of 1 GiB; created a smaller one, which holds a shorter past"
    );
}

fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, server)| server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_kept_by_an_odd_number_of_servers_and_by_one_if_nobody_says() {
        let asked = |text: &str| {
            text.parse::<StreamReplicas>()
                .map(|replicas| replicas.to_string())
        };
        for number in ["1", "3", "5"] {
            assert_eq!(asked(number).as_deref(), Ok(number));
        }
        for number in ["0", "2", "4", "7", "-1", "three", ""] {
            assert_eq!(asked(number), Err("one of: 1, 3, 5".to_owned()));
        }
        assert_eq!(StreamReplicas::default().to_string(), "1");
    }
}
