//! A broker, three sources, and as many page replicas as asked for.

use std::path::PathBuf;

use crate::NatsServer;
use reqwest::{Client, Method, RequestBuilder, Response};
use tempfile::TempDir;

use crate::data::State;
use crate::sources::{AccountId, Acknowledged, Change, EndpointId, NewSample, SourceClient};
use crate::{Environment, Gate, Link, PerSource, Process, Source, database_in, page_flags, source_flags};

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
    pub sources: PerSource<Process>,
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

    /// Starts everything, and waits until each page trusts every source.
    ///
    /// # Panics
    /// When a process does not start.
    pub async fn start_with(options: Options) -> Self {
        let nats = match &options.broker {
            Some(broker) => NatsServer::start_with(&broker.file, &broker.environment, &[]),
            None => NatsServer::start(),
        };
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let sources = PerSource::join(|source| {
            let database = database_in(folder.path(), source);
            let nats_url = sign_in(options.broker.as_ref(), source.name(), &nats.url());
            let flags = [source_flags(&database, &nats_url), options.flags.clone()].concat();
            Process::start_in(options.source_environment.clone(), source.name(), flags)
        })
        .await;
        let gate = Gate::start(sources[Source::Accounts].url("")).await;
        let mut stack = Self {
            nats,
            sources,
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
    /// Does not wait until it receives anything.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn add_page(&mut self, changed: &[(&str, String)]) -> usize {
        let link = Link::start(&self.nats.url()).await;
        let mut asked = PerSource::from_fn(|source| self.sources[source].url(""));
        asked[Source::Accounts] = self.gate.url();
        let nats_url = sign_in(self.broker.as_ref(), "page", &link.url());
        // A busy machine must not mark a page: readers wait as long as an answer may take.
        let wait = ["--wait-ms", "10000"].map(str::to_owned);
        let usual = [page_flags(&asked, &nats_url), wait.to_vec()].concat();
        let unchanged = usual.chunks_exact(2);
        let unchanged = unchanged.filter(|flag| changed.iter().all(|(other, _)| *other != flag[0]));
        let changed = changed
            .iter()
            .flat_map(|(name, value)| [(*name).to_owned(), value.clone()]);
        let flags = unchanged.flatten().cloned().chain(changed);
        let flags = flags.chain(self.page_flags.clone()).collect();
        let environment = self.page_environment.clone();
        self.pages
            .push(Process::start_in(environment, "page", flags).await);
        self.links.push(link);
        self.pages.len() - 1
    }

    /// Every service: the sources, then the pages.
    pub fn services(&self) -> impl Iterator<Item = &Process> {
        self.sources.values().chain(&self.pages)
    }

    /// Kills these sources.
    pub async fn kill(&mut self, sources: &[Source]) {
        for source in sources {
            self.sources[*source].kill().await;
        }
    }

    /// Starts these sources again.
    ///
    /// # Panics
    /// When one does not start.
    pub async fn restart(&mut self, sources: &[Source]) {
        for source in sources {
            self.sources[*source].restart(|_| {}).await;
        }
    }

    /// The file of a source's database.
    pub fn database(&self, source: Source) -> PathBuf {
        database_in(self.folder.path(), source)
    }

    /// A client of the sources, which are asked without anything in between.
    pub fn source_client(&self) -> SourceClient {
        SourceClient::new(PerSource::from_fn(|source| self.sources[source].url("")))
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
    pub async fn create_account(&self, name: &str) -> AccountId {
        let created = self.change(&Change::create_account(name, "")).await;
        created.id().expect("an account has an id")
    }

    /// Renames an account.
    pub async fn rename_account(&self, id: AccountId, name: &str) -> Acknowledged {
        self.change(&Change::rename_account(id, name)).await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, id: AccountId) {
        self.change(&Change::delete_account(id)).await;
    }

    /// Adds an endpoint; its id.
    ///
    /// # Panics
    /// When the service refuses.
    pub async fn add_endpoint(&self, account: AccountId, name: &str, url: &str) -> EndpointId {
        let added = self.change(&Change::add_endpoint(account, name, url)).await;
        added.id().expect("an endpoint has an id")
    }

    /// Records one sample, taken now.
    pub async fn record(&self, account: AccountId, endpoint: EndpointId, milliseconds: u32) -> Acknowledged {
        let sample = NewSample {
            endpoint_id: endpoint,
            at: None,
            state: State::Up,
            status_code: 200,
            response_ms: milliseconds,
        };
        self.change(&Change::record(account, &[sample])).await
    }

    async fn change(&self, change: &Change) -> Acknowledged {
        let changed = self.source_client().change(change).await;
        changed.unwrap_or_else(|refused| panic!("{refused}"))
    }
}

fn sign_in(broker: Option<&Broker>, service: &str, url: &str) -> String {
    broker.map_or_else(|| url.to_owned(), |broker| broker.sign_in(service, url))
}
