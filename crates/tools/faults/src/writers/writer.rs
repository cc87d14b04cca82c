//! A client of the sources that writes down what became of every change.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::client::{Token, client, versions_in_token};
use crate::history::{Attempt, Mutation, Source, What};
use crate::recorder::Recorder;
use crate::world::World;
use rand::RngExt as _;
use stack::Moment;
use stack::{Random, one_of};

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
    /// What there is to change.
    pub(super) world: Arc<World>,
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
                let endpoint = one_of(&endpoints, random);
                match random.random_range(0..5) {
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
        let (state, status) = one_of(
            &[("up", 200), ("up", 200), ("degraded", 200), ("down", 0)],
            random,
        );
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
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                let problem: Value = answer.json().await.unwrap_or_default();
                let kind = problem["type"].as_str().unwrap_or_default();
                if kind.ends_with("another-publisher") {
                    self.recorder.refused();
                } else {
                    self.unanswered(&change, serial, sent_at);
                }
                None
            }
            // Refused: it did not happen.
            Ok(answer) if answer.status().is_client_error() => None,
            Ok(_) | Err(_) => {
                self.unanswered(&change, serial, sent_at);
                None
            }
        }
    }

    fn unanswered(&self, change: &Change, serial: u64, sent_at: Moment) {
        self.recorder.attempted(Attempt {
            source: change.source,
            account: change.account,
            what: change.what,
            serial,
            sent_at,
        });
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
