//! What the sources themselves answer while nobody writes.

use std::collections::{BTreeSet, HashMap};

use futures::StreamExt as _;
use reqwest::StatusCode;
use serde_json::json;
use stack::sources::Fragment;
use stack::{Moment, SOURCES, Source, Window};

use super::{Inspector, Page, Right, SIDE_BY_SIDE};
use crate::check::{Rule, Violation};
use crate::history::{Round, Subject, What};
use crate::oracle::Oracle;

impl Inspector<'_> {
    /// The pages that this program composes itself from what the sources answer now, which heals nothing as a composition by a
    /// cache would.
    pub(super) async fn truth(&self, pages: &[Page]) -> HashMap<Page, Right> {
        let keys: BTreeSet<_> = pages.iter().flat_map(|page| fragments_of(*page)).collect();
        let fragments = keys.into_iter().map(|key| async move {
            let (source, account, window) = key;
            (key, self.fragment(source, account, window).await)
        });
        let fragments: HashMap<_, _> = futures::stream::iter(fragments)
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        let compose = |page: &Page| {
            let mut right = json!({ "missing": [], "stale": [] });
            for key in fragments_of(*page) {
                let fragment = fragments[&key].as_ref()?;
                if key.0 == Source::Accounts && fragment.status == StatusCode::NOT_FOUND {
                    return None;
                }
                right[key.0.info().fragment] = fragment.body.clone();
            }
            Some(right)
        };
        pages.iter().map(|page| (*page, compose(page))).collect()
    }

    /// Whether each source still has what it acknowledged, of the accounts that a round touched.
    pub async fn durable(&self, oracle: &Oracle, round: &Round) -> Vec<Violation> {
        let touched: BTreeSet<_> = round
            .mutations
            .iter()
            .map(|mutation| (mutation.source, mutation.account))
            .collect();
        let mut lost = Vec::new();
        for (source, account) in touched {
            if let Some(trouble) = self.lost(oracle, source, account).await {
                lost.push(Violation {
                    rule: Rule::LostMutation,
                    subject: Subject::Page,
                    evidence: vec![trouble],
                });
            }
        }
        lost
    }

    async fn lost(&self, oracle: &Oracle, source: Source, account: u64) -> Option<String> {
        let (due, mutation) = oracle.last(source, account)?;
        let Some(fragment) = self.fragment(source, account, Window::Hour).await else {
            return Some(format!("{source} does not answer about account {account}"));
        };
        let version = fragment.version;
        let now = Moment::now();
        let there = version.and_then(|version| oracle.rank(source, account, version, now));
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
        self.sources.fragment(source, account, window).await.ok()
    }
}

/// What a page is composed of. A fragment without windows is the same whichever is asked for, so it is asked for once.
fn fragments_of((account, window): Page) -> [(Source, u64, Window); SOURCES.len()] {
    SOURCES.map(|info| {
        let window = if info.has_windows { window } else { Window::Hour };
        (info.source, account, window)
    })
}
