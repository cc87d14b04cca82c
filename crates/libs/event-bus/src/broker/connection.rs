//! Connecting to NATS, again whenever the connection is lost, and with a new client should the client itself end.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{
    Client, ClientError, ConnectErrorKind, ConnectOptions, Event, Server, ServerAddr, ServerError, rustls,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{ConnectError, without_password};
use crate::NatsConfig;
use crate::outage::Seldom;
use crate::trouble::Trouble;

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
/// A broker that is there and says no is not asked as often: each time costs it a line of its own log, and us a handshake.
const RECONNECT_AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// One client, and what is made of it.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
}

/// Makes clients.
#[derive(Debug)]
pub(super) struct Dialer {
    config: NatsConfig,
    name: String,
    notes: Arc<Notes>,
}

/// What a client's callbacks write down.
#[derive(Debug)]
struct Notes {
    connections: watch::Sender<u64>,
    trouble: Trouble,
    seldom: Seldom,
}

impl Dialer {
    pub(super) fn new(
        config: NatsConfig,
        name: &str,
        connections: watch::Sender<u64>,
        trouble: Trouble,
    ) -> Self {
        // Else the client's task would panic as soon as two providers are compiled in, for example by a new dependency. An
        // error says that the process chose one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let notes = Arc::new(Notes {
            connections,
            trouble,
            seldom: Seldom::default(),
        });
        Self {
            config,
            name: name.to_owned(),
            notes,
        }
    }

    /// A client that is connecting, and what is cancelled when it ends for good.
    pub(super) async fn dial(&self) -> Result<(Link, CancellationToken), ConnectError> {
        let url = self.config.url.as_str();
        let [on_event, on_attempt, on_delay] = [(); 3].map(|()| Arc::clone(&self.notes));
        let ended = CancellationToken::new();
        // The client drops its callbacks when its task ends, also when that panics. It says so in no other way: its state
        // stays what it was, and what is published then waits for ever.
        let alive = ended.clone().drop_guard();
        let client = self
            .options()
            .name(&self.name)
            .retry_on_initial_connect()
            .reconnect_delay_callback(move |_| on_delay.delay())
            .reconnect_to_server_callback(move |servers, _| {
                on_attempt.attempt(&servers);
                ready(None)
            })
            .connection_timeout(GREETED_WITHIN)
            .ping_interval(PING_EVERY)
            .event_callback(move |event| {
                let _ = &alive;
                on_event.event(&event);
                ready(())
            })
            .connect(url)
            .await
            .map_err(|source| ConnectError::Url {
                url: without_password(url).to_owned(),
                source,
            })?;
        let jetstream = ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .ack_timeout(ANSWER_WITHIN)
            .build(client.clone());
        Ok((Link { client, jetstream }, ended))
    }

    /// Puts a new client in the place of one that ended, for as long as somebody uses them.
    pub(super) async fn redial(self, links: watch::Sender<Link>, mut ended: CancellationToken) {
        loop {
            tokio::select! {
                () = links.closed() => return,
                () = ended.cancelled() => {}
            }
            self.notes.trouble.client_ended();
            match self.dial().await {
                Ok((link, next)) => {
                    links.send_replace(link);
                    ended = next;
                }
                // It was a URL at the start, so that this does not happen; if it did, it must not keep a processor busy.
                Err(_) => tokio::time::sleep(RECONNECT_AFTER_REFUSAL).await,
            }
        }
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new();
        // A URL that is none is refused by the connecting itself.
        if let Ok(server) = self.config.url.parse::<ServerAddr>() {
            // Also for the other servers of a cluster, whose addresses the first one tells.
            options = sign_in(options, &server).require_tls(server.tls_required());
        }
        if let Some(file) = &self.config.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        if let (Some(certificate), Some(key)) = (&self.config.cert_file, &self.config.key_file) {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options
    }
}

/// The client ignores a user that stands in the URL.
fn sign_in(options: ConnectOptions, server: &ServerAddr) -> ConnectOptions {
    let (Some(user), Some(password)) = (server.username(), server.password()) else {
        return options;
    };
    options
        .user_and_password(user.to_owned(), password.to_owned())
        .custom_inbox_prefix(format!("_INBOX.{}", user.replace(['.', '*', '>'], "_")))
}

impl Notes {
    fn delay(&self) -> Duration {
        if self.trouble.refused() {
            RECONNECT_AFTER_REFUSAL
        } else {
            RECONNECT_AFTER
        }
    }

    /// Called before each attempt, with why the last one failed. The client's event of it says less.
    fn attempt(&self, servers: &[Server]) {
        let failed = |server: &&Server| server.last_error.is_some();
        // In a cluster, of the server that was named, if it is one of those that failed.
        let named = servers
            .iter()
            .filter(failed)
            .min_by_key(|server| server.is_discovered);
        if let Some(error) = named.and_then(|server| server.last_error.as_deref()) {
            self.trouble.not_connected(error);
        }
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => self.trouble.disconnected(),
            Event::ServerError(error) => self.server_error(error),
            // The one failure that the client does not keep for the next attempt.
            Event::ClientError(ClientError::Other(text)) if *text == ConnectErrorKind::Dns.to_string() => {
                self.trouble.not_connected(text);
            }
            Event::ClientError(_) => {}
            // One for every message that was dropped.
            Event::SlowConsumer(_) => self.say("a subscription is slower than what is published to it"),
            other => self.say(&other.to_string()),
        }
    }

    fn connected(&self) {
        let mut first = false;
        self.connections.send_modify(|count| {
            first = *count == 0;
            *count += 1;
        });
        let said = self.trouble.connected();
        if first && !said {
            tracing::info!("connected to NATS");
        } else if !said {
            // By then it works again; one that comes and goes is said once a minute.
            if self.seldom.say("blip") {
                tracing::warn!("the connection to NATS was lost, and is back");
            }
        }
    }

    fn server_error(&self, error: &ServerError) {
        let text = error.to_string();
        self.trouble.server_said(&text);
        // Up to what it is about, which is a subject of which there are many.
        let kind = text.split('"').next().unwrap_or_default();
        if self.seldom.say(kind) {
            tracing::warn!(error = text, "NATS reports an error");
        }
    }

    fn say(&self, event: &str) {
        if self.seldom.say(event) {
            tracing::info!(event, "NATS connection");
        }
    }
}
