//! Traces as HTML, without a script.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::span::{Link, Span, TraceId};

const STYLE: &str = include_str!("style.css");
/// How many colours the style has for services.
const COLOURS: usize = 6;

/// Allows the style by its hash, and nothing else.
pub(crate) static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    HeaderValue::try_from(policy).expect("base64 is a header's text")
});

/// The newest traces: all, or those that began with a request, and here.
pub(crate) fn list(traces: &[(TraceId, Vec<Span>)], all: bool) -> Markup {
    document(
        "Traces",
        None,
        &html! {
            h1 { "Traces" }
            p {
                "The newest first. Spans come in batches, some time after their end; reload for more. "
                @if all { a href="/" { "Only what began with a request, and here" } }
                @else {
                    a href="/all" {
                        "Also what services do of their own accord, such as audits, and what began elsewhere, such as the lab's own reads"
                    }
                }
            }
            // To be scrolled by keyboard too, where the screen is narrow.
            div.box tabindex="0" role="region" aria-label="Traces" {
                table {
                    thead { tr { th { "began, UTC" } th { "what" } th { "services" } th.number { "spans" } th.number { "took" } } }
                    tbody { @for (id, spans) in traces { (row(id, spans)) } }
                }
            }
        },
    )
}

fn row(id: &str, spans: &[Span]) -> Markup {
    let first = spans.first();
    let services = services(spans);
    let failed = spans.iter().any(|span| span.failure.is_some());
    html! {
        tr {
            td { (first.map_or_else(String::new, |span| clock(span.start))) }
            td { a href={ "/traces/" (id) } { (first.map_or("", |span| &span.name)) } @if failed { " " span.failed { "failed" } } }
            td { (services.join(", ")) }
            td.number { (spans.len()) }
            td.number { (milliseconds(Extent::of(spans).length)) }
        }
    }
}

/// One trace: every span as a bar, under the span it is part of.
pub(crate) fn trace(id: &str, spans: &[Span]) -> Markup {
    let extent = Extent::of(spans);
    let services = services(spans);
    let name = spans.first().map_or("", |span| &span.name);
    document(
        name,
        None,
        &html! {
            p { a href="/" { "The last traces" } }
            h1 { (name) }
            p {
                code { (id) } " · began " (clock(extent.start)) " UTC · " (milliseconds(extent.length)) " · "
                (spans.len()) " spans of " (services.join(", "))
            }
            div.box {
                @for (depth, span) in in_order(spans) { (bar(depth, span, extent, &services)) }
            }
        },
    )
}

/// Why there is nothing else to show.
pub(crate) fn problem(title: &str, details: &[String]) -> Markup {
    document(
        title,
        None,
        &html! {
            p { a href="/" { "The last traces" } }
            h1 { (title) }
            @for detail in details { p { (detail) } }
        },
    )
}

/// How often the page of a trace that is not known looks again, once a second: batches come within five, as a rule.
const LOOKS: u8 = 15;

/// Said of a trace that is not known: as a rule, not known yet. `looked`: how often the page has looked again by itself.
pub(crate) fn not_here(id: &str, looked: u8) -> Markup {
    let again = (looked < LOOKS).then(|| format!("1; url=/traces/{id}?looked={}", looked + 1));
    document(
        "Not here yet",
        again.as_deref(),
        &html! {
            p { a href="/" { "The last traces" } }
            h1 { "No span of this trace is here yet" }
            p { code { (id) } }
            p {
                "Services send spans in batches, so that they come up to a few seconds after their end. "
                @if again.is_some() { "This page looks again by itself for a while. " }
                @else { "This page has looked again " (LOOKS) " times and does so no more. " a href={ "/traces/" (id) } { "Look again" } ". " }
                "If it stays so, the request was not traced (under load only some are), or its trace is forgotten already."
            }
        },
    )
}

fn bar(depth: usize, span: &Span, extent: Extent, services: &[&str]) -> Markup {
    let colour = services
        .iter()
        .position(|name| *name == span.service)
        .unwrap_or_default()
        % COLOURS;
    html! {
        details id=(span.id) {
            summary {
                span.what title=(span.name) {
                    span.tree { (" ".repeat(depth * 2)) }
                    span.service { (span.service) } " "
                    span.failed[span.failure.is_some()] { (span.name) }
                    @if !span.links.is_empty() { " ↗" }
                }
                svg viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true" {
                    rect class={ "c" (colour) } x=(extent.place(span.start)) width=(extent.width(span.took())) y="1" height="10" rx="2" {}
                }
                span.took { (milliseconds(span.took())) }
            }
            dl {
                dt { "kind" } dd { (span.kind) }
                dt { "began" } dd { "+" (milliseconds(span.start.saturating_sub(extent.start))) }
                @if let Some(failure) = &span.failure { dt { "failed" } dd.failed { (failure) } }
                @for link in &span.links { dt { "see also" } dd { (link_to(link)) } }
                @for (name, value) in &span.attributes { dt { (name) } dd { (value) } }
                @for event in &span.events {
                    dt { "+" (milliseconds(event.time.saturating_sub(extent.start))) }
                    dd { (event.name) @for (name, value) in &event.attributes { " " (name) "=" (value) } }
                }
            }
        }
    }
}

