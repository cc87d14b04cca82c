#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod endpoint;
mod error;
mod events;
mod routes;
mod store;

pub use answer::FORM;
pub use config::Config;
pub use routes::openapi;
pub use source_service::RunError;

use event_bus::RelayOptions;
use http_edge::EdgeOptions;
use source_service::Source;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::routes::Service;
use crate::store::Store;

/// Wires the service and runs it until `stop`: the source (its database, and the relay that publishes its outbox), the
/// store, which follows the events of accounts, the routes.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let relay = RelayOptions::new(events::SOURCE, events::WATERMARK, events::CLAIM);
    let mut source = Source::open(&config.database, store::MIGRATIONS, relay, config.source, &stop).await?;
    let store = Store::new(source.database());
    source.follow(events::ACCOUNTS, events::ACCOUNT, store.clone());
    let service = Service {
        store,
        headers: source.answer_headers(),
    };
    let routes = routes::router(service);
    source.serve(listener, routes, EdgeOptions::default()).await
}
