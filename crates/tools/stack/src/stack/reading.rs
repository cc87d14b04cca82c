//! What a reader of the stack sees: its pages, and what the services count.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;

use super::Stack;
use crate::sources::AccountId;
use crate::{Process, Samples, Source, Window};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// A page as a reader got it.
#[derive(Debug)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// How it was served.
    pub cache_status: String,
    /// Up to when it is complete.
    pub fresh_as_of: String,
    /// The versions that it shows.
    pub token: String,
    /// Its validator.
    pub etag: String,
    /// The trace of the request.
    pub trace_id: String,
    /// The document.
    pub body: Value,
}

impl Stack {
    /// Reads a page as JSON.
    ///
    /// # Panics
    /// When the page service does not answer.
    pub async fn page(&self, replica: usize, account: AccountId) -> Page {
        self.page_with(replica, account, Window::Day, &[]).await
    }

    /// Reads the page of a window, with further headers.
    ///
    /// # Panics
    /// When the page service does not answer.
    pub async fn page_with(
        &self,
        replica: usize,
        account: AccountId,
        window: Window,
        headers: &[(&str, &str)],
    ) -> Page {
        let url = self.pages[replica].url(&format!("/accounts/{account}?window={}", window.name()));
        let request = self
            .request(Method::GET, url)
            .header("accept", "application/json");
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        Page::read(request.send().await.expect("the page service answers")).await
    }

    /// Reads until the page comes from the cache: the events of what was just created may still be on their way.
    pub async fn cached_page(&self, replica: usize, account: AccountId) -> Page {
        crate::eventually(LONG, async || {
            let page = self.page(replica, account).await;
            if page.cache_status.starts_with("page; hit") {
                Ok(page)
            } else {
                Err(page.cache_status)
            }
        })
        .await
    }

    /// Waits until the other sources keep nothing of an account that is deleted.
    ///
    /// # Panics
    /// When they keep it, or do not answer.
    pub async fn until_forgotten(&self, account: AccountId) {
        for source in [Source::Endpoints, Source::Metrics] {
            let url = self.sources[source].url(&source.fragment_path(account, Window::Day));
            crate::eventually(LONG, async || {
                let answer = self.send(self.request(Method::GET, url.clone())).await;
                let answer: Value = answer.json().await.expect("a source answers JSON");
                match answer["endpoints"].as_array() {
                    Some(endpoints) if endpoints.is_empty() => Ok(()),
                    _ => Err(format!("{url} still has {answer}")),
                }
            })
            .await;
        }
    }

    /// How many events of a source a replica has applied.
    pub async fn applied(&self, replica: usize, source: Source) -> u64 {
        let labels = [("source", source.name()), ("result", "applied")];
        self.count(&self.pages[replica], "page_events_total", &labels)
            .await
    }

    /// Waits until a replica has applied `count` more events of a source than `since`.
    pub async fn until_applied(&self, replica: usize, source: Source, since: u64) {
        crate::eventually(LONG, async || match self.applied(replica, source).await {
            now if now > since => Ok(()),
            now => Err(format!("{now} events of {source} were applied")),
        })
        .await;
    }

    /// Waits until a replica is answering this many readers at once.
    pub async fn until_under_way(&self, replica: usize, readers: u32) {
        let page = &self.pages[replica];
        crate::eventually(LONG, async || {
            let active = self.metric(page, "http_server_active_requests", &[]).await;
            if active >= f64::from(readers) {
                Ok(())
            } else {
                Err(format!("{active} readers are inside"))
            }
        })
        .await;
    }

    /// Waits until a page service trusts every source.
    pub async fn until_trusted(&self, page: &Process) {
        self.until_trusting(page, Source::ALL.len()).await;
    }

    /// Waits until a page service trusts no source any more.
    pub async fn until_distrusted(&self, page: &Process) {
        self.until_trusting(page, 0).await;
    }

    async fn until_trusting(&self, page: &Process, sources: usize) {
        crate::eventually(LONG, async || {
            let trusted = self.count(page, "page_source_trusted", &[]).await;
            if usize::try_from(trusted) == Ok(sources) {
                Ok(())
            } else {
                Err(format!("{trusted} of {} sources are trusted", Source::ALL.len()))
            }
        })
        .await;
    }

    /// The sum of a service's counters of this name that have all of these labels.
    pub async fn count(&self, service: &Process, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.metric(service, name, labels).await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = sum as u64;
        count
    }

    /// The sum of a service's metrics of this name that have all of these labels; 0 if there is none.
    ///
    /// # Panics
    /// When the service does not answer.
    pub async fn metric(&self, service: &Process, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = Samples::scrape(&self.client, &service.url("")).await;
        let samples = samples.expect("the service tells what it counted");
        samples.sum(name, labels).unwrap_or_default()
    }
}

impl Page {
    async fn read(response: Response) -> Self {
        let header = |name| {
            let value = response.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            status: response.status().as_u16(),
            cache_status: header("cache-status"),
            fresh_as_of: header("fresh-as-of"),
            token: header("consistency-token"),
            etag: header("etag"),
            trace_id: header("trace-id"),
            body: response.json().await.expect("a page asked for as JSON is JSON"),
        }
    }
}
