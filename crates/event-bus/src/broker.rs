//! One connection to NATS, and the stream that everything is published to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, CreateStreamError};
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;

use crate::trouble::{Stage, Trouble};

/// How long the broker may take to answer before the caller tries again.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a new connection may take to be greeted. One that a dead link swallowed is given up soon enough to be
/// there when the link lives.
const GREETED_WITHIN: Duration = Duration::from_secs(1);
/// Silence after which the broker is asked whether it is there, and again, and again; then the connection is taken for
/// dead, at three times this. Watermarks come twice as often, so that a living link is seldom asked.
const PING_EVERY: Duration = Duration::from_millis(500);
/// A short and steady delay: the client's own doubles up to 4 s, and an outage of 3 s would be felt for 7.
const RECONNECT_AFTER: Duration = Duration::from_millis(100);

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
            max_bytes: 1 << 30,
            discard: stream::DiscardPolicy::Old,
            duplicate_window: Duration::from_mins(2),
            num_replicas: replicas.0,
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
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) topology: Topology,
    stream_replicas: StreamReplicas,
    /// Changes with every new connection: what was subscribed before may have missed something.
    pub(crate) connections: watch::Receiver<u64>,
    trouble: Trouble,
}

/// The settings of the connection are wrong. An absent server is not an error: the client keeps trying.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the NATS URL {url}")]
pub struct ConnectError {
    /// The URL as it was given, without user and password.
    url: String,
    #[source]
    source: async_nats::ConnectError,
}

impl Broker {
    /// Connects, or starts trying to. Returns at once when no server is there: a source must accept mutations and
    /// a page must be served without one.
    ///
    /// A user and a password may stand in the URL, as `nats://user:password@host:port`, in characters that a URL does not
    /// encode. That user's inboxes are then `_INBOX.<user>.>`, so that a server can keep users out of each other's.
    pub async fn connect(url: &str, name: &str, topology: Topology) -> Result<Self, ConnectError> {
        let (connected, connections) = watch::channel(0);
        let client = sign_in(ConnectOptions::new(), url)
            .name(name)
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| RECONNECT_AFTER)
            .connection_timeout(GREETED_WITHIN)
            .ping_interval(PING_EVERY)
            .event_callback(move |event| {
                note(&event, &connected);
                async {}
            })
            .connect(url)
            .await
            .map_err(|source| ConnectError {
                url: without_password(url).to_owned(),
                source,
            })?;
        let jetstream = ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .ack_timeout(ANSWER_WITHIN)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            topology,
            stream_replicas: StreamReplicas::default(),
            connections,
            trouble: Trouble::default(),
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
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Waits for the first connection: at start it takes a moment, which is not yet a failure.
    pub(crate) async fn first_connection(&self) {
        // The client holds the sender for as long as it lives, so that waiting cannot fail.
        let _ = self.connections.clone().wait_for(|count| *count > 0).await;
    }

    /// What is wrong now: told by whoever uses the broker, shown by `/readyz`, said once in the log.
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// The stream, created if it is not there. It tells [`trouble`](Self::trouble) how that went.
    pub(crate) async fn stream(&self) -> Result<stream::Stream, CreateStreamError> {
        let config = self.topology.stream_config(self.stream_replicas);
        let stream = self.jetstream.get_or_create_stream(config).await;
        match &stream {
            Ok(_) => self.trouble.clear(Stage::Stream),
            Err(error) => self.trouble.set(Stage::Stream, error),
        }
        stream
    }
}

/// The client ignores a user that stands in the URL.
fn sign_in(options: ConnectOptions, url: &str) -> ConnectOptions {
    // A URL that is none is refused by the connecting itself.
    let Ok(server) = url.parse::<ServerAddr>() else {
        return options;
    };
    let (Some(user), Some(password)) = (server.username(), server.password()) else {
        return options;
    };
    options
        .user_and_password(user.to_owned(), password.to_owned())
        .custom_inbox_prefix(format!("_INBOX.{}", user.replace(['.', '*', '>'], "_")))
}

fn without_password(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, server)| server)
}

fn note(event: &Event, connected: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            connected.send_modify(|count| *count += 1);
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => tracing::warn!("NATS is gone; trying again"),
        // One per failed attempt, ten a second: an outage is said once, above.
        Event::ClientError(error) => tracing::debug!(%error, "NATS connection"),
        other => tracing::info!(event = %other, "NATS connection"),
    }
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
