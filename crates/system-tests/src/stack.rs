//! A broker, three sources, and as many page replicas as asked for.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::NatsServer;

use crate::{Gate, Process};

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many page services.
    pub replicas: usize,
    /// Flags that every service is given, such as where its traces go.
    pub flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: 1,
            flags: Vec::new(),
        }
    }
}

/// The running stack; its methods are a user's verbs.
#[derive(Debug)]
pub struct Stack {
    /// The broker.
    pub nats: NatsServer,
    /// The sources.
    pub accounts: Process,
    /// The sources.
    pub endpoints: Process,
    /// The sources.
    pub metrics: Process,
    /// Between the pages and the accounts service.
    pub gate: Gate,
    /// The page services.
    pub pages: Vec<Process>,
    client: Client,
    _folder: TempDir,
}

impl Stack {
    /// One page replica, no traces.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts everything, and waits until each page has heard from every source.
    ///
    /// # Panics
    /// When a part does not start.
    pub async fn start_with(options: Options) -> Self {
        let nats = NatsServer::start();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let source = |name: &'static str| {
            let database = folder.path().join(format!("{name}.db")).display().to_string();
            let flags = ["--nats-url", &nats.url(), "--database", &database].map(str::to_owned);
            Process::start(name, [flags.to_vec(), options.flags.clone()].concat())
        };
        let (accounts, endpoints, metrics) =
            tokio::join!(source("accounts"), source("endpoints"), source("metrics"));
        let gate = Gate::start(accounts.url("")).await;
        let mut pages = Vec::new();
        for _ in 0..options.replicas {
            let urls = [
                "--accounts-url",
                &gate.url(),
                "--endpoints-url",
                &endpoints.url(""),
            ];
            let more = ["--metrics-url", &metrics.url(""), "--nats-url", &nats.url()];
            let flags = urls
                .into_iter()
                .chain(more)
                .map(str::to_owned)
                .chain(options.flags.clone());
            pages.push(Process::start("page", flags.collect()).await);
        }
        let stack = Self {
            nats,
            accounts,
            endpoints,
            metrics,
            gate,
            pages,
            client: Client::new(),
            _folder: folder,
        };
        for page in &stack.pages {
            stack.until_trusted(page).await;
        }
        stack
    }

    /// Sends a request and expects it to be answered with success.
    ///
    /// # Panics
    /// When it is not.
    pub async fn send(&self, request: RequestBuilder) -> Response {
        let response = request.send().await.expect("the service answers");
        assert!(
            response.status().is_success(),
            "{} {:?}",
            response.status(),
            response.text().await
        );
        response
    }

    /// A request to a service.
    pub fn request(&self, method: Method, url: String) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Creates an account; its id.
    ///
    /// # Panics
    /// When the service refuses.
    pub async fn create_account(&self, name: &str) -> i64 {
        let request = self
            .request(Method::POST, self.accounts.url("/accounts"))
            .json(&json!({ "name": name }));
        let body: Value = self.send(request).await.json().await.expect("an account is JSON");
        body["id"].as_i64().expect("an account has an id")
    }

    /// Renames an account.
    pub async fn rename_account(&self, id: i64, name: &str) -> Response {
        let url = self.accounts.url(&format!("/accounts/{id}"));
        self.send(self.request(Method::PATCH, url).json(&json!({ "name": name })))
            .await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, id: i64) {
        self.send(self.request(Method::DELETE, self.accounts.url(&format!("/accounts/{id}"))))
            .await;
    }

    /// Adds an endpoint; its id.
    ///
    /// # Panics
    /// When the service refuses.
    pub async fn add_endpoint(&self, account: i64, name: &str, url: &str) -> i64 {
        let request = self.request(
            Method::POST,
            self.endpoints.url(&format!("/accounts/{account}/endpoints")),
        );
        let body: Value = self
            .send(request.json(&json!({ "name": name, "url": url })))
            .await
            .json()
            .await
            .expect("JSON");
        body["id"].as_i64().expect("an endpoint has an id")
    }

    /// Records one sample per response time, all of them now.
    pub async fn record(&self, account: i64, endpoint: i64, milliseconds: u32) -> Response {
        let sample = json!({ "endpoint_id": endpoint, "state": "up", "status_code": 200, "response_ms": milliseconds });
        let request = self.request(
            Method::POST,
            self.metrics.url(&format!("/accounts/{account}/samples")),
        );
        self.send(request.json(&json!({ "samples": [sample] }))).await
    }

    /// Reads a page as JSON.
    ///
    /// # Panics
    /// When the page service does not answer.
    pub async fn page(&self, replica: usize, account: i64) -> Page {
        let url = self.pages[replica].url(&format!("/accounts/{account}"));
        let request = self
            .request(Method::GET, url)
            .header("accept", "application/json");
        let response = request.send().await.expect("the page service answers");
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (cache_status, fresh_as_of, trace_id) =
            (header("cache-status"), header("fresh-as-of"), header("trace-id"));
        let status = response.status().as_u16();
        let body = response.json().await.expect("a page asked for as JSON is JSON");
        Page {
            status,
            cache_status,
            fresh_as_of,
            trace_id,
            body,
        }
    }

    /// Reads until the page comes from the cache: the events of what was just created may still be on their way.
    pub async fn cached_page(&self, replica: usize, account: i64) -> Page {
        test_support::eventually(Duration::from_secs(20), async || {
            let page = self.page(replica, account).await;
            if page.cache_status.starts_with("page; hit") {
                Ok(page)
            } else {
                Err(page.cache_status)
            }
        })
        .await
    }

    /// Waits until a replica has applied `count` more events of a source than `since`.
    pub async fn until_applied(&self, replica: usize, source: &str, since: u64) {
        test_support::eventually(Duration::from_secs(20), async || {
            match self.applied(replica, source).await {
                now if now > since => Ok(()),
                now => Err(format!("{now} events of {source} were applied")),
            }
        })
        .await;
    }
}

