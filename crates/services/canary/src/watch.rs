//! One page, read until it shows a change.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use tokio::time::sleep;
use url::Url;

use crate::account::{Change, address, path};
use crate::report::{PageReport, Seen};

/// How long one answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The shortest pause between two reads.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// Reads one page service.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) client: Client,
    /// Its root.
    pub(crate) url: Url,
    pub(crate) give_up_after: Duration,
    pub(crate) clock_skew: Duration,
    pub(crate) page: PageReport,
}

/// What an answer says of the account.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    /// The change, or what came after it.
    Change,
    /// What was before it, or no account at all.
    Earlier,
    /// That it does not know.
    Nothing,
}

#[derive(Deserialize)]
struct Page {
    account: Option<State>,
}

#[derive(Deserialize)]
struct State {
    revision: u64,
}

impl Watch {
    /// Reads until the page shows the change, or for as long as is worth waiting, and reports what came of it.
    pub(crate) async fn until_shown(&self, change: &Change) {
        let mut seen = Seen::NoAnswer;
        loop {
            match self.read(change).await {
                Ok(Shown::Change) => seen = Seen::InTime,
                Ok(Shown::Earlier | Shown::Nothing) => seen = Seen::NotInTime,
                Err(error) => tracing::debug!(%error, page = %self.url, "no answer"),
            }
            let waited = change.since.elapsed();
            if seen == Seen::InTime || waited >= self.give_up_after {
                return self.page.note(seen, waited.as_secs_f64());
            }
            // A tenth of what has passed: as precise as it needs to be, and not a load of its own.
            sleep((waited / 10).max(SHORTEST_PAUSE)).await;
        }
    }

    async fn read(&self, change: &Change) -> Result<Shown, reqwest::Error> {
        let answer = self
            .client
            .get(address(&self.url, &path(change.account)))
            .header(header::ACCEPT, "application/json")
            .timeout(ANSWERED_WITHIN)
            .send()
            .await?;
        let claimed = fresh_as_of(&answer);
        let trace_id = text(&answer, "trace-id").unwrap_or_default().to_owned();
        let shown = shown(answer, change).await?;
        if let (Shown::Earlier, Some(claimed)) = (&shown, claimed)
            && self.is_beyond(claimed, change.acknowledged)
        {
            self.page.note_mismatch();
            tracing::error!(
                page = %self.url,
                account = change.account,
                %claimed,
                acknowledged = %change.acknowledged,
                answered_in_trace = trace_id,
                "a page claims to reflect a change that it lacks"
            );
        }
        Ok(shown)
    }

    fn is_beyond(&self, claimed: Timestamp, acknowledged: Timestamp) -> bool {
        let allowed = acknowledged.checked_add(self.clock_skew);
        allowed.is_ok_and(|allowed| claimed > allowed)
    }
}

async fn shown(answer: Response, change: &Change) -> Result<Shown, reqwest::Error> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(Shown::Earlier),
        _ => return Ok(Shown::Nothing),
    }
    let page: Page = answer.json().await?;
    Ok(match page.account {
        Some(account) if account.revision >= change.revision => Shown::Change,
        Some(_) => Shown::Earlier,
        None => Shown::Nothing,
    })
}

/// Up to when the page says that it is complete.
fn fresh_as_of(answer: &Response) -> Option<Timestamp> {
    text(answer, "fresh-as-of")?.parse().ok()
}

fn text<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}
