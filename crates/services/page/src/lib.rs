#![doc = include_str!("../README.md")]

mod accept;
mod audit;
mod body;
mod caches;
mod clocks;
mod config;
mod consumer;
mod document;
mod error;
mod fragment;
mod gzip;
mod headers;
mod key;
mod loader;
mod moment;
mod preferences;
mod render;
mod report;
mod respond;
mod routes;
mod source;
mod tag;
mod token;
mod upstream;
mod warm;

pub use caches::StrategyName;
pub use config::{Config, FailPoint, RefreshName};
pub use error::RunError;
pub use routes::openapi;

use std::future::ready;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::map_response;
use axum::response::Response;
use event_bus::history::{Bounds, History};
use event_bus::{Broker, Feed, FeedItem, Topology};
use fresh_cache::{CacheOptions, FeedOptions, RefreshOptions, TaskScope, feed};
use http_edge::{Background, EdgeOptions, Readiness, ServeOptions};
use telemetry::TaskContext;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::audit::Auditor;
use crate::caches::Caches;
use crate::consumer::FeedConsumer;
use crate::document::Footers;
use crate::loader::Upstreams;

use crate::routes::App;
use crate::source::Source;

/// How much of the past a replica reads when it starts.
const PAST: Bounds = Bounds {
    changes: 100_000,
    within: Duration::from_secs(30),
};

/// Runs the service until `stop`.
///
/// Ready as soon as it listens: before it receives the feed, and while it does not, it serves by asking the
/// sources (rule 19).
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> Result<(), RunError> {
    Service::start(config, &stop).await?.serve(listener).await
}

/// The service, wired: the feed that keeps the cache honest, the sources, the cache, the routes.
#[derive(Debug)]
pub struct Service {
    router: Router,
    options: ServeOptions,
    /// What must go on for as long as pages are served: a replica that cannot consume the feed, refresh or audit any more must not look
    /// as if all were well.
    background: Background,
}

impl Service {
    /// Starts everything but the listening. All of it ends with `stop`, or with what is returned.
    pub async fn start(config: Config, stop: &CancellationToken) -> Result<Self, RunError> {
        let upstreams = Upstreams::new(|source| config.upstream(source));
        let (feed, writer) = feed::channel(Source::ALL.len(), feed_options(&config));
        let options = |name| cache_options(name, &config);
        let caches = Caches::new(&upstreams, &feed, config.strategy, config.allow_override, options);
        let skew = feed_options(&config).clock_skew;
        let mut consumer = FeedConsumer::new(writer, &feed, skew, caches.clone());
        report::observe(&caches);

        let topology = Topology {
            stream: config.stream,
            prefix: config.subject_prefix,
        };
        let broker = Broker::connect(config.nats, "page", topology)
            .await?
            .with_stream_replicas(config.stream_replicas);
        let history = History::new(broker.clone(), &Source::ALL.map(Source::name), PAST);
        let mut background = Background::until(stop);
        background.spawn_endless("the connection to the broker", broker.closed());
        let fail_point = config.fail_point;
        background.spawn_endless("the watch of the clock", clocks::watch_own_clock());
        background.spawn_optional(
            "the warm-up",
            warm::warm(history, skew, caches.clone(), fail_point),
        );
        if let Some(cache) = caches.prepopulated().cloned() {
            background.spawn_endless("the refresher", async move { cache.refresh().await });
        }
        if config.audit_interval_ms > 0 {
            let every = Duration::from_millis(config.audit_interval_ms.into());
            background.spawn_endless("the auditor", Auditor::new(caches.default().clone(), every).run());
        }
        let trouble = broker.trouble().clone();
        let feed = Feed::new(broker, &Source::ALL.map(Source::name));
        let consuming = feed.run(background.stop(), move |message| {
            if matches!(message, FeedItem::Change(_)) {
                FailPoint::Apply.reach(fail_point);
            }
            consumer.apply(message);
        });
        background.spawn("the feed", consuming);

        let footers = Footers(config.trace_url_pattern);
        let app = App::new(
            caches,
            upstreams,
            footers.clone(),
            Duration::from_millis(config.wait_ms.into()),
        );
        let options = EdgeOptions {
            concurrency: config.max_requests.into(),
            ..EdgeOptions::default()
        };
        // Always: without its feed, it serves by asking, and without its sources what it knows, marked. What keeps one replica from them
        // keeps them all, as a rule, and readers who are sent away from all are served by none.
        let ready = Readiness::asking(move || {
            let words = trouble.to_string();
            async move { Ok(words) }
        });
        let router = http_edge::edge(routes::router(app), ready, options);
        Ok(Self {
            router: match config.instance_name {
                Some(name) => named(router, name),
                None => router,
            },
            options: ServeOptions {
                allowed_hosts: config.allowed_hosts,
                error_page: Some(error::error_page(footers)),
            },
            background,
        })
    }

    /// What answers requests; a benchmark is just another caller.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Listens until the stop.
    pub async fn serve(self, listener: TcpListener) -> Result<(), RunError> {
        let Self {
            router,
            options,
            background,
        } = self;
        Ok(background.serve(listener, router, options).await?)
    }
}

/// Says in every answer which replica gave it.
fn named(router: Router, name: HeaderValue) -> Router {
    router.layer(map_response(move |mut response: Response| {
        response.headers_mut().insert("served-by", name.clone());
        ready(response)
    }))
}

fn feed_options(config: &Config) -> FeedOptions {
    FeedOptions {
        fences: config.fences,
        clock_skew: Duration::from_millis(config.clock_skew_ms.into()),
        ..FeedOptions::default()
    }
}

/// For requests and events that are not traced: loads then tell the sources the same.
fn capture_context() -> Option<TaskScope> {
    let mut context = TaskContext::current();
    // The cache takes a span along by itself.
    let untraced = context.span().is_none();
    untraced.then(|| -> TaskScope { Box::new(move |work| context.enter(work)) })
}

fn cache_options(name: StrategyName, config: &Config) -> CacheOptions {
    CacheOptions {
        strategy: caches::strategy(name, Duration::from_secs(config.ttl_seconds.into())),
        refresh: RefreshOptions {
            scope: config.refresh.into(),
            ..RefreshOptions::default()
        },
        max_bytes: config.cache_bytes,
        max_stale: Duration::from_secs(config.max_stale_seconds.into()),
        capture: capture_context,
        ..CacheOptions::default()
    }
}
