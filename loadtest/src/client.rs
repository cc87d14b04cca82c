//! Reading pages and changing what they show, as any client does: with what a load is counted by.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use stack::data::State;
use stack::http::Unanswered;
use stack::sources::{self, Acknowledged, Change, NewSample, SourceClient};
use stack::{
    Asked, Moment, Outcome, PageAnswer, PageClient, PageRequest, PerSource, Preferences, ReadError, Source,
    Version,
};

use crate::strategy::Strategy;

/// Whoever waits longer than that for an answer gives up: far beyond any budget, so that slowness shows as latency.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Reads are not traced: thousands of them would crowd out of a viewer what somebody looks for. The flags at the end say so.
const UNTRACED: &str = "00-10ad0000000000000000000000000001-10ad000000000001-00";

/// The name of the page service, and of its program.
pub const PAGE: &str = "page";

/// Where the services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The root of the page service.
    pub page: String,
    /// The root of each source.
    pub sources: PerSource<String>,
}

impl Addresses {
    /// Each service's name and root, the page first.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let sources = self.sources.iter();
        let sources = sources.map(|(source, root)| (source.name(), root.as_str()));
        std::iter::once((PAGE, self.page.as_str())).chain(sources)
    }
}

/// An account that is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number, given by the accounts service.
    pub id: u64,
    /// Its endpoints' numbers, given by the endpoints service.
    pub endpoints: Vec<u64>,
}

/// How a page is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// By which strategy; none: by the page's own.
    pub strategy: Option<Strategy>,
    /// How long the reader waits for a load, and how old the page may be.
    pub preferences: Preferences,
}

impl From<Strategy> for Reading {
    fn from(strategy: Strategy) -> Self {
        Self {
            strategy: Some(strategy),
            ..Self::default()
        }
    }
}

/// A page that came, without its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Whose page.
    pub account: u64,
    /// When the request went out.
    pub sent: Instant,
    /// When the last byte was here.
    pub ended: Instant,
    /// The versions shown; none of a fragment that is missing.
    pub versions: PerSource<Option<Version>>,
    /// Up to when the page says to be complete.
    pub fresh_as_of: Moment,
    /// How much older that is than the request; zero if it is later.
    pub age_when_sent: Duration,
    /// How old the answer was when its last byte was here.
    pub age: Duration,
    /// How the cache came by it.
    pub outcome: Outcome,
    /// Whether it shares another reader's composition.
    pub collapsed: bool,
    /// Whether it says that a fragment of it is stale or missing.
    pub marked: bool,
    /// Requests to the sources that were made for it, as it says.
    pub requests: Asked,
}

/// A change that its source has committed.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Who committed it.
    pub source: Source,
    /// Whose data changed.
    pub account: u64,
    /// The version that it made.
    pub version: Version,
    /// When the answer was here.
    pub acked: Instant,
    /// The same, by the clock that `Fresh-As-Of` is read from.
    pub acked_at: Moment,
}

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came in time.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// Another status than 2xx.
    Status(u16),
    /// Anything else, such as an answer that is not what was asked for.
    Other(String),
}

impl fmt::Display for Failure {
    /// One of few texts: failures are counted by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Connection => f.write_str("connection"),
            Self::Status(status) => status.fmt(f),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Timeout => Self::Timeout,
            Unanswered::Unreachable | Unanswered::Broken => Self::Connection,
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unanswered(unanswered) => unanswered.into(),
            ReadError::Refused(status) => Self::Status(status),
            ReadError::Nonsense(what) => Self::Other(what),
        }
    }
}

impl From<sources::Failure> for Failure {
    fn from(failure: sources::Failure) -> Self {
        match failure {
            sources::Failure::Unanswered { why, .. } => why.into(),
            sources::Failure::Refused { status, .. } => Self::Status(status.as_u16()),
        }
    }
}

/// One client of the page and of the sources; copies share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    pages: PageClient,
    page: String,
    sources: SourceClient,
}

