//! The foot of a page: how this answer was served. Rendered per answer, so it is small.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use maud::html;

use super::layout::END;
use super::numbers::long;
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
        footer.wide {
            div.foot {
                h2 { "How this page was served" }
                dl {
                    @if let Some(how) = served.how { div { dt { "Served" } dd { code { (how) } } } }
                    @if let Some(moment) = served.fresh_as_of { div { dt { "Fresh as of" } dd { (long(moment)) } } }
                    @if let Some(moment) = served.composed_at { div { dt { "Composed at" } dd { (long(moment)) } } }
                    @if let Some(age) = served.age { div { dt { "Age" } dd { (age.as_secs()) " s" } } }
                    @if !served.revisions.is_empty() {
                        div {
                            dt { "Revisions" }
                            dd { @for (source, revision) in served.revisions { (source.name()) " " (revision) " " } }
                        }
                    }
                    @if let Some(id) = served.trace_id {
                        div {
                            dt { "Trace" }
                            dd { @if let Some(url) = served.trace_url { a href=(url) { code { (id) } } } @else { code { (id) } } }
                        }
                    }
                }
            }
        }
        (END)
    };
    Bytes::from(foot.into_string())
}
