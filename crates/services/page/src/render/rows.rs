//! The endpoints as rows: what is known of each from the list and from the measurements, worst first.

use std::collections::HashMap;

use maud::{Markup, html};

use super::layout::state_name;
use super::numbers::{count, grouped, percent, short};
use super::sparkline;
use crate::fragment::{Endpoint, Endpoints, Metrics, State, Summary};

/// One endpoint, as far as the fragments at hand know it.
pub(super) struct Row<'a> {
    id: u64,
    endpoint: Option<&'a Endpoint>,
    summary: Option<&'a Summary>,
}

impl<'a> Row<'a> {
    /// The outcome of the newest check.
    pub(super) fn state(&self) -> Option<State> {
        Some(self.summary?.last.as_ref()?.state)
    }

    /// What was measured of it, if anything.
    pub(super) const fn summary(&self) -> Option<&'a Summary> {
        self.summary
    }

    /// Its name, or its id where the list is missing.
    pub(super) fn name(&self) -> String {
        self.endpoint.map_or_else(
            || format!("Endpoint {}", self.id),
            |endpoint| endpoint.name.clone(),
        )
    }
}

/// Joins the list with the measurements.
///
/// The list decides which endpoints there are; metrics may still know one that was removed. Only while the
/// list is missing, the measurements are shown under their ids.
pub(super) fn join<'a>(list: Option<&'a Endpoints>, metrics: Option<&'a Metrics>) -> Vec<Row<'a>> {
    let summaries = metrics.map_or(&[][..], |metrics| &metrics.endpoints);
    let by_id: HashMap<u64, &Summary> = summaries
        .iter()
        .map(|summary| (summary.endpoint_id, summary))
        .collect();
    let mut rows: Vec<Row<'a>> = match list {
        Some(list) => list
            .endpoints
            .iter()
            .map(|endpoint| listed(endpoint, &by_id))
            .collect(),
        None => summaries.iter().map(measured).collect(),
    };
    // Stable: equals stay in the order of the list. Those never measured come last.
    rows.sort_by_key(|row| std::cmp::Reverse(row.state()));
    rows
}

fn listed<'a>(endpoint: &'a Endpoint, summaries: &HashMap<u64, &'a Summary>) -> Row<'a> {
    Row {
        id: endpoint.id,
        endpoint: Some(endpoint),
        summary: summaries.get(&endpoint.id).copied(),
    }
}

fn measured(summary: &Summary) -> Row<'_> {
    Row {
        id: summary.endpoint_id,
        endpoint: None,
        summary: Some(summary),
    }
}

/// Renders the table.
pub(super) fn render(rows: &[Row<'_>], metrics: Option<&Metrics>) -> Markup {
    html! {
        div.card {
            table {
                caption { (caption(rows.len(), metrics)) }
                thead {
                    tr {
                        th scope="col" { "Endpoint" }
                        th scope="col" { "State" }
                        th.number scope="col" { "Uptime" }
                        th.number scope="col" { "p50 ms" }
                        th.number scope="col" { "p95 ms" }
                        th.number scope="col" { "p99 ms" }
                        th scope="col" { "Response time" }
                        th scope="col" { "Last check, UTC" }
                    }
                }
                tbody { @for row in rows { (render_row(row, metrics.is_some())) } }
            }
        }
    }
}

fn caption(endpoints: usize, metrics: Option<&Metrics>) -> String {
    let endpoints = count(endpoints, "endpoint");
    let Some(metrics) = metrics else { return endpoints };
    let (start, end) = (short(metrics.start), short(metrics.end));
    let span = span(metrics.bucket_seconds);
    // The last bucket is not over yet.
    format!("{endpoints}, measured since {start} UTC by {span}, of which the last are over at {end}")
}

/// The length of a bucket: `1 minute`, `30 minutes`, `3 hours`.
fn span(seconds: u32) -> String {
    let minutes = seconds.div_ceil(60) as usize;
    if minutes >= 60 && minutes.is_multiple_of(60) {
        count(minutes / 60, "hour")
    } else {
        count(minutes, "minute")
    }
}

/// `asked` tells what was never measured from what could not be asked for: only the first may be called so.
fn render_row(row: &Row<'_>, asked: bool) -> Markup {
    let summary = row.summary;
    html! {
        tr {
            th.named scope="row" { (row.name()) @if let Some(endpoint) = row.endpoint { (render_url(&endpoint.url)) } }
            td.stated { span.state.(state_name(row.state())) { (state_word(row.state(), asked)) } }
            td.number data-of="uptime" { (summary.and_then(uptime).unwrap_or_else(nothing)) }
            td.number data-of="p50 ms" { (milliseconds(summary.and_then(|it| it.p50_ms))) }
            td.number data-of="p95 ms" { (milliseconds(summary.and_then(|it| it.p95_ms))) }
            td.number data-of="p99 ms" { (milliseconds(summary.and_then(|it| it.p99_ms))) }
            td.drawn { @if let Some(summary) = summary { (sparkline::render(&summary.series)) } }
            td.when { @if asked { (render_last(summary)) } @else { (nothing()) } }
        }
    }
}

fn render_last(summary: Option<&Summary>) -> Markup {
    let Some(last) = summary.and_then(|summary| summary.last.as_ref()) else {
        return html! { "never checked" };
    };
    html! {
        time datetime=(last.at) { b { (short(last.at)) } }
        " "
        @match last.status_code {
            0 => "no response",
            code => { "HTTP " (code) ", " (grouped(last.response_ms.into())) " ms" }
        }
    }
}

/// A link where it is a web address, plain text where it is anything else: `javascript:` is a URL too.
fn render_url(url: &str) -> Markup {
    let web = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    html! {
        @if web { a.url href=(url) rel="noopener noreferrer" { (url) } } @else { span.url { (url) } }
    }
}

fn state_word(state: Option<State>, asked: bool) -> &'static str {
    match state {
        Some(State::Up) => "Up",
        Some(State::Degraded) => "Degraded",
        Some(State::Down) => "Down",
        None if asked => "No data",
        None => "Unknown",
    }
}

fn uptime(summary: &Summary) -> Option<String> {
    let (answered, samples) = summary.answered()?;
    percent(answered, samples)
}

fn milliseconds(value: Option<u32>) -> String {
    value.map_or_else(nothing, |value| grouped(value.into()))
}

fn nothing() -> String {
    "–".to_owned()
}