impl Client {
    /// A client of these services.
    pub fn new(addresses: Addresses) -> Self {
        Self {
            pages: PageClient::new(ANSWER_WITHIN),
            page: addresses.page,
            sources: SourceClient::with_patience(addresses.sources, ANSWER_WITHIN),
        }
    }

    /// Reads an account's page as a browser does, to its last byte.
    pub async fn read(&self, account: u64, reading: Reading) -> Result<Answer, Failure> {
        let headers = [
            ("accept", "text/html"),
            ("traceparent", UNTRACED),
            ("cache-strategy", reading.strategy.map_or("", Strategy::name)),
        ];
        let request = PageRequest {
            account,
            window: None,
            preferences: reading.preferences,
            headers: &headers[..2 + usize::from(reading.strategy.is_some())],
        };
        Answer::new(account, &self.pages.read(&self.page, &request).await?)
    }

    /// Makes a change, and waits until its source has committed it.
    pub async fn change(&self, change: &Change) -> Result<Write, Failure> {
        Write::new(change, &self.sources.change(change).await?)
    }
}

impl Answer {
    /// Takes from an answer what a load is counted by; or says what it lacks.
    fn new(account: u64, page: &PageAnswer) -> Result<Self, Failure> {
        let lacks = |what: &str| Failure::Other(what.to_owned());
        let head = &page.head;
        if page.status != StatusCode::OK {
            return Err(Failure::Status(page.status));
        }
        let marked = !head.unmarked();
        if !marked && head.versions.values().any(Option::is_none) {
            return Err(lacks("an unmarked page without one of its versions"));
        }
        let fresh_as_of = head.fresh_as_of.ok_or_else(|| lacks("no Fresh-As-Of"))?;
        Ok(Self {
            account,
            sent: page.sent,
            ended: page.received,
            versions: head.versions,
            fresh_as_of,
            age_when_sent: page.sent_at.since(fresh_as_of),
            age: page.received_at.since(fresh_as_of),
            outcome: head.outcome.ok_or_else(|| lacks("no Cache-Status"))?,
            collapsed: head.collapsed,
            marked,
            // Those of a shared composition are named in the answer to the reader who began it, too.
            requests: if head.collapsed {
                Asked::default()
            } else {
                head.asked
            },
        })
    }
}

impl Write {
    fn new(change: &Change, acknowledged: &Acknowledged) -> Result<Self, Failure> {
        let made = acknowledged.version();
        let made =
            made.filter(|(source, account, _)| (*source, Some(*account)) == (change.source, change.account));
        let (source, account, version) =
            made.ok_or_else(|| Failure::Other("no Consistency-Token of the change".to_owned()))?;
        Ok(Self {
            source,
            account,
            version,
            acked: acknowledged.acked,
            acked_at: acknowledged.acked_at,
        })
    }
}

/// Some change of an account at a source, its `number`th: what it says is different each time.
///
/// An account without endpoints has but itself to change.
pub fn change(source: Source, account: &Account, number: u64) -> Change {
    let turn = usize::try_from(number).unwrap_or_default() % account.endpoints.len().max(1);
    let endpoint = account.endpoints.get(turn).copied();
    match (source, endpoint) {
        (Source::Endpoints, Some(endpoint)) => {
            Change::rename_endpoint(account.id, endpoint, &format!("endpoint, change {number}"))
        }
        (Source::Metrics, Some(endpoint)) => {
            let sample = NewSample {
                endpoint_id: endpoint,
                at: None,
                state: State::Up,
                status_code: 200,
                response_ms: u32::try_from(number % 500).unwrap_or_default(),
            };
            Change::record(account.id, &[sample])
        }
        // By its beginning, the lab finds what a load test left behind.
        _ => Change::describe_account(account.id, &format!("Of a load test: change {number}.")),
    }
}

#[cfg(test)]
mod tests;
