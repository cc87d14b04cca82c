#![doc = include_str!("../README.md")]

mod account;
mod answer;
mod config;
mod error;
mod events;
mod routes;
mod store;

pub use answer::FORM;
pub use config::Config;
pub use error::RunError;
pub use routes::openapi;

use std::time::Duration;

use event_bus::{Broker, Clock, Relay, RelayOptions, Topology};
use http_edge::{Background, EdgeOptions, Readiness, ServeOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::routes::Service;
use crate::store::Store;

/// Wires the service and runs it until `stop`: the store, the relay that publishes its outbox, the routes.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let store = Store::open(&config.database, config.renew_incarnation).await?;
    let mut background = Background::until(&stop);
    background.spawn_endless("the database's writer", store.database().closed());
    let topology = Topology {
        stream: config.stream,
        prefix: config.subject_prefix,
    };
    let broker = Broker::connect(config.nats, events::SOURCE, topology)
        .await?
        .with_stream_replicas(config.stream_replicas);
    background.spawn_endless("the connection to the broker", broker.closed());
    let relay = Relay::new(
        store.database(),
        broker.clone(),
        RelayOptions {
            everything: Some(store::everything),
            takes_over: config.renew_incarnation,
            clock: Clock::ahead_by_milliseconds(config.inject_clock_offset_ms),
            fail_point: config.fail_point,
            ..RelayOptions::new(events::SOURCE, events::WATERMARK, events::CLAIM)
        },
    );
    let publishing = relay.publishing();
    background.spawn("the relay", relay.run(background.stop()));
    let database = store.database();
    let publisher = publishing.clone();
    let ready =
        Readiness::asking(move || event_bus::readiness(database.clone(), broker.clone(), publisher.clone()));
    let service = Service {
        store,
        publishing: publishing.clone(),
        injected_latency: Duration::from_millis(config.inject_latency_ms),
    };
    let router = http_edge::refuse_writes(routes::router(service), move || {
        publishing.is_refused().then(error::another_publisher)
    });
    let router = http_edge::edge(router, ready, EdgeOptions::default());
    let options = ServeOptions {
        allowed_hosts: config.allowed_hosts,
        ..ServeOptions::default()
    };
    Ok(background.serve(listener, router, options).await?)
}
