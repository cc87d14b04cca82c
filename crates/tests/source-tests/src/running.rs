//! A source as a test starts it: with a database and a broker of its own.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::push};
use clap::Parser;
use futures::{Stream, StreamExt as _};
use reqwest::{Client, Method, RequestBuilder, Response};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;
use test_support::{NatsServer, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A source's program. [`service`](crate::service) makes one; the type's own methods are the verbs of the source's users.
pub trait Service: Deref<Target = Instance> + Sized {
    /// Its name on the bus.
    const NAME: &str;
    /// The version of the layout of what pages read.
    const FORM: u32;

    /// Its settings.
    type Config: Parser;

    /// The users' side of an instance.
    fn new(instance: Instance) -> Self;

    /// Runs it until stopped.
    fn run(
        config: Self::Config,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Makes a [`Service`] of the crate of a source: `service!(Endpoints, endpoints)`.
#[macro_export]
macro_rules! service {
    ($service:ident, $source:ident) => {
        pub(crate) struct $service($crate::Instance);

        impl std::ops::Deref for $service {
            type Target = $crate::Instance;

            fn deref(&self) -> &$crate::Instance {
                &self.0
            }
        }

        impl $crate::Service for $service {
            const NAME: &str = stringify!($source);
            const FORM: u32 = $source::FORM;

            type Config = $source::Config;

            fn new(instance: $crate::Instance) -> Self {
                Self(instance)
            }

            async fn run(
                config: $source::Config,
                listener: tokio::net::TcpListener,
                stop: tokio_util::sync::CancellationToken,
            ) {
                $source::run(config, listener, stop).await.unwrap();
            }
        }
    };
}

/// What can be reached of a source that runs.
#[derive(Debug)]
pub struct Instance {
    client: Client,
    address: SocketAddr,
    database: PathBuf,
}

impl Instance {
    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    /// Sends JSON.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).json(body).send().await.unwrap()
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Reads with `If-None-Match`.
    pub async fn get_if_none_match(&self, path: &str, etag: &str) -> Response {
        let request = self.request(Method::GET, path).header("if-none-match", etag);
        request.send().await.unwrap()
    }

    /// Opens the source's own file, to look into it and to change it without the source.
    pub fn database(&self) -> Connection {
        let connection = Connection::open(&self.database).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }
}

/// A source that runs in this process.
#[derive(Debug)]
pub struct Running<S> {
    /// The broker, to kill it and to restart it.
    pub nats: NatsServer,
    service: S,
    folder: TempDir,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl<S> Deref for Running<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.service
    }
}

impl<S: Service> Running<S> {
    /// Starts the source on a new database and a new broker.
    pub async fn spawn() -> Self {
        Self::spawn_with(&[]).await
    }

    /// The same, with these flags.
    pub async fn spawn_with(flags: &[&str]) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), NatsServer::start(), flags).await
    }

    /// Starts the source on a new database.
    pub async fn spawn_on(nats: NatsServer) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), nats, &[]).await
    }

    async fn spawn_in(folder: TempDir, nats: NatsServer, flags: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let database = folder.path().join(format!("{}.db", S::NAME));
        let (path, url) = (database.to_str().unwrap(), nats.url());
        let arguments = [S::NAME, "--database", path, "--nats-url", &url];
        let config = S::Config::parse_from(arguments.iter().chain(flags));
        let stop = CancellationToken::new();
        let task = tokio::spawn(S::run(config, listener, stop.clone()));
        let service = S::new(Instance {
            client: Client::new(),
            address,
            database,
        });
        assert_eq!(service.get("/livez").await.status(), 200, "its database is there");
        Self {
            nats,
            service,
            folder,
            stop: stop.drop_guard(),
            task,
        }
    }

    /// The source ends and begins again on the same database and broker.
    pub async fn respawn(self, flags: &[&str]) -> Self {
        self.respawn_while(flags, async || {}).await
    }

    /// The same, with something that happens while the source is away.
    pub async fn respawn_while(self, flags: &[&str], away: impl AsyncFnOnce()) -> Self {
        drop(self.stop);
        self.task.await.unwrap();
        away().await;
        Self::spawn_in(self.folder, self.nats, flags).await
    }

    /// The source ends and begins again with an empty database.
    pub async fn respawn_reset(self) -> Self {
        drop(self.stop);
        self.task.await.unwrap();
        Self::spawn_on(self.nats).await
    }

    /// What the source publishes, from the stream itself and from its beginning, without our own subscriptions.
    pub async fn messages(&self) -> impl Stream<Item = Published> + use<S> {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let deliver_subject = client.new_inbox();
        let stream = eventually(Duration::from_secs(10), async || {
            jetstream::new(client.clone()).get_stream("EVENTS").await
        })
        .await;
        let config = push::OrderedConfig {
            deliver_subject,
            filter_subject: format!("events.{}.*", S::NAME),
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.unwrap();
        let received = consumer.messages().await.unwrap();
        received.map(|message| Published::read(&message.unwrap()))
    }

    /// The first `count` changes, in the stream's order, once they are there; watermarks left out.
    pub async fn changes(&self, count: usize) -> Vec<Published> {
        let received = self.messages().await;
        let received =
            received.filter(|message| std::future::ready(!message.subject.ends_with(".watermark")));
        timeout(Duration::from_secs(20), received.take(count).collect())
            .await
            .expect("the changes are published")
    }
}

/// A message as it was published.
#[derive(Debug)]
pub struct Published {
    /// Its subject.
    pub subject: String,
    /// Its body, read.
    pub data: Value,
    /// Its body, byte for byte.
    pub payload: Vec<u8>,
    headers: HeaderMap,
}

impl Published {
    fn read(message: &jetstream::Message) -> Self {
        Self {
            subject: message.subject.to_string(),
            data: serde_json::from_slice(&message.payload).unwrap(),
            payload: message.payload.to_vec(),
            headers: message.headers.clone().unwrap(),
        }
    }

    /// The header of this name.
    pub fn attribute(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
            .as_str()
    }
}

/// The answer's header of this name.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value
        .unwrap_or_else(|| panic!("no {name} in {response:?}"))
        .to_str()
        .unwrap()
}

/// The revision in an answer's `ETag`.
pub fn revision(response: &Response) -> u64 {
    version(header(response, "etag")).1
}

/// What an `ETag` says: the incarnation, the revision and the nonce of an answer's version.
pub fn version(etag: &str) -> (String, u64, String) {
    let mut words = etag.trim_matches('"').split('-').map(str::to_owned);
    let mut next = || words.next().expect("an ETag names a version");
    let (incarnation, revision, nonce) = (next(), next(), next());
    (incarnation, revision.parse().unwrap(), nonce)
}

/// The version of the layout that an `ETag` names.
pub(crate) fn form(etag: &str) -> u32 {
    let word = etag.trim_matches('"').split('-').nth(3);
    let form = word.and_then(|word| word.strip_prefix('v'));
    form.expect("an ETag names a form").parse().unwrap()
}
