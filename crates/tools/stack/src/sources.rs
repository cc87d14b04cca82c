//! A client of the sources: the tools have no other way in.

mod change;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{Unanswered, client};
use crate::version::versions_in_token;
use crate::{Moment, PerSource, ReadError, Source, Version, Window};

pub use self::change::{Change, LARGEST_BATCH, NewSample};

/// An account's number, given by the accounts service.
pub type AccountId = u64;

/// An endpoint's number, given by the endpoints service.
pub type EndpointId = u64;

/// A count of the changes of what a source says about an account.
pub type Revision = u64;

/// The most accounts that the accounts service lists at once.
const MOST_LISTED: u16 = 100;

/// How long a source may take to answer, unless a client says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// One client for all sources; copies share its connections.
#[derive(Clone, Debug)]
pub struct SourceClient {
    http: Client,
    roots: PerSource<String>,
}

/// A change that its source has committed.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// When the request went out.
    pub sent: Instant,
    /// The same by the wall clock.
    pub sent_at: Moment,
    /// When the answer's headers were there, which are the acknowledgement.
    pub acked: Instant,
    /// The same by the wall clock.
    pub acked_at: Moment,
    /// The `Consistency-Token` that reflects the change.
    pub token: String,
    /// The trace of the request.
    pub trace_id: String,
    /// The document, if it came.
    pub body: Bytes,
}

/// A source's answer about an account: the fragment of the page that it owns.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// 200 or 404, mostly.
    pub status: StatusCode,
    /// Of which version it is.
    pub version: Option<Version>,
    /// Whether the source claims to publish what it says.
    pub claims: bool,
    /// By how many milliseconds the source is slowed down on purpose.
    pub injected_ms: Option<u64>,
    /// The document.
    pub body: Value,
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

impl ListedAccount {
    /// Whether its name is one that a canary gives: `canary`, the number of its run, and perhaps a count.
    fn is_of_a_canary(&self) -> bool {
        let mut words = self.name.split(' ');
        words.next() == Some("canary")
            && words
                .next()
                .is_some_and(|run| run.len() == 16 && u64::from_str_radix(run, 16).is_ok())
            && words.next().is_none_or(|count| count.parse::<u64>().is_ok())
            && words.next().is_none()
    }
}

/// Why a service did not do what it was asked to: somebody may have broken it on purpose.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer came.
    #[error("{service} {why}")]
    Unanswered {
        /// Who was asked.
        service: &'static str,
        /// What became of the request.
        why: Unanswered,
    },
    /// It answered with another status than 2xx.
    #[error("{service} answered {status}: {words}")]
    Refused {
        /// Who was asked.
        service: &'static str,
        /// The status.
        status: StatusCode,
        /// The type of the problem that it answered with; empty if it gave none.
        problem: String,
        /// What the problem says; empty as well.
        words: String,
    },
}

/// RFC 9457, as far as a person wants to read it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: Option<String>,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
}

#[derive(Deserialize)]
struct FieldProblem {
    field: String,
    detail: String,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
}

#[derive(Deserialize)]
struct Renamed {
    revision: Revision,
}

#[derive(Deserialize)]
struct AccountList {
    accounts: Vec<ListedAccount>,
    /// The last of them, if others follow.
    next: Option<AccountId>,
}

#[derive(Deserialize)]
struct EndpointList {
    endpoints: Vec<Created>,
}

impl Acknowledged {
    /// The version that the change made of an account at its source, with the account's number.
    pub fn version(&self) -> Option<(Source, AccountId, Version)> {
        versions_in_token(&self.token).next()?
    }

    /// The number of what was created, if something was.
    pub fn id(&self) -> Option<u64> {
        let created: Created = serde_json::from_slice(&self.body).ok()?;
        Some(created.id)
    }

    fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("reading {what}"))
    }
}

impl SourceClient {
    /// A client of the sources at these addresses.
    pub fn new(roots: PerSource<String>) -> Self {
        Self::with_patience(roots, PATIENCE)
    }

    /// The same, with a time of its own for each answer.
    pub fn with_patience(roots: PerSource<String>, patience: Duration) -> Self {
        Self {
            http: client(patience),
            roots: roots.map(|root| root.trim_end_matches('/').to_owned()),
        }
    }

    /// Where the sources are.
    pub const fn roots(&self) -> &PerSource<String> {
        &self.roots
    }

    /// Makes a change, and waits until its source has committed it.
    pub async fn change(&self, change: &Change) -> Result<Acknowledged, Failure> {
        let request = change.request(&self.http, &self.roots[change.source]);
        let (sent, sent_at) = (Instant::now(), Moment::now());
        let answer = send(change.source.name(), request).await?;
        let (acked, acked_at) = (Instant::now(), Moment::now());
        Ok(Acknowledged {
            sent,
            sent_at,
            acked,
            acked_at,
            token: header(&answer, "consistency-token").to_owned(),
            trace_id: header(&answer, "trace-id").to_owned(),
            // What is lost of the body is not the change.
            body: answer.bytes().await.unwrap_or_default(),
        })
    }

