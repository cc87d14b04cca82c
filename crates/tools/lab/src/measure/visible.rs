//! From a write's answer to the page that shows it, as a client sees it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stack::sources::{AccountId, Revision};
use stack::{PageClient, PageRequest, Source};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::latency::Latency;

/// How long the page may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A reader of the page beside the writer: it takes the newest answered write, reads until the page shows it, and
/// takes the next one. So it misses writes, but never waits for one in the wrong order.
pub(super) struct Visible {
    newest: watch::Sender<Option<(Revision, Instant)>>,
    reader: JoinHandle<Result<(Latency, String)>>,
}

impl Visible {
    pub(super) fn start(page_url: &str, account: AccountId) -> Self {
        let (newest, writes) = watch::channel(None);
        let reader = tokio::spawn(read(page_url.to_owned(), account, writes));
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
    page_url: String,
    account: AccountId,
    mut writes: watch::Receiver<Option<(Revision, Instant)>>,
) -> Result<(Latency, String)> {
    let client = PageClient::new(ANSWERS_WITHIN);
    let request = PageRequest {
        account,
        ..PageRequest::default()
    };
    let shown = async || shown(&client, &page_url, &request).await;
    let mut latency = Latency::new();
    let (mut pages, mut fresh_at_once) = (0, 0);
    // An error says that the writer is done.
    while writes.changed().await.is_ok() {
        let Some((revision, answered)) = *writes.borrow_and_update() else {
            continue;
        };
        pages += 1;
        if shown().await? >= revision {
            fresh_at_once += 1;
        } else {
            while shown().await? < revision {}
        }
        latency.record(answered.elapsed());
    }
    Ok((latency, format!("{fresh_at_once} of {pages}")))
}

/// The account's revision on the page; 0 while the page is without it.
async fn shown(client: &PageClient, page_url: &str, request: &PageRequest<'_>) -> Result<Revision> {
    let answer = client.read(page_url, request).await;
    let answer = answer.with_context(|| format!("the page at {page_url}"))?;
    Ok(answer.head.versions[Source::Accounts].map_or(0, |version| version.revision))
}
