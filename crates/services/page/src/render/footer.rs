//! The footer of a page: how this answer was served. Rendered per answer, so it is small.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::END;
use crate::moment::InWords;

/// What the footer says.
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
    /// The revision of each fragment at hand: `accounts 3 · endpoints 9 · metrics 417`.
    pub(crate) revisions: Option<&'a Markup>,
    /// The trace of this answer.
    pub(crate) trace_id: Option<&'a str>,
    /// Where the trace can be looked at.
    pub(crate) trace_url: Option<&'a str>,
}

/// Renders the footer and ends the document.
pub(crate) fn render_footer(served: &Served<'_>) -> Bytes {
    // Written out entry by entry: each function between would make a string of its own, in every answer.
    let footer = html! {
        footer.footer aria-label="How this page was served" {
            dl.wide {
                @if let Some(how) = served.how { div { dt { "Served" } dd { code { (how) } } } }
                @if let Some(time) = served.fresh_as_of { div { dt { "Fresh as of, UTC" } dd { (InWords(time)) } } }
                @if let Some(time) = served.composed_at { div { dt { "Composed, UTC" } dd { (InWords(time)) } } }
                @if let Some(age) = served.age { div { dt { "Age" } dd { (age.as_secs()) " s" } } }
                @if let Some(revisions) = served.revisions { div { dt { "Revisions" } dd { (revisions) } } }
                @if let Some(id) = served.trace_id { div { dt { "Trace" } dd { (trace(id, served.trace_url)) } } }
            }
        }
        (END)
    };
    Bytes::from(footer.into_string())
}

fn trace(id: &str, url: Option<&str>) -> Markup {
    html! { @if let Some(url) = url { a href=(url) { code { (id) } } } @else { code { (id) } } }
}
