//! A source that answers as it is told, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use event_bus::outbox::{self, Announcement};
use event_bus::{Broker, Nonce, Publishing, Relay, RelayOptions, Topology};
use group_commit::{Database, params};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{event_type, eventually};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::LONG;

pub(crate) const INCARNATION: &str = "0199f7c5a1b27cc38d4e5f6071829304";
const MIGRATIONS: [&str; 3] = [
    outbox::MIGRATION,
    outbox::CLAIMS_MIGRATION,
    outbox::TRACESTATE_MIGRATION,
];

/// How a source answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Behaviour {
    /// As a source does: 200, 304, or 404 with the `ETag` of the absence.
    #[default]
    Well,
    /// With this status and nothing else.
    Status(u16),
    /// With 200, an `ETag`, and this.
    Body(String),
    /// With its own body, and an `ETag` that is none.
    StrangeTag,
    /// Not at all.
    Never,
    /// Well, and only after so long.
    After(Duration),
    /// Well, but about this account not at all.
    NeverAbout(u64),
    /// Well, as of the arrival of the request, and only when let through.
    Gated,
}

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) if_none_match: Option<String>,
    pub(crate) traceparent: Option<String>,
    pub(crate) tracestate: Option<String>,
}

#[derive(Debug)]
struct Script {
    behaviour: Behaviour,
    revision: u64,
    /// None: there is no such account.
    body: Option<Value>,
    /// For how long an answer holds, in seconds.
    valid_for: Option<u32>,
    /// Whose it is, if it knows: the account's own mark.
    life: Option<&'static str>,
    asked: Vec<Asked>,
    /// Whether it publishes; none before it announces anything.
    publishing: Option<Publishing>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    gate: Semaphore,
}

/// The source; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct FakeSource {
    name: &'static str,
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    announcer: Option<Announcer>,
}

/// The real outbox and relay of a source, with a database of their own.
#[derive(Debug)]
struct Announcer {
    database: Database,
    _folder: TempDir,
    _stop: DropGuard,
}

impl FakeSource {
    pub(crate) async fn spawn(name: &'static str, body: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Script {
            behaviour: Behaviour::Well,
            revision: 1,
            body: Some(body),
            valid_for: None,
            life: None,
            asked: vec![],
            publishing: None,
        };
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            gate: Semaphore::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            name,
            address,
            shared,
            server,
            announcer: None,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.script().behaviour = behaviour;
    }

    /// Lets one gated answer out.
    pub(crate) fn let_one_out(&self) {
        self.shared.gate.add_permits(1);
    }

    pub(crate) fn hold_for(&self, seconds: u32) {
        self.script().valid_for = Some(seconds);
    }

    /// What it answers is this account's from now on, of those that ever had its id. It is no change of what it says.
    pub(crate) fn belong_to(&self, life: &'static str) {
        self.script().life = Some(life);
    }

    /// Changes what it answers, with the next revision, and says nothing of it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) -> u64 {
        let mut script = self.script();
        change(script.body.get_or_insert(Value::Null));
        script.revision += 1;
        script.revision
    }

    /// Changes what it answers, and not even the revision tells.
    pub(crate) fn change_without_revision(&self, change: impl FnOnce(&mut Value)) {
        change(self.script().body.get_or_insert(Value::Null));
    }

    /// The account is gone, or was never there.
    pub(crate) fn remove(&self) -> u64 {
        let mut script = self.script();
        script.body = None;
        script.revision += 1;
        script.revision
    }

    /// Nobody listens any more; what it announced stays announced.
    pub(crate) fn go_down(&self) {
        self.server.abort();
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script().asked.clone()
    }

    /// Announces from now on, over a real relay.
    pub(crate) async fn connect(&mut self, nats_url: &str) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("outbox.db"), &MIGRATIONS).unwrap();
        // Its events and its answers are of one database.
        let named = database.write(|transaction| {
            transaction.execute("UPDATE outbox_state SET incarnation = ?1", params![INCARNATION])
        });
        named.await.unwrap();
        let topology = Topology {
            stream: "EVENTS".to_owned(),
            prefix: "events".to_owned(),
        };
        let broker = Broker::connect(nats_url, self.name, topology).await.unwrap();
        let options = RelayOptions::new(self.name, "test.watermark.v1", "test.claim.v1");
        let relay = Relay::new(database.clone(), broker, options);
        self.script().publishing = Some(relay.publishing());
        let stop = CancellationToken::new();
        tokio::spawn(relay.run(stop.clone()));
        self.announcer = Some(Announcer {
            database,
            _folder: folder,
            _stop: stop.drop_guard(),
        });
    }

    /// Announces that account 1 is at this revision.
    pub(crate) async fn announce(&self, event: &str, revision: u64) {
        self.announce_about(1, event, revision).await;
    }

    pub(crate) async fn announce_about(&self, entity: i64, event: &str, revision: u64) {
        self.publish(entity, event, revision, None).await;
    }

    /// Announces what account 1 is now, with the answer in it.
    pub(crate) async fn announce_carrying(&self, event: &str) {
        let (revision, body) = {
            let script = self.script();
            (script.revision, script.body(""))
        };
        self.publish(1, event, revision, Some(RawValue::from_string(body).unwrap()))
            .await;
    }

    /// Announces that an account is at this revision, with this for an answer.
    pub(crate) async fn announce_fragment(&self, entity: i64, event: &str, revision: u64, fragment: &Value) {
        self.publish(entity, event, revision, Some(to_raw_value(fragment).unwrap()))
            .await;
    }

    async fn publish(&self, entity: i64, event: &str, revision: u64, fragment: Option<Box<RawValue>>) {
        let kind = event_type(event);
        let database = &self.announcer.as_ref().unwrap().database;
        let written = database.write(move |transaction| {
            let announcement = Announcement {
                kind: &kind,
                entity,
                revision,
                nonce: Nonce::default(),
                data: json!({ "account_id": entity, "form": 1 }),
                fragment,
            };
            outbox::announce(transaction, &announcement)
        });
        written.await.unwrap();
    }

    /// Waits until all that was announced is on the stream.
    pub(crate) async fn until_published(&self) {
        let database = &self.announcer.as_ref().unwrap().database;
        eventually(LONG, async || {
            let waiting = database.read(|transaction| {
                transaction.query_one("SELECT count(*) AS n FROM outbox", params![], |row| {
                    row.get::<i64>("n")
                })
            });
            match waiting.await.unwrap() {
                0 => Ok(()),
                waiting => Err(format!("{waiting} wait")),
            }
        })
        .await;
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.script.lock().unwrap()
    }
}

