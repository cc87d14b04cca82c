//! One source, asked within bounds: how many requests it gets at once, how long one may take, how much it may bring.
//!
//! What breaks a bound costs the source's part of the page, never the page.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use bytes::{Bytes, BytesMut};
use fresh_cache::{Claim, Fetched};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use crate::fragment::{Fragment, FragmentError};
use crate::key::PageKey;
use crate::source::Source;
use crate::tag::{NotATag, Tag, hexadecimal};

/// States which publisher's watermarks vouch for an answer.
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
/// How long a request may wait for its turn, before its own deadline begins.
const TURN_WITHIN: Duration = Duration::from_millis(100);
/// How long a source that let a deadline pass is left alone, from the start of the request that found out.
const REST: Duration = Duration::from_secs(1);

/// Where a source is, and what it may cost.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamOptions {
    /// The root of its routes.
    pub(crate) url: Url,
    /// How long one answer may take.
    pub(crate) deadline: Duration,
    /// How many requests may be under way at once.
    pub(crate) concurrency: usize,
    /// The longest answer that is read, in bytes.
    pub(crate) body_limit: usize,
}

/// One source and its bounds.
#[derive(Debug)]
pub(crate) struct Upstream {
    source: Source,
    options: UpstreamOptions,
    permits: Arc<Semaphore>,
    /// Whether the last request failed: an outage is logged when it begins and when it ends, not per request.
    failing: AtomicBool,
    /// The start of the last request whose deadline it let pass, if it has not answered since.
    last_timeout: Mutex<Option<Instant>>,
}

impl Upstream {
    /// Knows the source; asks it nothing yet.
    pub(crate) fn new(source: Source, options: UpstreamOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.concurrency));
        Self {
            source,
            options,
            permits,
            failing: AtomicBool::new(false),
            last_timeout: Mutex::new(None),
        }
    }

    /// Which one it is.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// How many requests to it are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.options
            .concurrency
            .saturating_sub(self.permits.available_permits())
    }

    /// The address of one of its routes.
    pub(crate) fn address(&self, path: &str) -> Url {
        let mut url = self.options.url.clone();
        url.path_segments_mut()
            .expect("http addresses have paths")
            .pop_if_empty()
            .extend(path.split('/'));
        url
    }

    /// Waits a little for a turn: a queue without an end would be an outage of its own. A source that has just let a
    /// deadline pass is given a rest: its readers get what is known at once, instead of waiting for it one by one.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if !self.may_be_asked() {
            return Err(UpstreamError::Resting {
                deadline: self.options.deadline,
            });
        }
        let permit = timeout(TURN_WITHIN, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| UpstreamError::Busy {
            concurrency: self.options.concurrency,
        })?;
        Ok(permit.expect("nobody closes the semaphore"))
    }

    /// Sends the request in a span; the deadline counts from here to the last byte of the answer.
    pub(crate) async fn send(
        &self,
        client: &reqwest::Client,
        request: RequestBuilder,
        span_name: &'static str,
    ) -> Result<Response, UpstreamError> {
        let request = request.timeout(self.options.deadline);
        let response = http_edge::send(client, request, span_name)
            .await
            .map_err(|error| self.transport(&error))?;
        *self.last_timeout() = None;
        Ok(response)
    }

    /// Whether the source is not left alone for now. When its rest is over, the request that learns so finds out how it is,
    /// and for the others a rest begins anew: they wait for what that one finds.
    fn may_be_asked(&self) -> bool {
        let mut last = self.last_timeout();
        let resting = last.is_some_and(|at| at.elapsed() < REST);
        if !resting && last.is_some() {
            *last = Some(Instant::now());
        }
        !resting
    }

    fn last_timeout(&self) -> MutexGuard<'_, Option<Instant>> {
        self.last_timeout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a part of an answer.
    pub(crate) async fn take(
        &self,
        key: &PageKey,
        asked: bool,
        response: Response,
    ) -> Result<Fetched<Arc<Fragment>>, UpstreamError> {
        let status = response.status();
        let holds_for = max_age(response.headers());
        let claim = claim(response.headers());
        if asked && status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified { claim, holds_for });
        }
        let tag = response
            .headers()
            .get(header::ETAG)
            .and_then(|tag| tag.to_str().ok())
            .map(str::to_owned);
        let body = match (self.source, status, tag) {
            (Source::Accounts, StatusCode::NOT_FOUND, Some(tag)) => Fragment::no_account(Tag::parse(&tag)?),
            (source, StatusCode::OK, tag) => {
                let tag = Tag::parse(&tag.unwrap_or_default())?;
                Fragment::parse(source, key, tag, self.read(response).await?)?
            }
            _ => return Err(UpstreamError::Unexpected { status }),
        };
        Ok(Fetched::New {
            version: body.tag.version,
            claim,
            body: Arc::new(body),
            holds_for,
        })
    }

    /// Reads the body, and stops where it becomes too long.
    pub(crate) async fn read(&self, mut response: Response) -> Result<Bytes, UpstreamError> {
        let limit = self.options.body_limit;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(&error))? {
            if body.len() + chunk.len() > limit {
                return Err(UpstreamError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The kind alone: the library's own words name addresses, which are not for readers of pages.
    fn transport(&self, error: &reqwest::Error) -> UpstreamError {
        tracing::debug!(
            source = self.source.name(),
            error = error as &dyn std::error::Error,
            "no answer"
        );
        if error.is_timeout() {
            // Counted from the request's start: what it waited is a part of the rest.
            *self.last_timeout() = Instant::now().checked_sub(self.options.deadline);
            UpstreamError::TooSlow {
                deadline: self.options.deadline,
            }
        } else if error.is_connect() {
            UpstreamError::Unreachable
        } else {
            UpstreamError::Broken
        }
    }

    /// Logs when the source begins and ceases to fail.
    pub(crate) fn note<T>(&self, result: Result<T, UpstreamError>) -> Result<T, UpstreamError> {
        let failing = result.is_err();
        // Relaxed: two requests that race here log in either order, and nothing else hangs on it.
        let before = self.failing.swap(failing, Ordering::Relaxed);
        match &result {
            Err(error) if !before => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    source = self.source.name(),
                    error,
                    "a source does not answer as it should"
                );
            }
            Ok(_) if before => tracing::info!(source = self.source.name(), "a source answers again"),
            _ => {}
        }
        result
    }
}

