//! The wiring of a source.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use event_bus::{Broker, Clock, Publishing, Relay, RelayOptions, Subscription, Topology, outbox};
use group_commit::Database;
use http_edge::{Background, EdgeOptions, Readiness, ServeOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::answer::AnswerHeaders;
use crate::config::SourceConfig;
use crate::error::{RunError, another_publisher};
use crate::follow::{EntityEventTypes, Follower, follow};

/// A source that runs: its database is open, and its relay publishes what the database announces.
#[derive(Debug)]
pub struct Source {
    name: &'static str,
    config: SourceConfig,
    database: Database,
    broker: Broker,
    publishing: Publishing,
    background: Background,
}

impl Source {
    /// Opens the database, connects to the broker and starts the relay. `stop` ends them all.
    pub async fn open(
        path: &Path,
        migrations: &'static [&'static str],
        relay: RelayOptions,
        config: SourceConfig,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let database = Database::open(path, migrations)?;
        if config.renew_incarnation {
            database.write(outbox::renew_incarnation).await?;
        }
        let mut background = Background::until(stop);
        background.spawn_endless("the database's writer", database.closed());
        let topology = Topology {
            stream: config.stream.clone(),
            prefix: config.subject_prefix.clone(),
        };
        let broker = Broker::connect(config.nats.clone(), relay.source, topology)
            .await?
            .with_stream_replicas(config.stream_replicas);
        background.spawn_endless("the connection to the broker", broker.closed());
        let name = relay.source;
        let options = RelayOptions {
            takes_over: config.renew_incarnation,
            clock: Clock::ahead_by_milliseconds(config.inject_clock_offset_ms),
            fail_point: config.fail_point,
            ..relay
        };
        let relay = Relay::new(database.clone(), broker.clone(), options);
        let publishing = relay.publishing();
        background.spawn("the relay", relay.run(background.stop()));
        Ok(Self {
            name,
            config,
            database,
            broker,
            publishing,
            background,
        })
    }

    /// The database, for the service's store.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// What the service's answers say beside their content.
    pub fn answer_headers(&self) -> AnswerHeaders {
        let latency = Duration::from_millis(self.config.inject_latency_ms);
        AnswerHeaders::new(self.name, self.publishing.clone(), latency)
    }

    /// Applies the events of another source to a store that keeps data for its entities, until this source is stopped.
    /// [`event_bus::lives`] decides which entity owns the data.
    pub fn follow(&mut self, other: &'static str, types: EntityEventTypes, follower: impl Follower) {
        let (broker, database) = (self.broker.clone(), self.database());
        let subscription = Subscription::new(broker, database, self.publishing.clone(), self.name, other);
        let following = follow(subscription, types, follower, self.background.stop());
        self.background
            .spawn("the consumer of another source's events", following);
    }

    /// Serves the routes until stopped. Changes are refused while another instance publishes from another database.
    pub async fn serve(
        self,
        listener: TcpListener,
        routes: Router,
        options: EdgeOptions,
    ) -> Result<(), RunError> {
        let Self {
            config,
            database,
            broker,
            publishing,
            background,
            ..
        } = self;
        let publisher = publishing.clone();
        let ready = Readiness::asking(move || {
            event_bus::readiness(database.clone(), broker.clone(), publisher.clone())
        });
        let routes =
            http_edge::refuse_writes(routes, move || publishing.is_refused().then(another_publisher));
        let routes = http_edge::edge(routes, ready, options);
        let serving = ServeOptions {
            allowed_hosts: config.allowed_hosts,
            ..ServeOptions::default()
        };
        Ok(background.serve(listener, routes, serving).await?)
    }
}