impl Drop for FakeSource {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().to_string();
    let (behaviour, response) = {
        let mut script = shared.script.lock().unwrap();
        let asked = Asked {
            path: path.clone(),
            if_none_match: text(request.headers(), header::IF_NONE_MATCH),
            traceparent: text(request.headers(), HeaderName::from_static("traceparent")),
            tracestate: text(request.headers(), HeaderName::from_static("tracestate")),
        };
        script.asked.push(asked.clone());
        (script.behaviour.clone(), script.answer(&asked))
    };
    match behaviour {
        Behaviour::Never => std::future::pending().await,
        Behaviour::NeverAbout(account) if account_in(&path) == Some(account) => std::future::pending().await,
        Behaviour::After(time) => tokio::time::sleep(time).await,
        Behaviour::Gated => shared.gate.acquire().await.unwrap().forget(),
        _ => {}
    }
    response
}

impl Script {
    fn answer(&self, asked: &Asked) -> Response {
        let etag = format!("\"{INCARNATION}-{}-{}-v1\"", self.revision, Nonce::default());
        match &self.behaviour {
            Behaviour::Status(status) => StatusCode::from_u16(*status).unwrap().into_response(),
            Behaviour::Body(body) => ([(header::ETAG, etag)], body.clone()).into_response(),
            Behaviour::StrangeTag => ([(header::ETAG, "\"1\"")], self.body(&asked.path)).into_response(),
            _ if asked.if_none_match.as_ref() == Some(&etag) => self.head(StatusCode::NOT_MODIFIED, etag),
            _ if self.body.is_none() => self.head(StatusCode::NOT_FOUND, etag),
            _ => (
                self.head(StatusCode::OK, etag).into_parts().0,
                self.body(&asked.path),
            )
                .into_response(),
        }
    }

    fn head(&self, status: StatusCode, etag: String) -> Response {
        let valid_for = self.valid_for.map(|seconds| [("valid-for", seconds.to_string())]);
        let claim = self.publishing.as_ref().and_then(Publishing::claim);
        let claim = claim.map(|claim| [("feed-claim", claim.to_string())]);
        // Accounts says it in its answer.
        let life = self.life.filter(|_| self.is_about_an_account());
        let life = life.map(|life| [("account-life", life)]);
        (status, claim, life, valid_for, [(header::ETAG, etag)]).into_response()
    }

    /// Of the other sources, all but accounts.
    fn is_about_an_account(&self) -> bool {
        let body = self.body.as_ref();
        body.is_some_and(|body| body.get("account_id").is_some())
    }

    /// The body, at the current revision, about the account and the window that were asked for.
    fn body(&self, path: &str) -> String {
        let mut body = self.body.clone().unwrap_or_default();
        body["revision"] = json!(self.revision);
        if let Some(life) = self.life.filter(|_| !self.is_about_an_account()) {
            body["life"] = json!(life);
        }
        if let Some(account) = account_in(path) {
            let name = if self.is_about_an_account() {
                "account_id"
            } else {
                "id"
            };
            body[name] = json!(account);
        }
        if let Some((_, window)) = path.split_once("window=") {
            body["window"] = json!(window);
        }
        body.to_string()
    }
}

/// Which account a request is about.
fn account_in(path: &str) -> Option<u64> {
    let rest = path.strip_prefix("/accounts/")?;
    rest.split(['/', '?']).next()?.parse().ok()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned())
}