/// A page as a reader got it.
#[derive(Debug)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// How it was served.
    pub cache_status: String,
    /// Up to when it is complete.
    pub fresh_as_of: String,
    /// The trace of the request.
    pub trace_id: String,
    /// The document.
    pub body: Value,
}

impl Stack {
    /// How many events of a source a replica has applied.
    pub async fn applied(&self, replica: usize, source: &str) -> u64 {
        let labels = [format!("source=\"{source}\""), "result=\"applied\"".to_owned()];
        let sum: f64 = metric(
            &self.metrics_of(&self.pages[replica]).await,
            "page_events_total",
            &labels,
        )
        .sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = sum as u64;
        count
    }

    /// Waits until a replica is answering this many readers at once.
    pub async fn until_under_way(&self, replica: usize, readers: u32) {
        test_support::eventually(Duration::from_secs(20), async || {
            let text = self.metrics_of(&self.pages[replica]).await;
            let active: f64 = metric(&text, "http_server_active_requests", &[]).sum();
            if active >= f64::from(readers) {
                Ok(())
            } else {
                Err(format!("{active} readers are inside"))
            }
        })
        .await;
    }

    async fn until_trusted(&self, page: &Process) {
        test_support::eventually(Duration::from_secs(20), async || {
            let trusted: f64 = metric(&self.metrics_of(page).await, "page_source_trusted", &[]).sum();
            if trusted > 2.5 {
                Ok(())
            } else {
                Err(format!("{trusted} of 3 sources are trusted"))
            }
        })
        .await;
    }

    async fn metrics_of(&self, page: &Process) -> String {
        let response = self.send(self.request(Method::GET, page.url("/metrics"))).await;
        response.text().await.expect("metrics are text")
    }
}

/// The values of a metric's series that have all of `labels`, from Prometheus text.
fn metric<'a>(text: &'a str, name: &'a str, labels: &'a [String]) -> impl Iterator<Item = f64> + 'a {
    let series = text
        .lines()
        .filter(move |line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    series.filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}
