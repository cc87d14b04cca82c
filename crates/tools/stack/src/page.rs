//! A client of pages, as any reader is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use reqwest::header::ACCEPT;
use serde::Deserialize;

use crate::http::{Unanswered, client};
use crate::page_head::PageHead;
use crate::{Moment, Preferences, Window};

/// What is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageRequest<'a> {
    /// Whose page.
    pub account: u64,
    /// Which variant of it; the page's own choice without one.
    pub window: Option<Window>,
    /// How long the reader waits, and the like.
    pub preferences: Preferences,
    /// Other headers, such as `cache-strategy`. Without `accept` the page is asked for as JSON.
    pub headers: &'a [(&'a str, &'a str)],
}

/// An answer: a page, or the news that there is none.
#[derive(Clone, Debug)]
pub struct PageAnswer {
    /// 200 or 404.
    pub status: u16,
    /// When the request went out.
    pub sent: Instant,
    /// The same by the wall clock.
    pub sent_at: Moment,
    /// When the whole answer was there.
    pub received: Instant,
    /// The same by the wall clock.
    pub received_at: Moment,
    /// What the headers say.
    pub head: PageHead,
    /// The document; of a 404, the problem.
    pub body: Bytes,
}

/// Why a read brought no page, or not the fragment of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No answer came.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Another status than 200 and 404.
    #[error("answers {0}")]
    Refused(u16),
    /// What came is no such thing: what is wrong with it.
    #[error("{0}")]
    Nonsense(String),
}

/// A client of pages; copies share its connections.
#[derive(Clone, Debug)]
pub struct PageClient {
    http: Client,
}

impl PageClient {
    /// A client that waits so long for an answer.
    pub fn new(patience: Duration) -> Self {
        Self {
            http: client(patience),
        }
    }

    /// Reads one page of the service at `root`, to its last byte.
    pub async fn read(&self, root: &str, wanted: &PageRequest<'_>) -> Result<PageAnswer, ReadError> {
        let root = root.trim_end_matches('/');
        let mut request = self.http.get(format!("{root}/accounts/{}", wanted.account));
        if let Some(window) = wanted.window {
            request = request.query(&[("window", window.name())]);
        }
        if !wanted.headers.iter().any(|(name, _)| ACCEPT == *name) {
            request = request.header(ACCEPT, "application/json");
        }
        for (name, value) in wanted.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in wanted.preferences.headers() {
            request = request.header(name, value);
        }
        let (sent, sent_at) = (Instant::now(), Moment::now());
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let body = response.bytes().await?;
        let (received, received_at) = (Instant::now(), Moment::now());
        if !matches!(status, 200 | 404) {
            return Err(ReadError::Refused(status));
        }
        let head = PageHead::read(&headers, wanted.account);
        Ok(PageAnswer {
            status,
            sent,
            sent_at,
            received,
            received_at,
            head: head.map_err(|what| ReadError::Nonsense(what.to_owned()))?,
            body,
        })
    }
}

impl PageAnswer {
    /// The document, asked for as JSON.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ReadError> {
        let document = serde_json::from_slice(&self.body);
        document.map_err(|error| ReadError::Nonsense(error.to_string()))
    }

    /// From the request to the last byte.
    pub fn took(&self) -> Duration {
        self.received - self.sent
    }
}

impl From<reqwest::Error> for ReadError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unanswered(error.into())
    }
}
