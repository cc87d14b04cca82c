//! One source, asked within bounds: how many requests it gets at once, how long one may take, how much it may bring.
//!
//! What breaks a bound costs the source's fragment of the page, never the page.

mod error;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use bytes::{Bytes, BytesMut};
use fresh_cache::{Claim, Fetched, Fragment as CachedFragment};
use reqwest::{RequestBuilder, Response, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

pub(crate) use self::error::UpstreamError;
use crate::fragment::{Fragment, Life};
use crate::headers::{elements, number};
use crate::key::PageKey;
use crate::source::Source;
use crate::tag::Tag;

/// States which publisher's watermarks vouch for an answer.
const FEED_CLAIM: HeaderName = HeaderName::from_static("feed-claim");
/// States whose endpoints or metrics an answer has.
const ACCOUNT_LIFE: HeaderName = HeaderName::from_static("account-life");
/// States for how many seconds an answer holds unless something changes: metrics', until its window ends.
const VALID_FOR: HeaderName = HeaderName::from_static("valid-for");
/// How long a source that let a deadline pass is not called, from the start of the request that found out.
const BACKOFF: Duration = Duration::from_secs(1);

/// Where a source is, and what it may cost.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamOptions {
    /// The root of its routes.
    pub(crate) url: Url,
    /// How long one answer may take.
    pub(crate) deadline: Duration,
    /// How many requests may be under way at once.
    pub(crate) concurrency: usize,
    /// How many more may wait for their turn.
    pub(crate) waiting: usize,
    /// How long one may wait for its turn, before its own deadline begins, if it is for a reader who has nothing to see
    /// without it. Who has something waits as long as an answer may take.
    pub(crate) turn_within: Duration,
    /// The longest answer that is read, in bytes.
    pub(crate) body_limit: usize,
}

/// One source and its bounds.
#[derive(Debug)]
pub(crate) struct Upstream {
    source: Source,
    options: UpstreamOptions,
    permits: Arc<Semaphore>,
    /// A place for each request that waits for a permit: a queue without an end would be an outage of its own.
    places: Semaphore,
    /// Whether the last request failed: an outage is logged when it begins and when it ends, not per request.
    failing: AtomicBool,
    liveness: Mutex<Liveness>,
}

/// Whether the source answers.
#[derive(Debug, Default)]
struct Liveness {
    /// When it last answered, whatever it said.
    answered: Option<Instant>,
    /// The start of the last request whose deadline it let pass, if it answered nothing in that time, nor since.
    let_pass: Option<Instant>,
}

/// Whether a source may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// As far as is known it answers.
    Given,
    /// Its backoff is over, and this request finds out how it is.
    ToProbe,
}

