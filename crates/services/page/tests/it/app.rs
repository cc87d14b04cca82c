//! One page service between three sources; its methods are a reader's verbs.

use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use clap::Parser as _;
use jiff::Timestamp;
use page::Config;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use telemetry::{Telemetry, TelemetryConfig};
use test_support::{NatsServer, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::fake_source::FakeSource;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// How many sources there are.
pub(crate) const SOURCES: usize = 3;

pub(crate) struct TestApp {
    pub(crate) accounts: FakeSource,
    pub(crate) endpoints: FakeSource,
    pub(crate) metrics: FakeSource,
    pub(crate) nats: Option<NatsServer>,
    address: SocketAddr,
    client: Client,
    _stop: DropGuard,
    _running: JoinHandle<()>,
}

impl TestApp {
    /// A page service without a feed: it serves by asking.
    pub(crate) async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    pub(crate) async fn spawn_with(flags: &[&str]) -> Self {
        Self::spawn_between(Self::spawn_sources().await, None, flags).await
    }

    /// A page service that receives its feed over a real broker, and trusts them by now.
    pub(crate) async fn spawn_consumer() -> Self {
        Self::spawn_consumer_with(&[]).await
    }

    pub(crate) async fn spawn_consumer_with(flags: &[&str]) -> Self {
        let (sources, nats) = Self::announcing_sources().await;
        let app = Self::spawn_between(sources, Some(nats), flags).await;
        app.until_trusting().await;
        app
    }

    /// Sources that announce, and the broker between them and their consumers.
    pub(crate) async fn announcing_sources() -> ([FakeSource; SOURCES], NatsServer) {
        let nats = NatsServer::start();
        let mut sources = Self::spawn_sources().await;
        for source in &mut sources {
            source.connect(&nats.url()).await;
        }
        (sources, nats)
    }

    async fn spawn_sources() -> [FakeSource; SOURCES] {
        [
            FakeSource::spawn("accounts", account()).await,
            FakeSource::spawn("endpoints", endpoints()).await,
            FakeSource::spawn("metrics", metrics()).await,
        ]
    }

    pub(crate) async fn spawn_between(
        sources: [FakeSource; SOURCES],
        nats: Option<NatsServer>,
        flags: &[&str],
    ) -> Self {
        let [accounts, endpoints, metrics] = sources;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let nats_url = nats
            .as_ref()
            .map_or_else(|| "nats://127.0.0.1:1".to_owned(), NatsServer::url);
        let arguments = [
            format!("--accounts-url={}", accounts.url()),
            format!("--endpoints-url={}", endpoints.url()),
            format!("--metrics-url={}", metrics.url()),
            format!("--nats-url={nats_url}"),
            // A busy machine must not mark a page.
            "--wait-ms=10000".to_owned(),
        ];
        // A test may point a source elsewhere; a flag given twice would be refused.
        let name = |argument: &str| argument.split('=').next().map(str::to_owned);
        let given = arguments.iter().map(String::as_str);
        let given = given.filter(|argument| flags.iter().all(|flag| name(flag) != name(argument)));
        let config = Config::parse_from(["page"].into_iter().chain(given).chain(flags.iter().copied()));
        let stop = CancellationToken::new();
        let run = page::run(config, listener, stop.clone());
        let running = tokio::spawn(async { run.await.unwrap() });
        Self {
            accounts,
            endpoints,
            metrics,
            nats,
            address,
            client: Client::new(),
            _stop: stop.drop_guard(),
            _running: running,
        }
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.request_of(Method::GET, path)
    }

    pub(crate) fn request_of(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(path).send().await.unwrap()
    }

    /// Account 1, asked for by a program.
    pub(crate) async fn get_as_json(&self) -> Response {
        let request = self.request("/accounts/1").header("accept", "application/json");
        request.send().await.unwrap()
    }

    /// Account 1, asked for by a program with this header.
    pub(crate) async fn get_with(&self, name: &str, value: &str) -> Response {
        let request = self.request("/accounts/1").header("accept", "application/json");
        request.header(name, value).send().await.unwrap()
    }

    /// What a program is told under this path, with success or not.
    pub(crate) async fn json_or_problem(&self, path: &str) -> Value {
        let request = self.request(path).header("accept", "application/json");
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Account 1, as a program reads it.
    pub(crate) async fn json(&self) -> Value {
        let response = self
            .request("/accounts/1")
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Account 1, as a browser shows it.
    pub(crate) async fn html(&self) -> String {
        let response = self.get("/accounts/1").await;
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Reads account 1 until the cache serves it in this way.
    pub(crate) async fn until_served_as(&self, cache_status: &str) -> Response {
        eventually(LONG, async || {
            let response = self.get("/accounts/1").await;
            if header(&response, "cache-status") == cache_status {
                Ok(response)
            } else {
                Err(header(&response, "cache-status").to_owned())
            }
        })
        .await
    }

    /// Reads account 1 until its date moves on without a source being asked: only watermarks can do that.
    pub(crate) async fn until_trusting(&self) -> Response {
        let before = Mutex::new(None);
        eventually(LONG, async || {
            let page = self.get("/accounts/1").await;
            let (date, asked) = (fresh_as_of(&page), self.asked());
            match before.lock().unwrap().replace((date, asked)) {
                Some((earlier, same)) if same == asked && earlier < date => Ok(page),
                earlier => Err(format!("{earlier:?}, then {date} after {asked:?} requests")),
            }
        })
        .await
    }

    /// The sum over the series of a metric that have all of these labels. Where tests share a process they share its
    /// meters, so that it may be more than one of them did.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let text = self.get("/metrics").await.text().await.unwrap();
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            let named = rest.is_some_and(|rest| rest.starts_with(['{', ' ']));
            named && labels.iter().all(|label| line.contains(label))
        });
        let values = series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.reduce(|sum, value| sum + value)
    }

    pub(crate) fn sources(&self) -> [&FakeSource; SOURCES] {
        [&self.accounts, &self.endpoints, &self.metrics]
    }

    /// How many requests each source got.
    pub(crate) fn asked(&self) -> [usize; SOURCES] {
        self.sources().map(|source| source.asked().len())
    }
}

/// Traces and metrics, of which a process has one. Kept, because the last lines are written as long as it lives.
pub(crate) fn start_telemetry() {
    static STARTED: OnceLock<Telemetry> = OnceLock::new();
    STARTED.get_or_init(|| {
        // Of all tests of the process, some of which ask more than a hundred times a second.
        let every_request = TelemetryConfig {
            otel_traces_sampler: "parentbased_always_on".to_owned(),
            ..TelemetryConfig::default()
        };
        telemetry::start("page", &every_request).unwrap()
    });
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {response:?}"));
    value.to_str().unwrap()
}

pub(crate) fn fresh_as_of(response: &Response) -> Timestamp {
    header(response, "fresh-as-of").parse().unwrap()
}

pub(crate) fn account() -> Value {
    json!({"id": 1, "revision": 1, "name": "Fjord Hosting", "description": "Sites on the west coast.",
        "created_at": "2026-11-01T08:00:00.000Z", "updated_at": "2026-11-01T08:00:00.000Z"})
}

pub(crate) fn endpoints() -> Value {
    let endpoint = |id: u64, name: &str, url: &str| {
        json!({"id": id, "account_id": 1, "name": name, "url": url,
            "created_at": "2026-11-01T08:00:00.000Z", "updated_at": "2026-11-01T08:00:00.000Z"})
    };
    json!({"account_id": 1, "revision": 1, "endpoints": [
        endpoint(3, "Front page", "https://fjord.example/"),
        endpoint(4, "Shop", "https://shop.fjord.example/cart"),
    ]})
}

pub(crate) fn metrics() -> Value {
    let summary = |id: u64, state: &str, uptime: f64| {
        json!({"endpoint_id": id, "samples": 48, "uptime": uptime, "p50_ms": 218, "p95_ms": 1400, "p99_ms": 1900,
            "last": {"at": "2026-11-22T20:59:00.000Z", "state": state, "status_code": 200, "response_ms": 218},
            "series": [{"samples": 1, "uptime": 1.0, "p50_ms": 200}, {"samples": 1, "uptime": 1.0, "p50_ms": 240},
                {"samples": 0, "uptime": null, "p50_ms": null}, {"samples": 1, "uptime": 0.0, "p50_ms": null}]})
    };
    json!({"account_id": 1, "revision": 1, "window": "24h", "start": "2026-11-21T21:00:00.000Z",
        "end": "2026-11-22T21:00:00.000Z", "bucket_seconds": 1800,
        "endpoints": [summary(3, "up", 1.0), summary(4, "down", 47.0 / 48.0)]})
}
