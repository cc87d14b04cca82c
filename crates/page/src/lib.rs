#![doc = include_str!("../README.md")]

mod accept;
mod compose;
mod config;
mod error;
mod fragment;
mod headers;
mod hear;
mod key;
mod moment;
mod render;
mod respond;
mod routes;
mod source;
mod tag;
mod upstream;

pub use config::Config;
pub use error::RunError;
pub use routes::openapi;

use std::time::Duration;

use event_bus::{Broker, Feed, Topology};
use fresh_cache::{CacheOptions, FreshCache, Ledger, LedgerOptions};
use http_edge::{EdgeOptions, Readiness};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::compose::Upstreams;
use crate::hear::Hearer;
use crate::respond::Traces;
use crate::routes::App;
use crate::source::Source;

/// Wires the service and runs it until `stop`: the feed that keeps the cache honest, the sources, the cache,
/// the routes.
///
/// Ready as soon as it listens: before it hears the feed, and while it does not, it serves by asking the
/// sources (rule 19).
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    let upstreams = Upstreams::new(config.upstreams());
    let (ledger, hearing) = Ledger::new(Source::ALL.len(), ledger_options(&config));
    let mut hearer = Hearer::new(hearing, &ledger);
    let cache = FreshCache::new(upstreams.clone(), ledger, cache_options(&config));

    let topology = Topology {
        stream: config.stream,
        prefix: config.subject_prefix,
    };
    let broker = Broker::connect(&config.nats_url, "page", topology).await?;
    let feed = Feed::new(broker, &Source::ALL.map(Source::name));
    let feed = tokio::spawn(feed.run(stop.clone(), move |heard| hearer.hear(heard)));

    let app = App::new(cache, upstreams, Traces(config.trace_url_pattern));
    let options = EdgeOptions {
        concurrency: config.max_requests.into(),
        ..EdgeOptions::default()
    };
    let router = http_edge::edge(routes::router(app), Readiness::always(), options);
    http_edge::serve(listener, router, stop)
        .await
        .map_err(RunError::Serve)?;
    feed.await.map_err(RunError::Feed)
}

fn ledger_options(config: &Config) -> LedgerOptions {
    LedgerOptions {
        slots: config.fences,
        clock_skew: Duration::from_millis(config.clock_skew_ms.into()),
        ..LedgerOptions::default()
    }
}

fn cache_options(config: &Config) -> CacheOptions {
    CacheOptions {
        max_bytes: config.cache_bytes,
        max_stale: Duration::from_secs(config.max_stale_seconds.into()),
    }
}