/// To the trace of a span that is pointed to, where that span is to be found by its id.
fn link_to(link: &Link) -> Markup {
    html! { a href={ "/traces/" (link.trace) "#" (link.span) } { "span " (link.span) " of trace " (link.trace) } }
}

fn document(title: &str, again: Option<&str>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(again) = again { meta http-equiv="refresh" content=(again); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (main) } }
        }
    }
}

/// From the first start to the last end, in nanoseconds.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    length: u64,
}

impl Extent {
    fn of(spans: &[Span]) -> Self {
        let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
        Self {
            start,
            length: end.saturating_sub(start),
        }
    }

    /// Where a moment is, in thousandths of the whole.
    fn place(self, moment: u64) -> u64 {
        self.width(moment.saturating_sub(self.start))
    }

    /// How long a time is, in thousandths of the whole; never invisible.
    fn width(self, nanoseconds: u64) -> u64 {
        let thousandths = u128::from(nanoseconds) * 1000 / u128::from(self.length.max(1));
        u64::try_from(thousandths).unwrap_or(1000).clamp(2, 1000)
    }
}

/// Each span below the one it is part of, siblings by their start. What lost its parent stands at the left edge.
fn in_order(spans: &[Span]) -> Vec<(usize, &Span)> {
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let mut children: HashMap<Option<&str>, Vec<(usize, &Span)>> = HashMap::new();
    // The last first, because what waits last is shown next.
    for span in spans.iter().rev() {
        let parent = span.parent.as_deref().filter(|parent| known.contains(parent));
        children.entry(parent).or_default().push((0, span));
    }
    let mut ordered = Vec::with_capacity(spans.len());
    let mut waiting = children.remove(&None).unwrap_or_default();
    while let Some((depth, span)) = waiting.pop() {
        ordered.push((depth, span));
        let below = children.remove(&Some(span.id.as_str())).unwrap_or_default();
        waiting.extend(below.into_iter().map(|(_, child)| (depth + 1, child)));
    }
    // Parents in a circle, which nobody should send.
    ordered.extend(children.into_values().flatten());
    ordered
}

fn services(spans: &[Span]) -> Vec<&str> {
    let mut services = Vec::new();
    for span in spans {
        if !services.contains(&span.service.as_str()) {
            services.push(span.service.as_str());
        }
    }
    services
}

/// `12.345 ms`.
fn milliseconds(nanoseconds: u64) -> String {
    let micros = nanoseconds / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

/// `08:21:18.042`.
fn clock(nanoseconds: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default();
    time.strftime("%H:%M:%S%.3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>, start: u64) -> Span {
        Span {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            service: "page".to_owned(),
            name: format!("<{id}>"),
            kind: "internal",
            start,
            end: start + 10,
            failure: None,
            attributes: vec![("k".to_owned(), "<v>".to_owned())],
            links: Vec::new(),
            events: Vec::new(),
        }
    }

    #[test]
    fn spans_stand_below_their_parents_and_orphans_at_the_edge() {
        let spans = [
            span("root", None, 0),
            span("one", Some("root"), 1),
            span("orphan", Some("unknown"), 2),
            span("below one", Some("one"), 3),
            span("two", Some("root"), 4),
        ];
        let order: Vec<_> = in_order(&spans)
            .into_iter()
            .map(|(depth, span)| (depth, span.id.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                (0, "root"),
                (1, "one"),
                (2, "below one"),
                (1, "two"),
                (0, "orphan")
            ]
        );
    }

    #[test]
    fn spans_in_a_circle_are_shown_all_the_same() {
        let spans = [
            span("a", Some("b"), 0),
            span("b", Some("a"), 1),
            span("c", Some("c"), 2),
            span("d", None, 3),
        ];
        assert_eq!(in_order(&spans).len(), 4);
        assert_eq!(in_order(&spans)[0].1.id, "d");
    }

    #[test]
    fn what_services_say_is_escaped() {
        let page = trace("<id>", &[span("a", None, 0)]).into_string();
        assert!(page.contains("&lt;a&gt;") && page.contains("&lt;v&gt;") && page.contains("&lt;id&gt;"));
        assert!(!page.contains("<a>") && !page.contains("<v>") && !page.contains("<id>"));
    }

    #[test]
    fn a_span_links_what_it_points_to_by_a_place_that_is_in_that_page() {
        let elsewhere = span("00f067aa0ba902b7", None, 0);
        let here = Span {
            links: vec![Link {
                trace: "0af7651916cd43dd8448eb211c80319c".to_owned(),
                span: elsewhere.id.clone(),
            }],
            ..span("b7ad6b7169203331", None, 0)
        };
        let page = trace("here", &[here]).into_string();
        assert!(page.contains(r#"href="/traces/0af7651916cd43dd8448eb211c80319c#00f067aa0ba902b7""#));
        let page = trace("elsewhere", &[elsewhere]).into_string();
        assert!(page.contains(r#"<details id="00f067aa0ba902b7">"#));
    }

    #[test]
    fn a_bar_is_never_beyond_the_picture_nor_invisible() {
        let extent = Extent {
            start: 100,
            length: 1_000_000,
        };
        assert_eq!(extent.width(1), 2);
        assert_eq!(extent.width(u64::MAX), 1000);
        assert_eq!(extent.place(0), 2);
        assert_eq!(Extent { start: 0, length: 0 }.width(0), 2);
    }
}
