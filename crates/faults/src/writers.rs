//! Those who change things, and go on whatever breaks.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::client::{Token, client, versions_in_token};
use crate::history::{Attempt, Mutation, Source, What};
use crate::moment::Moment;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::world::World;

/// Who waits longer than that for an answer turns to something else.
const WRITE_WITHIN: Duration = Duration::from_secs(2);
/// How many endpoints of an account are measured: a page of a few kilobytes.
const MEASURED: u64 = 3;

/// A client of the sources.
#[derive(Clone, Debug)]
pub struct Writer {
    client: Client,
    /// By [`Source::index`].
    urls: [String; 3],
    world: Arc<World>,
    recorder: Arc<Recorder>,
}

/// What a source acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    /// Whose state changed.
    pub account: u64,
    /// The answer's document.
    pub body: Value,
}

/// What is about to be changed.
struct Change {
    source: Source,
    account: Option<u64>,
    what: What,
    method: Method,
    path: String,
    body: Value,
}

impl Writer {
    /// Writes to the sources at these addresses.
    pub fn new(urls: [String; 3], world: Arc<World>, recorder: Arc<Recorder>) -> Self {
        Self {
            client: client(),
            urls,
            world,
            recorder,
        }
    }

    /// Creates an account.
    pub async fn create_account(&self) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Accounts,
            account: None,
            what: What::Created,
            method: Method::POST,
            path: "/accounts".to_owned(),
            body: json!({ "name": format!("account #{serial}") }),
        };
        let created = self.send(change, serial).await?;
        self.world.created(created.account);
        Some(created)
    }

    /// Renames an account.
    pub async fn rename_account(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Accounts,
            account: Some(account),
            what: What::Renamed,
            method: Method::PATCH,
            path: format!("/accounts/{account}"),
            body: json!({ "name": format!("account #{serial}") }),
        };
        self.send(change, serial).await
    }

    /// Deletes an account.
    pub async fn delete_account(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Accounts,
            account: Some(account),
            what: What::Deleted,
            method: Method::DELETE,
            path: format!("/accounts/{account}"),
            body: Value::Null,
        };
        let deleted = self.send(change, serial).await?;
        self.world.deleted(account);
        Some(deleted)
    }

    /// Adds, renames or removes an endpoint, so that there are always a few.
    pub async fn change_endpoints(&self, account: u64, random: &mut Random) -> Option<Acknowledged> {
        let endpoints = self.world.endpoints(account);
        match endpoints.len() {
            0 | 1 => self.add_endpoint(account).await,
            count => {
                let endpoint = random.choose(&endpoints);
                match random.below(5) {
                    0 if count < 4 => self.add_endpoint(account).await,
                    1 => self.remove_endpoint(account, endpoint).await,
                    _ => self.rename_endpoint(account, endpoint).await,
                }
            }
        }
    }

    async fn add_endpoint(&self, account: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Endpoints,
            account: Some(account),
            what: What::Added,
            method: Method::POST,
            path: format!("/accounts/{account}/endpoints"),
            body: json!({ "name": format!("endpoint #{serial}"), "url": "https://example.org/" }),
        };
        let added = self.send(change, serial).await?;
        if let Some(endpoint) = added.body["id"].as_u64() {
            self.world.endpoint_added(account, endpoint);
        }
        Some(added)
    }

    async fn rename_endpoint(&self, account: u64, endpoint: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Endpoints,
            account: Some(account),
            what: What::Changed,
            method: Method::PATCH,
            path: format!("/accounts/{account}/endpoints/{endpoint}"),
            body: json!({ "name": format!("endpoint #{serial}") }),
        };
        let renamed = self.send(change, serial).await;
        if renamed.is_none() {
            // Refused, it is not there; unanswered, another one will do.
            self.world.endpoint_gone(account, endpoint);
        }
        renamed
    }

    async fn remove_endpoint(&self, account: u64, endpoint: u64) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let change = Change {
            source: Source::Endpoints,
            account: Some(account),
            what: What::Removed,
            method: Method::DELETE,
            path: format!("/accounts/{account}/endpoints/{endpoint}"),
            body: Value::Null,
        };
        self.world.endpoint_gone(account, endpoint);
        self.send(change, serial).await
    }

    /// Records one sample of one endpoint.
    pub async fn record_sample(&self, account: u64, random: &mut Random) -> Option<Acknowledged> {
        let serial = self.recorder.next_serial();
        let endpoint = account * 10 + serial % MEASURED;
        let (state, status) = random.choose(&[("up", 200), ("up", 200), ("degraded", 200), ("down", 0)]);
        let sample = json!({
            "endpoint_id": endpoint, "state": state, "status_code": status, "response_ms": serial % 1_000,
        });
        let change = Change {
            source: Source::Metrics,
            account: Some(account),
            what: What::Recorded,
            method: Method::POST,
            path: format!("/accounts/{account}/samples"),
            body: json!({ "samples": [sample] }),
        };
        self.send(change, serial).await
    }

    /// Sends a change, and writes down what became of it.
    async fn send(&self, change: Change, serial: u64) -> Option<Acknowledged> {
        let sent_at = Moment::now();
        match self.request(&change).send().await {
            Ok(answer) if answer.status().is_success() => {
                let acked_at = Moment::now();
                let account = self.acknowledged(&change, serial, sent_at, acked_at, answer.headers())?;
                // The headers were the acknowledgement. What is lost of the body is this program's knowledge of ids.
                let body = answer.json().await.unwrap_or_default();
                Some(Acknowledged { account, body })
            }
            // Refused: it did not happen.
            Ok(answer) if answer.status().is_client_error() => None,
            Ok(_) | Err(_) => {
                self.recorder.attempted(Attempt {
                    source: change.source,
                    account: change.account,
                    what: change.what,
                    serial,
                    sent_at,
                });
                None
            }
        }
    }

    fn request(&self, change: &Change) -> RequestBuilder {
        let url = format!("{}{}", self.urls[change.source.index()], change.path);
        let request = self
            .client
            .request(change.method.clone(), url)
            .timeout(WRITE_WITHIN);
        if change.body.is_null() {
            request
        } else {
            request.json(&change.body)
        }
    }

    /// Writes down the mutation that the answer's token names.
    fn acknowledged(
        &self,
        change: &Change,
        serial: u64,
        sent_at: Moment,
        acked_at: Moment,
        headers: &HeaderMap,
    ) -> Option<u64> {
        let text = headers.get("consistency-token")?.to_str().ok()?;
        let (source, account, version) = versions_in_token(text).next()?;
        self.recorder.mutated(Mutation {
            source,
            account,
            version,
            what: change.what,
            serial,
            sent_at,
            acked_at,
        });
        let token = Token {
            source,
            version,
            text: text.to_owned(),
        };
        self.world.written(account, token);
        Some(account)
    }
}

