//! The foot of a page: how this answer was served. Rendered per answer, so it is small.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use maud::{Markup, Render, html};

use super::layout::END;
use super::numbers::precise;
use crate::source::Source;

/// What the foot says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served<'a> {
    /// How the cache served it, in the words of `Cache-Status`; absent for what is not cached.
    pub(crate) how: Option<&'a str>,
    /// The moment up to which the page is complete.
    pub(crate) fresh_as_of: Option<Timestamp>,
    /// When it was composed.
    pub(crate) composed_at: Option<Timestamp>,
    /// How long ago that was.
    pub(crate) age: Option<Duration>,
    /// The revision of each part at hand.
    pub(crate) revisions: &'a [(Source, u64)],
    /// The trace of this answer.
    pub(crate) trace_id: Option<&'a str>,
    /// Where the trace can be looked at.
    pub(crate) trace_url: Option<&'a str>,
}

/// Renders the foot and ends the document.
pub(crate) fn render_foot(served: &Served<'_>) -> Bytes {
    let foot = html! {
        footer.foot aria-label="How this page was served" {
            dl.wide {
                @if let Some(how) = served.how { (entry("Served", html! { code { (how) } })) }
                @if let Some(moment) = served.fresh_as_of { (entry("Fresh as of, UTC", precise(moment))) }
                @if let Some(moment) = served.composed_at { (entry("Composed, UTC", precise(moment))) }
                @if let Some(age) = served.age { (entry("Age", html! { (age.as_secs()) " s" })) }
                @if !served.revisions.is_empty() { (entry("Revisions", revisions(served.revisions))) }
                @if let Some(id) = served.trace_id { (entry("Trace", trace(id, served.trace_url))) }
            }
        }
        (END)
    };
    Bytes::from(foot.into_string())
}

fn entry(name: &str, value: impl Render) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// `accounts 3 · endpoints 9 · metrics 417`.
fn revisions(revisions: &[(Source, u64)]) -> String {
    let words: Vec<String> = revisions
        .iter()
        .map(|(source, revision)| format!("{source} {revision}"))
        .collect();
    words.join(" · ")
}

fn trace(id: &str, url: Option<&str>) -> Markup {
    html! { @if let Some(url) = url { a href=(url) { code { (id) } } } @else { code { (id) } } }
}
