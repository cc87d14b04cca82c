//! Renders a page from its fragments: both formats at once, as bytes that every reader is then given.
//!
//! What is rendered here depends on the fragments alone. What differs from answer to answer (how it was served,
//! how fresh it is, which trace it was) is the footer, which [`footer`] renders per answer and which follows
//! these bytes on the wire.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use bytes::Bytes;
use fresh_cache::Claim;
use maud::{Markup, Render as _};
use sha2::{Digest, Sha256};

use crate::fragment::{Content, Fragment};
use crate::key::PageKey;
use crate::source::{PerSource, Source};
use crate::{gzip, headers, token};

mod account;
mod accounts;
mod footer;
mod json;
mod layout;
mod message;
mod numbers;
mod rows;
mod sparkline;

pub(crate) use self::accounts::{Listed, render_accounts};
pub(crate) use self::footer::{Served, render_footer};
pub(crate) use self::json::PageJson;
pub(crate) use self::layout::CONTENT_SECURITY_POLICY;
pub(crate) use self::message::{Message, render_message};

/// One fragment of a page, as far as it is known.
///
/// With a fragment and no trouble it is current; with both it is the last one known; with trouble alone it is
/// missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShownFragment<'a> {
    /// What the source said, or said last.
    pub(crate) fragment: Option<&'a Fragment>,
    /// Whose feed vouches for it.
    pub(crate) claim: Option<Claim>,
    /// Why there is nothing newer.
    pub(crate) trouble: Option<&'a str>,
}

/// The fragments of a page.
pub(crate) type ShownFragments<'a> = PerSource<ShownFragment<'a>>;

/// A page as it is kept in the cache.
#[derive(Debug)]
pub(crate) enum Page {
    /// There is something to show.
    Shown(Box<Rendered>),
    /// Accounts says that there is no such account.
    NoAccount,
    /// No source answered, and none ever did: what each of them did instead.
    Nothing(Vec<String>),
}

/// What there is to show.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The HTML up to its footer.
    pub(crate) html: Form,
    /// The whole JSON.
    pub(crate) json: Form,
    /// The versions that are shown, as a token (rule 13).
    pub(crate) tokens: HeaderValue,
    /// The revision of each fragment at hand, for people: `accounts 3 · endpoints 9 · metrics 417`.
    pub(crate) revisions: Markup,
    /// The trace in which it was rendered.
    trace_id: Option<String>,
    /// The memory that the fragments behind it take.
    fragments: usize,
}

/// One form of a page.
#[derive(Debug)]
pub(crate) struct Form {
    /// Its bytes, shared by all who read it.
    pub(crate) bytes: Bytes,
    /// The same compressed, once somebody wanted it so; none if that is not worth it.
    gzipped: OnceLock<Option<gzip::Opening>>,
    /// Its validator, compressed or not. Weak, because the footer that follows the HTML is another one each time.
    pub(crate) etag: HeaderValue,
}

impl Form {
    fn new(bytes: Vec<u8>, etag: String) -> Self {
        Self {
            bytes: bytes.into(),
            gzipped: OnceLock::new(),
            etag: headers::value(etag),
        }
    }

    /// The compressed form, made for the first who asks and shared from then on.
    pub(crate) fn gzipped(&self) -> Option<&gzip::Opening> {
        let gzipped = self.gzipped.get_or_init(|| gzip::Opening::of(&self.bytes));
        gzipped.as_ref()
    }

    /// The memory it takes, the compressed form included: it may come later, and is then not weighed again.
    fn weight(&self) -> usize {
        self.bytes.len() + gzip::Opening::most(self.bytes.len())
    }
}

impl Page {
    /// The trace in which it was rendered, if it is shown.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        match self {
            Self::Shown(shown) => shown.trace_id.as_deref(),
            Self::NoAccount | Self::Nothing(_) => None,
        }
    }

    /// The memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        // What even an empty page keeps: key, page, fragments and tags, about 2.2 KiB each by measurement.
        const FLOOR: usize = 2_300;
        let content = match self {
            Self::Shown(shown) => shown.html.weight() + shown.json.weight() + shown.fragments,
            Self::NoAccount => 0,
            Self::Nothing(reasons) => reasons.iter().map(String::len).sum(),
        };
        FLOOR + content
    }
}

/// Renders the page of `key` from its fragments.
pub(crate) fn render(key: &PageKey, fragments: &ShownFragments<'_>) -> Page {
    let account = fragments[Source::Accounts.index()].fragment;
    if account.is_some_and(|fragment| matches!(fragment.content, Content::NoAccount)) {
        return Page::NoAccount;
    }
    let known = || {
        Source::ALL
            .into_iter()
            .zip(fragments)
            .filter_map(|(source, shown)| Some((source, shown.fragment?)))
    };
    if known().next().is_none() {
        return Page::Nothing(
            troubles(fragments)
                .map(|(source, why)| format!("{source} {why}"))
                .collect(),
        );
    }
    let form = |name, bytes: Vec<u8>| {
        let etag = etag(name, key, fragments, &bytes);
        Form::new(bytes, etag)
    };
    let tokens = Source::ALL
        .into_iter()
        .zip(fragments)
        .filter_map(|(source, shown)| {
            let version = shown.fragment?.tag.version;
            Some((source, version, shown.claim))
        });
    let revisions = known().map(|(source, fragment)| format!("{source} {}", fragment.tag.version.revision));
    Page::Shown(Box::new(Rendered {
        html: form("html", account::render(key, fragments).into_string().into_bytes()),
        json: form("json", json::render(fragments)),
        tokens: headers::value(token::write(key.account, tokens)),
        revisions: revisions.collect::<Vec<_>>().join(" · ").render(),
        trace_id: telemetry::current_trace_id(),
        fragments: known().map(|(_, fragment)| fragment.weight()).sum(),
    }))
}

/// `W/"html-24h-3.9.417-5f2c9a0b1d3e4f60"`: the variant and the revisions for people to read, a hash for the rest.
///
/// The hash is of the bytes themselves. So it covers the incarnations, what is said of missing and stale
/// fragments, and this program's own way to render.
fn etag(form: &str, key: &PageKey, fragments: &ShownFragments<'_>, bytes: &[u8]) -> String {
    let revisions = fragments.map(|shown| match (shown.fragment, shown.trouble) {
        (Some(fragment), None) => fragment.tag.version.revision.to_string(),
        (Some(fragment), Some(_)) => format!("~{}", fragment.tag.version.revision),
        (None, _) => "x".to_owned(),
    });
    let hash = Sha256::digest(bytes);
    let (hash, _) = hash
        .split_first_chunk()
        .expect("a SHA-256 is longer than eight bytes");
    format!(
        "W/\"{form}-{}-{}-{:016x}\"",
        key.window.as_str(),
        revisions.join("."),
        u64::from_be_bytes(*hash)
    )
}

/// The sources that did not give a current answer, each with what it did instead.
fn troubles<'a>(fragments: &ShownFragments<'a>) -> impl Iterator<Item = (Source, &'a str)> {
    Source::ALL
        .into_iter()
        .zip(*fragments)
        .filter_map(|(source, shown)| Some((source, shown.trouble?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_a_page_without_content_weighs_what_it_keeps() {
        // Else missing accounts, which anybody can make up, would never be evicted.
        assert!(Page::NoAccount.weight() > 2_000);
        assert!(Page::Nothing(Vec::new()).weight() > 2_000);
    }
}
