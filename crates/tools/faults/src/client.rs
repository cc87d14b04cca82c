//! Reading pages as any reader does, and taking them apart.

mod parse;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CACHE_CONTROL};
use reqwest::{Client, Response as HttpResponse};

use crate::history::{ReadError, Replica, Response, Source, Version, Window};
use crate::recorder::Lives;
use stack::Moment;

pub use parse::{version_in_tag, versions_in_token};

/// Longer than any pause: an answer that comes late is the more worth checking.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Nobody on this machine takes longer to take a connection, but who stands still.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// What is read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose page.
    pub account: u64,
    /// Which variant.
    pub window: Window,
    /// Whether it must be composed for this read.
    pub afresh: bool,
    /// What it must reflect at least.
    pub token: Option<Token>,
}

/// A version as its source handed it out.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who handed it out.
    pub source: Source,
    /// The version.
    pub version: Version,
    /// The header's value.
    pub text: String,
}

/// An answer, taken apart, and its body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it says.
    pub response: Response,
    /// The page as JSON; of a 404, the problem.
    pub body: Vec<u8>,
}

/// A client of every replica.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    lives: Arc<Lives>,
}

impl Reader {
    /// A client that notes in which life of a replica it was answered.
    pub fn new(lives: Arc<Lives>) -> Self {
        Self {
            client: client(),
            lives,
        }
    }

    /// Reads one page as JSON.
    pub async fn read(&self, replica: Replica, url: &str, wanted: &Wanted) -> Result<Answer, ReadError> {
        let address = format!(
            "{url}/accounts/{}?window={}",
            wanted.account,
            wanted.window.name()
        );
        let mut request = self
            .client
            .get(address)
            .header(ACCEPT, "application/json")
            .timeout(READ_WITHIN);
        if wanted.afresh {
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        if let Some(token) = &wanted.token {
            request = request.header(parse::CONSISTENCY_TOKEN, &token.text);
        }
        let (sent_at, life) = (Moment::now(), self.lives.of(replica));
        let (head, body) = whole(request.send().await?).await?;
        let received_at = Moment::now();
        let life = Lives::between(life, self.lives.of(replica));
        let mut response = parse::response(&head, &body, wanted).map_err(ReadError::Nonsense)?;
        (response.replica, response.life) = (replica, life);
        (response.sent_at, response.received_at) = (sent_at, received_at);
        Ok(Answer { response, body })
    }
}

/// A client for everyone here: no proxy, and no patience with connections.
///
/// # Panics
/// Never in practice: without TLS there is nothing that can fail.
pub fn client() -> Client {
    Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .expect("a client without TLS can always be made")
}

async fn whole(response: HttpResponse) -> Result<(parse::Head, Vec<u8>), ReadError> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await?.to_vec();
    match status {
        200 | 404 => Ok((parse::Head { status, headers }, body)),
        status => Err(ReadError::Refused(status)),
    }
}

impl From<reqwest::Error> for ReadError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Unreachable
        } else {
            Self::Broken
        }
    }
}
