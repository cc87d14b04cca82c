//! A broker, sources that answer as they are told, and the service between them, as a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use stack::{Gate, Link, PerSource, Process, Source, page_flags};
use test_support::{NatsServer, eventually};
use tokio::net::TcpListener;

pub(crate) const AT_MOST: Duration = Duration::from_secs(20);
pub(crate) const INCARNATION: &str = "0199f7c5a1b27cc38d4e5f6071829304";
pub(crate) const NONCE: &str = "9f86d081884c7d65";

/// What the sources answer about every account but 404.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) revision: AtomicU64,
    pub(crate) valid_for: AtomicU64,
    pub(crate) endpoints_fail: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) told: Arc<Told>,
    /// Between the page and accounts.
    pub(crate) gate: Gate,
    /// Between the page and the broker.
    pub(crate) link: Link,
    page: Process,
    publisher: async_nats::Client,
    _nats: NatsServer,
}

/// A page as a reader got it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) status: u16,
    pub(crate) cache_status: String,
    pub(crate) token: String,
    pub(crate) body: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let told = Arc::new(Told {
            revision: AtomicU64::new(1),
            valid_for: AtomicU64::new(3600),
            endpoints_fail: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sources = format!("http://{}", listener.local_addr().unwrap());
        let gate = Gate::start(sources.clone()).await;
        let router = Router::new()
            .route("/accounts/{id}", get(answer))
            .route("/accounts/{id}/{part}", get(answer))
            .with_state(Arc::clone(&told));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let nats = NatsServer::start();
        let link = Link::start(&nats.url()).await;
        let mut urls = PerSource::from_fn(|_| sources.clone());
        urls[Source::Accounts] = gate.url();
        let page = Process::start("naive-page", page_flags(&urls, &link.url())).await;
        let publisher = async_nats::connect(nats.url()).await.unwrap();
        let world = Self {
            told,
            gate,
            link,
            page,
            publisher,
            _nats: nats,
        };
        world.until_applied().await;
        world
    }

    pub(crate) async fn read(&self, path: &str) -> Read {
        let response = reqwest::get(self.page.url(path)).await.unwrap();
        let header = |name| {
            response
                .headers()
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        Read {
            status: response.status().as_u16(),
            cache_status: header("cache-status"),
            token: header("consistency-token"),
            body: response.text().await.unwrap(),
        }
    }

    /// Changes what every source answers, without a word.
    pub(crate) fn change(&self) {
        self.told.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Announces a change, as a source's relay does, without waiting until anybody applies it.
    pub(crate) async fn announce(&self, subject: &'static str) {
        self.publisher.publish(subject, "{}".into()).await.unwrap();
        self.publisher.flush().await.unwrap();
    }

    /// Announces, until one of them is applied, changes of an account that nobody reads: what was announced before and not
    /// lost is applied by then.
    pub(crate) async fn until_applied(&self) {
        let before = self.events_applied().await;
        eventually(AT_MOST, async || {
            self.announce("events.accounts.1000").await;
            let received = self.events_applied().await > before;
            if received {
                Ok(())
            } else {
                Err("nothing was applied")
            }
        })
        .await;
    }

    async fn events_applied(&self) -> u64 {
        let text = self.read("/metrics").await.body;
        let lines = text.lines().filter(|line| line.starts_with("page_events_total{"));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }
}

async fn answer(State(told): State<Arc<Told>>, Path(path): Path<Vec<(String, String)>>) -> impl IntoResponse {
    let revision = told.revision.load(Ordering::SeqCst);
    let (account, part) = (&path[0].1, path.get(1).map_or("account", |(_, part)| part));
    let (status, bucket) = match part {
        "endpoints" if told.endpoints_fail.load(Ordering::SeqCst) => (StatusCode::INTERNAL_SERVER_ERROR, ""),
        "metrics" => (StatusCode::OK, "-1795384800"),
        "account" if account == "404" => (StatusCode::NOT_FOUND, ""),
        _ => (StatusCode::OK, ""),
    };
    let valid_for = if part == "metrics" {
        told.valid_for.load(Ordering::SeqCst)
    } else {
        0
    };
    let headers = [
        ("etag", format!("\"{INCARNATION}-{revision}-{NONCE}-v1{bucket}\"")),
        ("valid-for", valid_for.to_string()),
        ("content-type", "application/json".to_owned()),
    ];
    (status, headers, format!("{{\"{part}\":{revision}}}"))
}
