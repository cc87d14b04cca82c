//! The page of one account, up to its footer.

use maud::{Markup, html};

use super::layout::{self, state_name};
use super::numbers::{count, grouped, percent};
use super::rows::{self, Row};
use super::{ShownFragment, ShownFragments, troubles};
use crate::fragment::{Account, Content, Endpoints, Metrics, State, Summary};
use crate::key::{PageKey, Window};
use crate::source::Source;

/// What the fragments say, as far as they are known.
struct Known<'a> {
    account: Option<&'a Account>,
    endpoints: Option<&'a Endpoints>,
    metrics: Option<&'a Metrics>,
}

impl<'a> Known<'a> {
    fn of(fragments: &ShownFragments<'a>) -> Self {
        let mut known = Self {
            account: None,
            endpoints: None,
            metrics: None,
        };
        for fragment in fragments
            .iter()
            .filter_map(|shown: &ShownFragment<'a>| shown.fragment)
        {
            match &fragment.content {
                Content::Account(account) => known.account = Some(account),
                Content::Endpoints(endpoints) => known.endpoints = Some(endpoints),
                Content::Metrics(metrics) => known.metrics = Some(metrics),
                Content::NoAccount => {}
            }
        }
        known
    }
}

/// Renders the page of `key`.
pub(super) fn render(key: &PageKey, fragments: &ShownFragments<'_>) -> Markup {
    let known = Known::of(fragments);
    let rows = rows::join(known.endpoints, known.metrics);
    let worst = rows.iter().filter_map(Row::state).max();
    let name = known.account.map_or_else(
        || format!("Account {}", key.account),
        |account| account.name.clone(),
    );
    let main = html! {
        (render_head(&name, known.account, key))
        (render_tiles(&rows, known.metrics.is_some(), key.window))
        (render_troubles(fragments))
        @if rows.is_empty() {
            p { @if known.endpoints.is_some() { "This account monitors nothing yet." } }
        } @else {
            (rows::render(&rows, known.metrics))
        }
    };
    layout::open(&name, worst, &main)
}

fn render_head(name: &str, account: Option<&Account>, key: &PageKey) -> Markup {
    html! {
        div.head {
            div {
                h1 { (name) }
                @if let Some(account) = account && !account.description.is_empty() { p { (account.description) } }
            }
            nav.windows aria-label="Span of time" {
                @for window in Window::ALL {
                    a href={ "?window=" (window.as_str()) } aria-current=[(window == key.window).then_some("true")] {
                        (window.label())
                    }
                }
            }
        }
    }
}

fn render_tiles(rows: &[Row<'_>], measured: bool, window: Window) -> Markup {
    let worst = rows.iter().filter_map(Row::state).max();
    let now = if measured {
        summary(rows)
    } else {
        "Unknown".to_owned()
    };
    let breakdown = if measured {
        breakdown(rows)
    } else {
        count(rows.len(), "endpoint")
    };
    html! {
        dl.tiles {
            div { dt { "Now" } dd.(state_name(worst)) { (now) small { (breakdown) } } }
            @if measured { (render_uptime(rows, window)) }
            @if let Some((name, p95_ms)) = slowest(rows) {
                div { dt { "Slowest, p95" } dd { (grouped(p95_ms.into())) " ms" small { (name) } } }
            }
        }
    }
}

fn render_uptime(rows: &[Row<'_>], window: Window) -> Markup {
    let samples: u64 = rows
        .iter()
        .filter_map(Row::summary)
        .map(|summary| summary.samples)
        .sum();
    let uptime = uptime(rows).unwrap_or_else(|| "–".to_owned());
    html! {
        div { dt { "Uptime, " (window.label()) } dd { (uptime) small { (grouped(samples)) " checks" } } }
    }
}

/// The account's state in one phrase.
fn summary(rows: &[Row<'_>]) -> String {
    let in_state = |state| rows.iter().filter(|row| row.state() == Some(state)).count();
    match (
        in_state(State::Down),
        in_state(State::Degraded),
        in_state(State::Up),
    ) {
        (0, 0, 0) => "No data".to_owned(),
        (0, 0, up) if up == rows.len() => "All up".to_owned(),
        (0, 0, up) => format!("{up} of {} up", rows.len()),
        (0, degraded, _) => format!("{degraded} degraded"),
        (down, ..) => format!("{down} of {} down", rows.len()),
    }
}

/// `17 endpoints: 1 down, 1 degraded, 14 up, 1 without data`.
fn breakdown(rows: &[Row<'_>]) -> String {
    let states = [
        (Some(State::Down), "down"),
        (Some(State::Degraded), "degraded"),
        (Some(State::Up), "up"),
        (None, "without data"),
    ];
    let counts = states.map(|(state, word)| (rows.iter().filter(|row| row.state() == state).count(), word));
    let words: Vec<String> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    let endpoints = count(rows.len(), "endpoint");
    if words.is_empty() {
        endpoints
    } else {
        format!("{endpoints}: {}", words.join(", "))
    }
}

/// The share of all checks that were not down.
fn uptime(rows: &[Row<'_>]) -> Option<String> {
    let counts = rows.iter().filter_map(Row::summary).filter_map(Summary::answered);
    let (answered, samples) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    percent(answered, samples)
}

fn slowest(rows: &[Row<'_>]) -> Option<(String, u32)> {
    let timed = rows.iter().filter_map(|row| Some((row, row.summary()?.p95_ms?)));
    timed
        .max_by_key(|(_, p95_ms)| *p95_ms)
        .map(|(row, p95_ms)| (row.name(), p95_ms))
}

/// Says what is missing or old, where the reader sees it: a page that looks whole must be whole.
fn render_troubles(fragments: &ShownFragments<'_>) -> Markup {
    html! {
        @if fragments.iter().any(|shown| shown.trouble.is_some()) {
            div.note role="status" {
                @for (source, why) in troubles(fragments) {
                    p { strong { (source.name()) } " " (why) ". " (consequence(source, fragments[source.index()])) }
                }
            }
        }
    }
}

fn consequence(source: Source, shown: ShownFragment<'_>) -> String {
    match shown.fragment {
        Some(fragment) => format!(
            "What it last said, revision {}, is shown.",
            fragment.tag.version.revision
        ),
        None => source.info().missing.to_owned(),
    }
}