/// Starts the writers: two for each source, and one for accounts that come and go. Each write holds `gate` for reading.
pub fn start(tasks: &mut JoinSet<()>, writer: &Writer, gate: &Arc<RwLock<()>>, seed: u64, rate: u32) {
    // Two of three: what comes and goes is written by the others.
    let interval = Duration::from_secs(6) / rate.max(1);
    for (number, source) in (0..).zip([Source::ALL, Source::ALL].concat()) {
        let (writer, gate) = (writer.clone(), Arc::clone(gate));
        let random = Random::new(seed, 1_000_000 + number);
        // Odd and even accounts: the writes of one account at one source are one after the other.
        let half = number / 3;
        tasks.spawn(write_steadily(writer, gate, source, half, random, interval));
    }
    let random = Random::new(seed, 2_000_000);
    tasks.spawn(come_and_go(writer.clone(), Arc::clone(gate), random));
}

async fn write_steadily(
    writer: Writer,
    gate: Arc<RwLock<()>>,
    source: Source,
    half: u64,
    mut random: Random,
    interval: Duration,
) {
    loop {
        // A burst now and then: several events, one after the other, while a page is being composed.
        let burst = if random.once_in(10) { 4 } else { 1 };
        let account = (writer.world.steady_account(&mut random) - 1) / 2 * 2 + half + 1;
        for _ in 0..burst {
            let _writing = gate.read().await;
            let _ = match source {
                Source::Accounts => writer.rename_account(account).await,
                Source::Endpoints => writer.change_endpoints(account, &mut random).await,
                Source::Metrics => writer.record_sample(account, &mut random).await,
            };
        }
        let pause = random.between(interval / 2, interval * 3 / 2);
        tokio::time::sleep(pause * burst).await;
    }
}

async fn come_and_go(writer: Writer, gate: Arc<RwLock<()>>, mut random: Random) {
    loop {
        {
            let _writing = gate.read().await;
            let _creating = writer.world.may_create().await;
            let extras = writer.world.extras();
            if extras < 2 || (extras < 5 && random.once_in(2)) {
                create_extra(&writer, &mut random).await;
            } else if let Some(account) = writer.world.take_oldest_extra() {
                let _ = writer.delete_account(account).await;
            }
        }
        let pause = random.between(Duration::from_millis(200), Duration::from_millis(600));
        tokio::time::sleep(pause).await;
    }
}

async fn create_extra(writer: &Writer, random: &mut Random) {
    if let Some(created) = writer.create_account().await {
        let _ = writer.change_endpoints(created.account, random).await;
        let _ = writer.record_sample(created.account, random).await;
    }
}

/// Creates accounts until all the steady ones are there.
///
/// # Panics
/// When accounts takes none for twenty seconds.
pub async fn settle(writer: &Writer) {
    let until = Moment::now().plus(Duration::from_secs(20));
    let mut last = 0;
    while last < writer.world.steady {
        // Who did not answer may have created one: the next gets the id after it.
        if let Some(created) = writer.create_account().await {
            last = created.account;
        } else {
            assert!(Moment::now() < until, "accounts takes no account");
        }
    }
}

/// Gives each steady account an endpoint and a sample. To be done before the writers start: who adds an endpoint must be the
/// only one, for its number to be the highest in the list.
pub async fn furnish(writer: &Writer, random: &mut Random) {
    for account in 1..=writer.world.steady {
        let _ = writer.change_endpoints(account, random).await;
        let _ = writer.record_sample(account, random).await;
    }
}
