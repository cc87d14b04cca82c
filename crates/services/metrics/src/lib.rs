#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod error;
mod events;
mod histogram;
mod recording;
mod rfc3339;
mod routes;
mod sample;
mod store;
mod summary;
mod window;

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

/// The largest batch takes about 150 KB.
const BODY_LIMIT: usize = 256 * 1024;

/// Wires the service and runs it until `stop`: the source (its database, and the relay that publishes its outbox), the
/// store, which follows the events of accounts, the routes.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let relay = RelayOptions::new(events::SOURCE, events::WATERMARK, events::CLAIM);
    let mut source = Source::open(&config.database, store::MIGRATIONS, relay, config.source, &stop).await?;
    let store = Store::new(source.database()).await?;
    source.follow(events::ACCOUNTS, events::ACCOUNT, store.clone());
    let service = Service {
        store,
        headers: source.answer_headers(),
    };
    let options = EdgeOptions {
        body_limit: BODY_LIMIT,
        ..EdgeOptions::default()
    };
    source.serve(listener, routes::router(service), options).await
}
