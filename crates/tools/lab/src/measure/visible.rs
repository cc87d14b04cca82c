//! From a write's answer to the page that shows it, as a client sees it.

use std::time::Instant;

use anyhow::{Context as _, Result};
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::latency::Latency;
use stack::sources::{AccountId, Revision, http_client};

/// A reader of the page beside the writer: it takes the newest answered write, reads until the page shows it, and
/// takes the next one. So it misses writes, but never waits for one in the wrong order.
pub(super) struct Visible {
    newest: watch::Sender<Option<(Revision, Instant)>>,
    reader: JoinHandle<Result<(Latency, String)>>,
}

#[derive(Deserialize)]
struct Page {
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    revision: Revision,
}

impl Visible {
    pub(super) fn start(page_url: &str, account: AccountId) -> Self {
        let (newest, writes) = watch::channel(None);
        let reader = tokio::spawn(read(format!("{page_url}/accounts/{account}"), writes));
        Self { newest, reader }
    }

    /// The write of this revision was answered then.
    pub(super) fn expect(&self, revision: Revision, answered: Instant) {
        self.newest.send_replace(Some((revision, answered)));
    }

    /// How long pages took, and the share of those that were fresh at once, in words.
    pub(super) async fn stop(self) -> Result<(Latency, String)> {
        drop(self.newest);
        self.reader.await?
    }
}

async fn read(
    url: String,
    mut writes: watch::Receiver<Option<(Revision, Instant)>>,
) -> Result<(Latency, String)> {
    let http = http_client();
    let mut latency = Latency::new();
    let (mut pages, mut fresh_at_once) = (0, 0);
    // An error says that the writer is done.
    while writes.changed().await.is_ok() {
        let Some((revision, answered)) = *writes.borrow_and_update() else {
            continue;
        };
        pages += 1;
        if shown(&http, &url).await? >= revision {
            fresh_at_once += 1;
        } else {
            while shown(&http, &url).await? < revision {}
        }
        latency.record(answered.elapsed());
    }
    Ok((latency, format!("{fresh_at_once} of {pages}")))
}

/// The account's revision on the page; 0 while the page is without it.
async fn shown(http: &Client, url: &str) -> Result<Revision> {
    let answer = http
        .get(url)
        .header("accept", "application/json")
        .send()
        .await?
        .error_for_status()?;
    let page: Page = answer.json().await.with_context(|| format!("reading {url}"))?;
    Ok(page.account.map_or(0, |account| account.revision))
}