impl Upstream {
    /// Knows the source; asks it nothing yet.
    pub(crate) fn new(source: Source, options: UpstreamOptions) -> Self {
        let permits = Arc::new(Semaphore::new(options.concurrency));
        let places = Semaphore::new(options.waiting);
        Self {
            source,
            options,
            permits,
            places,
            failing: AtomicBool::new(false),
            liveness: Mutex::default(),
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

    /// How many requests to it wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.options
            .waiting
            .saturating_sub(self.places.available_permits())
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

    /// Waits for a turn, first come, first served; `shows` is whether the reader has something to see without it.
    ///
    /// A source that has just let a deadline pass is not called for a while: its readers get what is known at once, instead of
    /// waiting for it one by one. So do those who wait for their turn by then.
    pub(crate) async fn admit(&self, shows: bool) -> Result<OwnedSemaphorePermit, UpstreamError> {
        let leave = self.ask_leave()?;
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let permit = self.wait_for_turn(shows).await?;
        if leave == Leave::Given {
            self.ask_leave()?;
        }
        Ok(permit)
    }

    async fn wait_for_turn(&self, shows: bool) -> Result<OwnedSemaphorePermit, UpstreamError> {
        let UpstreamOptions {
            concurrency,
            waiting,
            turn_within,
            deadline,
            ..
        } = self.options;
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| UpstreamError::Busy { waiting })?;
        let within = if shows {
            deadline.min(turn_within)
        } else {
            turn_within
        };
        let turn = timeout(within, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = turn.map_err(|_| UpstreamError::NoTurn { concurrency, within })?;
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
        http_edge::send(client, request, span_name)
            .await
            .map_err(|error| self.transport(&error))
    }

    /// Whether the source may be called now. When its backoff is over, the request that learns so probes the source, and for the
    /// others a new backoff begins: they wait for what the probe finds.
    fn ask_leave(&self) -> Result<Leave, UpstreamError> {
        let mut liveness = self.liveness();
        match liveness.let_pass {
            None => Ok(Leave::Given),
            Some(at) if at.elapsed() < BACKOFF => Err(UpstreamError::BackingOff {
                deadline: self.options.deadline,
            }),
            Some(_) => {
                liveness.let_pass = Some(Instant::now());
                Ok(Leave::ToProbe)
            }
        }
    }

    /// Learns from what came of a request that began then whether the source answers.
    fn observe(&self, began: Instant, error: Option<&UpstreamError>) {
        let mut liveness = self.liveness();
        match error {
            Some(UpstreamError::TooSlow { .. }) => {
                // A source that answers others in that time is slow, and not gone: a crowd would take one late answer for an outage.
                if liveness.answered.is_none_or(|answered| answered <= began) {
                    // Counted from the request's start: what it waited counts for the backoff.
                    liveness.let_pass = Some(began);
                }
            }
            Some(UpstreamError::Unreachable | UpstreamError::Broken) => {}
            _ => {
                liveness.answered = Some(Instant::now());
                liveness.let_pass = None;
            }
        }
    }

    fn liveness(&self) -> MutexGuard<'_, Liveness> {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a fragment of an answer.
    pub(crate) async fn take(
        &self,
        key: &PageKey,
        known: Option<&CachedFragment<Arc<Fragment>>>,
        response: Response,
    ) -> Result<Fetched<Arc<Fragment>>, UpstreamError> {
        let status = response.status();
        let valid_for = valid_for(response.headers());
        let claim = claim(response.headers());
        let life = life(response.headers());
        if let Some(known) = known.filter(|_| status == StatusCode::NOT_MODIFIED) {
            return Ok(match life {
                // Whose it is may become known without a new version.
                Some(_) if self.source != Source::Accounts && life != known.body.life => Fetched::New {
                    version: known.version,
                    claim,
                    body: Arc::new(Fragment {
                        life,
                        ..Fragment::clone(&known.body)
                    }),
                    valid_for,
                },
                _ => Fetched::NotModified { claim, valid_for },
            });
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
                Fragment::parse(source, key, tag, life, self.read(response).await?)?
            }
            _ => return Err(UpstreamError::Unexpected { status }),
        };
        Ok(Fetched::New {
            version: body.tag.version,
            claim,
            body: Arc::new(body),
            valid_for,
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
            UpstreamError::TooSlow {
                deadline: self.options.deadline,
            }
        } else if error.is_connect() {
            UpstreamError::Unreachable
        } else {
            UpstreamError::Broken
        }
    }

    /// Takes note of what came of a request that began then, and logs when the source begins and ceases to fail.
    pub(crate) fn note<T>(
        &self,
        began: Instant,
        result: Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        self.observe(began, result.as_ref().err());
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
    Some(Claim(claim.parse::<event_bus::Claim>().ok()?.0))
}

/// Of which account an answer tells, among those that ever had its id.
fn life(headers: &header::HeaderMap) -> Option<Life> {
    Life::parse(headers.get(ACCOUNT_LIFE)?.to_str().ok()?)
}

/// How long an answer holds by itself, in seconds.
fn valid_for(headers: &header::HeaderMap) -> Option<Duration> {
    let Some(seconds) = headers.get(VALID_FOR) else {
        return max_age(headers);
    };
    let seconds = seconds.to_str().ok().and_then(|text| text.parse().ok());
    // What cannot be read does not hold for ever.
    Some(Duration::from_secs(seconds.unwrap_or(0)))
}

/// The same as a metrics service of before says it, which is upgraded after the pages: `max-age` of `Cache-Control`.
fn max_age(headers: &header::HeaderMap) -> Option<Duration> {
    let mut elements = elements(headers, header::CACHE_CONTROL);
    let (_, seconds) = elements.find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    number(seconds).map(|seconds| Duration::from_secs(seconds.into()))
}
