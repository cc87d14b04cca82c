//! The sources' public HTTP, as far as the lab uses it: the lab has no other way in.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, RequestBuilder, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::data::State;

/// An account's number, given by the accounts service.
pub type AccountId = u64;

/// An endpoint's number, given by the endpoints service.
pub type EndpointId = u64;

/// A count of the changes of what a source says about an account.
pub type Revision = u64;

/// One client for the three services.
#[derive(Clone, Debug)]
pub struct Sources {
    http: Client,
    accounts: String,
    endpoints: String,
    metrics: String,
}

/// A sample on its way to the metrics service.
#[derive(Debug, Serialize)]
pub struct NewSample {
    /// What was checked.
    pub endpoint_id: EndpointId,
    /// When, as RFC 3339; without it, the service's own now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
    /// How it was found.
    pub state: State,
    /// The HTTP status, 0 if no answer came.
    pub status_code: u16,
    /// How long the answer took.
    pub response_ms: u32,
}

/// The most accounts that the accounts service lists at once.
pub const MOST_LISTED: u16 = 100;

/// The most samples that the metrics service takes at once.
pub const LARGEST_BATCH: usize = 1000;

#[derive(Deserialize)]
struct Created {
    id: u64,
}

#[derive(Deserialize)]
struct Renamed {
    revision: Revision,
}

/// An account as it is listed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListedAccount {
    /// Its number.
    pub id: AccountId,
    /// What it is called.
    pub name: String,
    /// What is said of it.
    #[serde(default, skip_serializing)]
    pub description: String,
}

#[derive(Deserialize)]
struct AccountList {
    accounts: Vec<ListedAccount>,
}

#[derive(Deserialize)]
struct EndpointList {
    endpoints: Vec<Created>,
}

/// RFC 9457, as far as a person wants to read it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
}

#[derive(Deserialize)]
struct FieldProblem {
    field: String,
    detail: String,
}

impl Problem {
    /// In one line; empty if it says nothing.
    fn words(self) -> String {
        let fields = self.errors.into_iter();
        let fields = fields.map(|problem| format!("{}: {}", problem.field, problem.detail));
        let said = self.detail.or(self.title).into_iter().chain(fields);
        said.collect::<Vec<_>>().join("; ")
    }
}

/// Why a service did not do what it was asked to, in words: somebody may have broken it on purpose.
#[derive(Debug, thiserror::Error)]
#[error("{service} {what}")]
pub struct Failure {
    service: &'static str,
    what: String,
    /// It answered that the request was wrong.
    pub declined: bool,
}

impl Sources {
    /// Takes the services' base addresses.
    pub fn new(accounts: String, endpoints: String, metrics: String) -> Self {
        Self {
            http: http_client(),
            accounts,
            endpoints,
            metrics,
        }
    }

    /// Whether there is no account at all.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.list_accounts(1).await?.is_empty())
    }

    /// The first accounts, by their numbers.
    pub async fn list_accounts(&self, limit: u16) -> Result<Vec<ListedAccount>> {
        let request = self
            .http
            .get(format!("{}/accounts", self.accounts))
            .query(&[("limit", limit)]);
        let list: AccountList = send("accounts", request)
            .await?
            .json()
            .await
            .context("reading the list of accounts")?;
        Ok(list.accounts)
    }

    /// Fails unless there is such an account.
    pub async fn require_account(&self, account: AccountId) -> Result<()> {
        let request = self.http.get(format!("{}/accounts/{account}", self.accounts));
        send("accounts", request).await?;
        Ok(())
    }

    /// The numbers of an account's endpoints.
    pub async fn list_endpoints(&self, account: AccountId) -> Result<Vec<EndpointId>> {
        let request = self
            .http
            .get(format!("{}/accounts/{account}/endpoints", self.endpoints));
        let list: EndpointList = send("endpoints", request)
            .await?
            .json()
            .await
            .context("reading an account's endpoints")?;
        Ok(list.endpoints.into_iter().map(|endpoint| endpoint.id).collect())
    }

    /// Creates an account.
    pub async fn create_account(&self, name: &str, description: &str) -> Result<AccountId> {
        let body = json!({ "name": name, "description": description });
        let request = self.http.post(format!("{}/accounts", self.accounts));
        created("accounts", request.json(&body)).await
    }

    /// Gives an account another name; answers its new revision.
    pub async fn rename_account(&self, account: AccountId, name: &str) -> Result<Revision> {
        let body = json!({ "name": name });
        let request = self.http.patch(format!("{}/accounts/{account}", self.accounts));
        let answer = send("accounts", request.json(&body)).await?;
        let renamed: Renamed = answer.json().await.context("reading the renamed account")?;
        Ok(renamed.revision)
    }

    /// Deletes an account; the other sources follow.
    pub async fn delete_account(&self, account: AccountId) -> Result<()> {
        let request = self.http.delete(format!("{}/accounts/{account}", self.accounts));
        send("accounts", request).await?;
        Ok(())
    }

    /// Adds an endpoint to an account.
    pub async fn add_endpoint(&self, account: AccountId, name: &str, url: &str) -> Result<EndpointId> {
        let body = json!({ "name": name, "url": url });
        let request = self
            .http
            .post(format!("{}/accounts/{account}/endpoints", self.endpoints));
        created("endpoints", request.json(&body)).await
    }

    /// Records one batch of samples, at most [`LARGEST_BATCH`] of them.
    pub async fn record(&self, account: AccountId, samples: &[NewSample]) -> Result<()> {
        let body = json!({ "samples": samples });
        let request = self
            .http
            .post(format!("{}/accounts/{account}/samples", self.metrics));
        send("metrics", request.json(&body)).await?;
        Ok(())
    }
}

/// A client for this machine: no proxy, and no patience with a service that hangs.
///
/// # Panics
/// Never in practice: without TLS there is nothing that can fail.
pub fn http_client() -> Client {
    let builder = Client::builder().no_proxy().timeout(Duration::from_secs(10));
    builder
        .build()
        .expect("a client without TLS needs nothing that could be missing")
}

async fn created(service: &'static str, request: RequestBuilder) -> Result<u64> {
    let created: Created = send(service, request)
        .await?
        .json()
        .await
        .context("reading what was created")?;
    Ok(created.id)
}

/// Sends, and turns every answer that is no success into what the service said.
pub async fn send(service: &'static str, request: RequestBuilder) -> Result<Response, Failure> {
    let answer = request.send().await.map_err(|error| Failure {
        service,
        what: why(&error).to_owned(),
        declined: false,
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let said = answer.json::<Problem>().await.unwrap_or_default().words();
    Err(Failure {
        service,
        what: format!("answered {status}: {said}"),
        declined: status.is_client_error(),
    })
}

/// Why no answer came.
pub fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "does not answer"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "broke off its answer"
    }
}
