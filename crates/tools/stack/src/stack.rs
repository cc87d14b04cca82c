//! A broker, three sources, and as many page replicas as asked for.

use std::path::PathBuf;

use crate::NatsServer;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Environment, Gate, Link, Process};

mod reading;

pub use self::reading::Page;

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many page services.
    pub replicas: usize,
    /// Flags that every service is given, such as where its traces go.
    pub flags: Vec<String>,
    /// Flags that every page service is given.
    pub page_flags: Vec<String>,
    /// The broker, if it is not one that lets everybody do everything.
    pub broker: Option<Broker>,
    /// Variables that every source is given, such as a clock of its own.
    pub source_environment: Environment,
    /// Variables that every page service is given.
    pub page_environment: Environment,
}

/// A broker with settings and users of its own.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its file of settings.
    pub file: PathBuf,
    /// The variables that the file names.
    pub environment: Vec<(String, String)>,
    /// As whom each service signs in, as (service, user and password in a URL's form `user:password`).
    pub users: Vec<(String, String)>,
}

impl Broker {
    /// The broker's URL with a service's user in it.
    ///
    /// # Panics
    /// When the service has no user.
    pub fn sign_in(&self, service: &str, url: &str) -> String {
        let (_, user) = self
            .users
            .iter()
            .find(|(name, _)| name == service)
            .expect("each service has a user");
        url.replacen("://", &format!("://{user}@"), 1)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replicas: 1,
            flags: Vec::new(),
            page_flags: Vec::new(),
            broker: None,
            source_environment: Environment::new(),
            page_environment: Environment::new(),
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
    /// Between each page service and the broker.
    pub links: Vec<Link>,
    client: Client,
    page_flags: Vec<String>,
    page_environment: Environment,
    broker: Option<Broker>,
    folder: TempDir,
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
        let nats = match &options.broker {
            Some(broker) => NatsServer::start_with(&broker.file, &broker.environment, &[]),
            None => NatsServer::start(),
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let source = |name: &'static str| {
            let database = folder.path().join(format!("{name}.db")).display().to_string();
            let nats_url = sign_in(options.broker.as_ref(), name, &nats.url());
            let flags = ["--nats-url", &nats_url, "--database", &database].map(str::to_owned);
            let environment = options.source_environment.clone();
            Process::start_in(
                environment,
                name,
                [flags.to_vec(), options.flags.clone()].concat(),
            )
        };
        let (accounts, endpoints, metrics) =
            tokio::join!(source("accounts"), source("endpoints"), source("metrics"));
        let gate = Gate::start(accounts.url("")).await;
        let mut stack = Self {
            nats,
            accounts,
            endpoints,
            metrics,
            gate,
            pages: Vec::new(),
            links: Vec::new(),
            client: Client::new(),
            page_flags: [options.flags, options.page_flags].concat(),
            page_environment: options.page_environment,
            broker: options.broker,
            folder,
        };
        for _ in 0..options.replicas {
            stack.add_page(&[]).await;
        }
        for page in &stack.pages {
            stack.until_trusted(page).await;
        }
        stack
    }

    /// Starts one more page service, with other settings where `changed` says so; its place among [`pages`](Self::pages).
    ///
    /// Does not wait for it to hear anything.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn add_page(&mut self, changed: &[(&str, String)]) -> usize {
        let link = Link::start(&self.nats.url()).await;
        let usual = [
            ("--accounts-url", self.gate.url()),
            ("--endpoints-url", self.endpoints.url("")),
            ("--metrics-url", self.metrics.url("")),
            ("--nats-url", sign_in(self.broker.as_ref(), "page", &link.url())),
        ];
        let unchanged = usual
            .iter()
            .filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
        let settings = unchanged.chain(changed);
        let flags = settings.flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
        let flags = flags.chain(self.page_flags.clone()).collect();
        let environment = self.page_environment.clone();
        self.pages
            .push(Process::start_in(environment, "page", flags).await);
        self.links.push(link);
        self.pages.len() - 1
    }

    /// The file of a source's database.
    pub fn database(&self, source: &str) -> PathBuf {
        self.folder.path().join(format!("{source}.db"))
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
}

fn sign_in(broker: Option<&Broker>, service: &str, url: &str) -> String {
    broker.map_or_else(|| url.to_owned(), |broker| broker.sign_in(service, url))
}
