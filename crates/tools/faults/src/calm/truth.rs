//! What the sources themselves answer while nobody writes.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Calm, Page, Right, SIDE_BY_SIDE};
use crate::check::{Rule, Violation};
use crate::client::version_in_tag;
use crate::history::{Arm, Round, Source, What, Window};
use crate::known::Known;
use stack::Moment;

/// A source's own answer.
#[derive(Clone, Debug)]
struct Fragment {
    status: u16,
    tag: Option<String>,
    body: Value,
}

impl Calm<'_> {
    /// The pages that this program composes itself from what the sources answer now, which heals nothing as a composition by a
    /// cache would.
    pub(super) async fn truth(&self, pages: &[Page]) -> HashMap<Page, Right> {
        let keys: BTreeSet<_> = pages.iter().flat_map(|page| parts_of(*page)).collect();
        let fragments = keys.into_iter().map(|key| async move {
            let (source, account, window) = key;
            (key, self.fragment(source, account, window).await)
        });
        let fragments: HashMap<_, _> = futures::stream::iter(fragments)
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        let compose = |page: &Page| {
            let [account, endpoints, metrics] = parts_of(*page).map(|key| fragments[&key].as_ref());
            let account = account.filter(|fragment| fragment.status != 404)?;
            Some(json!({
                "account": account.body,
                "endpoints": endpoints?.body,
                "metrics": metrics?.body,
                "missing": [],
                "stale": [],
            }))
        };
        pages.iter().map(|page| (*page, compose(page))).collect()
    }

    /// Whether each source still has what it acknowledged, of the accounts that a round touched.
    pub async fn durable(&self, known: &Known, round: &Round) -> Vec<Violation> {
        let touched: BTreeSet<_> = round
            .mutations
            .iter()
            .map(|mutation| (mutation.source, mutation.account))
            .collect();
        let mut lost = Vec::new();
        for (source, account) in touched {
            if let Some(trouble) = self.lost(known, source, account).await {
                lost.push(Violation {
                    rule: Rule::LostMutation,
                    arm: Arm::Page,
                    evidence: vec![trouble],
                });
            }
        }
        lost
    }

    async fn lost(&self, known: &Known, source: Source, account: u64) -> Option<String> {
        let (due, mutation) = known.last(source, account)?;
        let Some(fragment) = self.fragment(source, account, Window::Hour).await else {
            return Some(format!("{source} does not answer about account {account}"));
        };
        let version = fragment.tag.as_deref().and_then(version_in_tag);
        let now = Moment::now();
        let there = version.and_then(|version| known.rank(source, account, version, now));
        let nonce = version.map(|version| version.nonce);
        let text = fragment.body.to_string();
        // Exactly this version must have exactly this content; a later one is by a write that was not acknowledged, or by what
        // follows from a deletion.
        let content = match mutation.what {
            _ if there != Some(due) => true,
            _ if nonce != Some(mutation.version.nonce) => false,
            What::Deleted => fragment.status == 404,
            what if what.shows_its_serial() => text.contains(&format!("#{}\"", mutation.serial)),
            _ => true,
        };
        let kept = there >= Some(due) && content;
        (!kept).then(|| format!("{mutation}; {source} answers {version:?}: {text}"))
    }

    async fn fragment(&self, source: Source, account: u64, window: Window) -> Option<Fragment> {
        let path = match source {
            Source::Accounts => format!("/accounts/{account}"),
            Source::Endpoints => format!("/accounts/{account}/endpoints"),
            Source::Metrics => format!("/accounts/{account}/metrics?window={}", window.name()),
        };
        let url = format!("{}{path}", self.rig.source_urls[source.index()]);
        let request = self.client.get(url).timeout(Duration::from_secs(5));
        let answer = request.send().await.ok()?;
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
        Some(Fragment {
            status: answer.status().as_u16(),
            tag: tag.map(str::to_owned),
            body: answer.json().await.ok()?,
        })
    }
}

const fn parts_of((account, window): Page) -> [(Source, u64, Window); 3] {
    [
        (Source::Accounts, account, Window::Hour),
        (Source::Endpoints, account, Window::Hour),
        (Source::Metrics, account, window),
    ]
}
