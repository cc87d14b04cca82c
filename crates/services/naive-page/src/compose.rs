//! A page, made of three requests.

use std::time::Duration;

use axum::http::HeaderName;
use futures::try_join;
use reqwest::{Client, Response, StatusCode, header};
use serde_json::value::RawValue;

use crate::{ComposeError, Config};

/// How long a source may take to answer.
const DEADLINE: Duration = Duration::from_millis(900);
/// For how many seconds metrics holds: until its window ends.
const VALID_FOR: HeaderName = HeaderName::from_static("valid-for");
/// For how long a page is kept at most: the safety net under the events.
const KEPT_AT_MOST: Duration = Duration::from_mins(1);

/// A composed page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) json: String,
    /// What is shown, as a `Consistency-Token`.
    pub(crate) versions: String,
    pub(crate) holds_for: Duration,
}

/// The three sources.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) client: Client,
    pub(crate) config: Config,
}

struct Fragment {
    json: Box<RawValue>,
    version: String,
    valid_for: Option<Duration>,
}

impl Sources {
    /// Asks all three at once.
    pub(crate) async fn compose(&self, account: u64, window: &str) -> Result<Page, ComposeError> {
        let Config {
            accounts_url,
            endpoints_url,
            metrics_url,
            ..
        } = &self.config;
        let (accounts, endpoints, metrics) = try_join!(
            self.ask(format!("{accounts_url}accounts/{account}"), "GET /accounts/{id}"),
            self.ask(
                format!("{endpoints_url}accounts/{account}/endpoints"),
                "GET /accounts/{id}/endpoints"
            ),
            self.ask(
                format!("{metrics_url}accounts/{account}/metrics?window={window}"),
                "GET /accounts/{id}/metrics"
            ),
        )?;
        Ok(Page {
            json: format!(
                r#"{{"account":{},"endpoints":{},"metrics":{},"missing":[],"stale":[]}}"#,
                accounts.json, endpoints.json, metrics.json
            ),
            versions: format!(
                "accounts/{account}/{}, endpoints/{account}/{}, metrics/{account}/{}",
                accounts.version, endpoints.version, metrics.version
            ),
            holds_for: metrics
                .valid_for
                .map_or(KEPT_AT_MOST, |time| time.min(KEPT_AT_MOST)),
        })
    }

    async fn ask(&self, url: String, span_name: &'static str) -> Result<Fragment, ComposeError> {
        let request = self.client.get(url).timeout(DEADLINE);
        let response = http_edge::send(&self.client, request, span_name).await?;
        match response.status() {
            StatusCode::OK => Fragment::read(response).await,
            StatusCode::NOT_FOUND => Err(ComposeError::NoSuchAccount),
            status => Err(ComposeError::Unexpected(status)),
        }
    }
}

impl Fragment {
    async fn read(response: Response) -> Result<Self, ComposeError> {
        let header = |name| response.headers().get(name)?.to_str().ok();
        // `"<incarnation>-<revision>-<nonce>-v<form>"`, and for metrics the end of the window behind it.
        let mut tag = header(header::ETAG)
            .unwrap_or_default()
            .trim_matches('"')
            .split('-');
        let (Some(incarnation), Some(revision), Some(nonce)) = (tag.next(), tag.next(), tag.next()) else {
            return Err(ComposeError::NoVersion);
        };
        let version = format!("{incarnation}={revision}-{nonce}");
        let valid_for = header(VALID_FOR)
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        let json = response.json().await?;
        Ok(Self {
            json,
            version,
            valid_for,
        })
    }
}