/// Whose watermarks vouch for an answer. What is no claim is nobody's: then the source is asked every second.
fn claim(headers: &header::HeaderMap) -> Option<Claim> {
    let claim = headers.get(FEED_CLAIM)?.to_str().ok()?;
    Some(Claim(hexadecimal(claim, 16)?.try_into().ok()?))
}

/// How long an answer holds by itself: `max-age` of `Cache-Control`, in seconds.
fn max_age(headers: &header::HeaderMap) -> Option<Duration> {
    let lines = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let seconds = lines
        .flat_map(|line| line.split(','))
        .find_map(|word| word.trim().strip_prefix("max-age="));
    seconds?.parse().ok().map(Duration::from_secs)
}

/// Why a source did not give its part, in words that follow its name: "metrics did not answer within 900 ms".
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// Nobody listens.
    #[error("cannot be reached")]
    Unreachable,
    /// The deadline passed.
    #[error("did not answer within {} ms", deadline.as_millis())]
    TooSlow {
        /// How long was waited.
        deadline: Duration,
    },
    /// A deadline passed a moment ago, and it is left alone since.
    #[error("is left alone for a moment, because it did not answer within {} ms", deadline.as_millis())]
    Resting {
        /// How long was waited then.
        deadline: Duration,
    },
    /// Too many requests wait for it already.
    #[error("is busy with {concurrency} requests of ours")]
    Busy {
        /// How many are under way.
        concurrency: usize,
    },
    /// The connection broke while the answer came.
    #[error("did not finish its answer")]
    Broken,
    /// The answer's status is none of those agreed on.
    #[error("answered {status}")]
    Unexpected {
        /// What it was.
        status: StatusCode,
    },
    /// The answer is longer than is read.
    #[error("answered more than {limit} bytes")]
    TooLarge {
        /// Where reading stopped.
        limit: usize,
    },
    /// The answer was not understood.
    #[error("was not understood")]
    Nonsense(#[from] FragmentError),
}

impl From<NotATag> for UpstreamError {
    fn from(error: NotATag) -> Self {
        Self::Nonsense(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        let mut headers = header::HeaderMap::new();
        assert_eq!(max_age(&headers), None);
        headers.insert(header::CACHE_CONTROL, "private, max-age=42".parse().unwrap());
        assert_eq!(max_age(&headers), Some(Duration::from_secs(42)));
        headers.insert(header::CACHE_CONTROL, "s-maxage=42, max-age=-1".parse().unwrap());
        assert_eq!(max_age(&headers), None);
    }

    fn upstream(root: &str, concurrency: usize) -> Upstream {
        let options = UpstreamOptions {
            url: root.parse().unwrap(),
            deadline: Duration::from_millis(20),
            concurrency,
            body_limit: 1,
        };
        Upstream::new(Source::Accounts, options)
    }

    #[tokio::test]
    async fn who_finds_no_place_within_the_deadline_is_sent_away() {
        let upstream = upstream("http://h:1/", 2);
        let (one, _two) = (upstream.admit().await.unwrap(), upstream.admit().await.unwrap());
        assert!(matches!(
            upstream.admit().await,
            Err(UpstreamError::Busy { concurrency: 2 })
        ));
        drop(one);
        assert!(upstream.admit().await.is_ok());
    }

    #[test]
    fn an_address_keeps_the_path_of_its_root() {
        for root in ["http://h:1/accounts-service", "http://h:1/accounts-service/"] {
            let upstream = upstream(root, 1);
            assert_eq!(
                upstream.address("accounts/7").as_str(),
                "http://h:1/accounts-service/accounts/7"
            );
        }
    }
}
