//! One read of the compared page, and what its answer says of itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::Client;
use reqwest::header::HeaderMap;

use crate::web::{Scrape, UNTRACED, detail, revisions};
use stack::sources::{AccountId, Revision, http_client, send, why};

/// For how long an answer is waited for; the page's own deadlines are below a second.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1_500);

/// One client of one account's page.
#[derive(Debug)]
pub(super) struct Reader {
    http: Client,
    page: String,
    account: AccountId,
}

/// An answer, as far as it is counted.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// When it was asked for.
    pub(super) asked: Instant,
    /// From the request to the last byte.
    pub(super) took: Duration,
    /// Which state of the account it shows; none where that part is missing.
    pub(super) account: Option<Revision>,
    /// It says that it came from the cache alone.
    pub(super) hit: bool,
    /// It says itself that something is stale or missing.
    pub(super) marked: bool,
    /// Requests that sources answered for it.
    pub(super) requests: u64,
    /// Requests that failed, or were not even sent.
    pub(super) failures: u64,
}

impl Reader {
    pub(super) fn new(page_url: &str, account: AccountId) -> Self {
        Self {
            http: http_client(),
            page: page_url.to_owned(),
            account,
        }
    }

    /// Reads the page by a strategy. Not traced: thousands of reads would crowd out what is looked for.
    pub(super) async fn read(&self, strategy: &str) -> Result<Answer> {
        let asked = Instant::now();
        let request = self
            .http
            .get(format!("{}/accounts/{}", self.page, self.account))
            .header("accept", "application/json")
            .header("cache-strategy", strategy)
            .header("traceparent", UNTRACED)
            .timeout(ANSWERS_WITHIN);
        let answer = send("the page", request).await?;
        let headers = answer.headers().clone();
        let read = answer.bytes().await;
        read.map_err(|error| anyhow!("the page {}", why(&error)))?;
        Answer::of(&headers, asked, asked.elapsed())
            .context("the page answers without the headers that say how")
    }

    /// What the page has counted so far.
    pub(super) async fn counted(&self) -> Result<Scrape> {
        let scrape = Scrape::of(&self.http, &self.page).await;
        ensure!(scrape.answers, "the page does not say what it counts");
        Ok(scrape)
    }
}

impl Answer {
    /// Reads the headers; none if one that is counted by is missing.
    fn of(headers: &HeaderMap, asked: Instant, took: Duration) -> Option<Self> {
        let text = |name| headers.get(name)?.to_str().ok();
        let [account, ..] = revisions(text("etag")?);
        let status = text("cache-status")?;
        // After the cache's own time, each source that was asked.
        let asked_sources = || {
            text("server-timing")
                .into_iter()
                .flat_map(|timing| timing.split(',').skip(1))
        };
        let failed = |timing: &&str| timing.contains("desc=\"failure\"");
        let failures = asked_sources().filter(failed).count() as u64;
        Some(Self {
            asked,
            took,
            account,
            hit: status.split(';').any(|word| word.trim() == "hit"),
            marked: detail(status).is_some(),
            requests: asked_sources().count() as u64 - failures,
            failures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(etag: &'static str, status: &'static str, timing: &'static str) -> Option<Answer> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("etag", etag),
            ("cache-status", status),
            ("server-timing", timing),
        ] {
            if !value.is_empty() {
                headers.insert(name, value.parse().unwrap());
            }
        }
        Answer::of(&headers, Instant::now(), Duration::ZERO)
    }

    #[test]
    fn a_hit_asked_nobody_and_a_miss_names_whom_it_asked() {
        let hit = answer("W/\"json-24h-7.4.6-cafe\"", "page; hit", "cache;dur=0.042").unwrap();
        assert!(hit.hit && !hit.marked);
        assert_eq!((hit.account, hit.requests, hit.failures), (Some(7), 0, 0));
        let timing = "cache;dur=4.0, accounts;dur=3.2;desc=\"new\", metrics;dur=3.1;desc=\"not modified\"";
        let miss = answer("W/\"json-24h-8.4.6-cafe\"", "page; fwd=stale; stored", timing).unwrap();
        assert!(!miss.hit && !miss.marked);
        assert_eq!((miss.account, miss.requests), (Some(8), 2));
    }

    #[test]
    fn what_did_not_reach_its_source_is_no_request_that_it_answered() {
        let timing = "cache;dur=4.0, accounts;dur=0.1;desc=\"failure\", metrics;dur=3.1;desc=\"new\"";
        let status = "page; fwd=stale; stored; detail=\"accounts stale\"";
        let broken = answer("W/\"json-24h-~7.4.6-cafe\"", status, timing).unwrap();
        assert!(broken.marked);
        assert_eq!(
            (broken.account, broken.requests, broken.failures),
            (Some(7), 1, 1)
        );
    }

    #[test]
    fn an_answer_that_does_not_say_what_it_is_is_not_counted() {
        assert!(answer("", "page; hit", "").is_none());
        assert!(answer("W/\"json-24h-7.4.6-cafe\"", "", "").is_none());
    }
}