    /// Asks a source for its fragment of an account's page.
    pub async fn fragment(
        &self,
        source: Source,
        account: AccountId,
        window: Window,
    ) -> Result<Fragment, ReadError> {
        let path = source.fragment_path(account, window);
        let answer = self
            .http
            .get(format!("{}{path}", self.roots[source]))
            .send()
            .await?;
        let injected_ms = injected_ms(header(&answer, "server-timing"))?;
        Ok(Fragment {
            status: answer.status(),
            version: Version::in_tag(header(&answer, "etag")),
            claims: answer.headers().contains_key("feed-claim"),
            injected_ms,
            body: answer.json().await?,
        })
    }

    /// Whether there is no account but those of canaries, which come and go.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self
            .all_accounts()
            .await?
            .iter()
            .all(ListedAccount::is_of_a_canary))
    }

    /// The first accounts, by their numbers.
    pub async fn list_accounts(&self, limit: u16) -> Result<Vec<ListedAccount>> {
        let list: AccountList = self
            .get(Source::Accounts, &format!("/accounts?limit={limit}"))
            .await?;
        Ok(list.accounts)
    }

    /// Fails unless there is such an account.
    pub async fn require_account(&self, account: AccountId) -> Result<()> {
        let _: Value = self
            .get(Source::Accounts, &format!("/accounts/{account}"))
            .await?;
        Ok(())
    }

    /// All accounts, by their numbers.
    pub async fn all_accounts(&self) -> Result<Vec<ListedAccount>> {
        let mut accounts = Vec::new();
        let mut after = Some(0);
        while let Some(last) = after {
            let path = format!("/accounts?limit={MOST_LISTED}&after={last}");
            let list: AccountList = self.get(Source::Accounts, &path).await?;
            accounts.extend(list.accounts);
            after = list.next;
        }
        Ok(accounts)
    }

    /// The numbers of an account's endpoints.
    pub async fn list_endpoints(&self, account: AccountId) -> Result<Vec<EndpointId>> {
        let path = format!("/accounts/{account}/endpoints");
        let list: EndpointList = self.get(Source::Endpoints, &path).await?;
        Ok(list.endpoints.into_iter().map(|endpoint| endpoint.id).collect())
    }

    /// Creates an account; its number.
    pub async fn create_account(&self, name: &str, description: &str) -> Result<AccountId> {
        self.create(&Change::create_account(name, description)).await
    }

    /// Gives an account another name; its new revision.
    pub async fn rename_account(&self, account: AccountId, name: &str) -> Result<Revision> {
        let answer = self.change(&Change::rename_account(account, name)).await?;
        let renamed: Renamed = answer.json("the renamed account")?;
        Ok(renamed.revision)
    }

    /// Deletes an account; the other sources follow.
    pub async fn delete_account(&self, account: AccountId) -> Result<()> {
        self.change(&Change::delete_account(account)).await?;
        Ok(())
    }

    /// Adds an endpoint to an account; its number.
    pub async fn add_endpoint(&self, account: AccountId, name: &str, url: &str) -> Result<EndpointId> {
        self.create(&Change::add_endpoint(account, name, url)).await
    }

    /// Records one batch of samples, at most [`LARGEST_BATCH`] of them.
    pub async fn record(&self, account: AccountId, samples: &[NewSample]) -> Result<()> {
        self.change(&Change::record(account, samples)).await?;
        Ok(())
    }

    async fn create(&self, change: &Change) -> Result<u64> {
        let created: Created = self.change(change).await?.json("what was created")?;
        Ok(created.id)
    }

    async fn get<T: DeserializeOwned>(&self, source: Source, path: &str) -> Result<T> {
        let request = self.http.get(format!("{}{path}", self.roots[source]));
        let answer = send(source.name(), request).await?;
        answer
            .json()
            .await
            .with_context(|| format!("reading {path} of {source}"))
    }
}

/// Sends, and turns every answer that is no success into what the service said.
pub async fn send(service: &'static str, request: RequestBuilder) -> Result<Response, Failure> {
    let answer = request.send().await.map_err(|error| Failure::Unanswered {
        service,
        why: error.into(),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: Problem = answer.json().await.unwrap_or_default();
    Err(Failure::Refused {
        service,
        status,
        problem: problem.r#type.clone(),
        words: problem.words(),
    })
}

impl Failure {
    /// Whether the service answered that the request was wrong.
    pub fn declined(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.is_client_error())
    }
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

/// What a source says of its own slowness; none if it says nothing of it.
fn injected_ms(server_timing: &str) -> Result<Option<u64>, ReadError> {
    let Some(milliseconds) = server_timing.strip_prefix("injected;dur=") else {
        return Ok(None);
    };
    let milliseconds = milliseconds.parse();
    let milliseconds = milliseconds.map_err(|_| ReadError::Nonsense(format!("says {server_timing}")))?;
    Ok(Some(milliseconds))
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}
