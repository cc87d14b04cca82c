//! Reading pages and changing what they show, as any client does, and noting when.

mod change;
mod parse;

use std::fmt;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, Url};

use crate::source::Source;
use crate::strategy::Strategy;

pub use change::Change;
pub use parse::{Outcome, Requests, Version, Versions};

/// Whoever waits longer than that for an answer gives up: far beyond any budget, so that slowness shows as latency.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Reads are not traced: thousands of them would crowd out of a viewer what somebody looks for. The flags at the end say so.
const UNTRACED: &str = "00-10ad0000000000000000000000000001-10ad000000000001-00";

/// Where the services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The root of the page service.
    pub page: Url,
    /// The root of the accounts service.
    pub accounts: Url,
    /// The root of the endpoints service.
    pub endpoints: Url,
    /// The root of the metrics service.
    pub metrics: Url,
}

/// An account that is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number, given by the accounts service.
    pub id: u64,
    /// Its endpoints' numbers, given by the endpoints service.
    pub endpoints: Vec<u64>,
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
    /// The versions shown.
    pub versions: Versions,
    /// Up to when the page says to be complete.
    pub fresh_as_of: Timestamp,
    /// How the cache came by it.
    pub outcome: Outcome,
    /// Whether it shares another reader's composition.
    pub collapsed: bool,
    /// Whether it says that a part of it is stale or missing.
    pub marked: bool,
    /// Requests to the sources that were made for it, as it says.
    pub requests: Requests,
    /// How long the body is, in bytes.
    pub length: usize,
}

/// A change that its source has committed.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// Who committed it.
    pub source: Source,
    /// Whose data changed.
    pub account: u64,
    /// The version that it made.
    pub version: Version,
    /// When the request went out.
    pub sent: Instant,
    /// When the answer was here.
    pub at: Instant,
    /// The same, by the clock that `Fresh-As-Of` is read from.
    pub wall: Timestamp,
}

/// Why a request brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came in time.
    Timeout,
    /// No connection, or it broke.
    Connection,
    /// Another status than 2xx.
    Status(u16),
    /// What came is not what was asked for: what is wrong with it.
    Nonsense(&'static str),
}

impl fmt::Display for Failure {
    /// One of few texts: failures are counted by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Connection => f.write_str("connection"),
            Self::Status(status) => status.fmt(f),
            Self::Nonsense(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Connection
        }
    }
}

/// One client of the page and of the three sources; copies share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    addresses: Addresses,
}

impl Client {
    /// A client without a proxy, that keeps every connection it once needed.
    ///
    /// # Panics
    /// Never in practice: without TLS there is nothing that can fail.
    pub fn new(addresses: Addresses) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(ANSWER_WITHIN)
            .pool_idle_timeout(None)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Self {
            http: http.expect("a client without TLS can always be made"),
            addresses,
        }
    }

    /// The client below, for what is no load: furnishing, scraping.
    pub const fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Where the services are.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads an account's page as a browser does, to its last byte, by a strategy or by the page's own.
    pub async fn read(&self, account: u64, strategy: Option<Strategy>) -> Result<Answer, Failure> {
        let address = address(&self.addresses.page, &["accounts", &account.to_string()]);
        let mut request = Request::new(Method::GET, address);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
        headers.insert("traceparent", HeaderValue::from_static(UNTRACED));
        if let Some(strategy) = strategy {
            headers.insert("cache-strategy", HeaderValue::from_static(strategy.name()));
        }
        let sent = Instant::now();
        let (head, length) = whole(self.http.execute(request).await?).await?;
        let ended = Instant::now();
        let said = parse::page(&head, account).map_err(Failure::Nonsense)?;
        Ok(Answer {
            account,
            sent,
            ended,
            versions: said.versions,
            fresh_as_of: said.fresh_as_of,
            outcome: said.outcome,
            collapsed: said.collapsed,
            marked: said.marked,
            requests: said.requests,
            length,
        })
    }

    /// Makes a change, and waits until its source has committed it.
    pub async fn change(&self, change: &Change) -> Result<Acknowledged, Failure> {
        let (source, account) = (change.source(), change.account());
        let (method, path, body) = change.request();
        let request = self
            .http
            .request(method, address(self.root(source), &path))
            .json(&body);
        let sent = Instant::now();
        let (head, _) = whole(request.send().await?).await?;
        // The wall clock second: an acknowledgement that is dated too late accuses nobody of lying.
        let (at, wall) = (Instant::now(), Timestamp::now());
        Ok(Acknowledged {
            source,
            account,
            version: parse::mutation(&head, source, account).map_err(Failure::Nonsense)?,
            sent,
            at,
            wall,
        })
    }

    const fn root(&self, source: Source) -> &Url {
        match source {
            Source::Accounts => &self.addresses.accounts,
            Source::Endpoints => &self.addresses.endpoints,
            Source::Metrics => &self.addresses.metrics,
        }
    }
}

fn address(root: &Url, path: &[impl AsRef<str>]) -> Url {
    let mut url = root.clone();
    url.path_segments_mut()
        .expect("http addresses have paths")
        .pop_if_empty()
        .extend(path);
    url
}

/// Reads the body to its end, and keeps its length alone.
async fn whole(mut response: Response) -> Result<(HeaderMap, usize), Failure> {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut length = 0;
    while let Some(chunk) = response.chunk().await? {
        length += chunk.len();
    }
    if status.is_success() {
        Ok((headers, length))
    } else {
        Err(Failure::Status(status.as_u16()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_path_of_their_root() {
        for root in ["http://127.0.0.1:1/base", "http://127.0.0.1:1/base/"] {
            let url = address(&root.parse().unwrap(), &["accounts", "7"]);
            assert_eq!(url.as_str(), "http://127.0.0.1:1/base/accounts/7");
        }
    }
}
