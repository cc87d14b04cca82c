//! The lab's page as it is sent: its frame and its controls, which the script then fills from each picture.

use maud::{DOCTYPE, Markup, html};

use super::buttons::{button, lab_command, toggle};
use super::naive;
use super::stage::Stage;
use crate::config::STRATEGIES;
use crate::parts::{NAIVE, Part};
use stack::ports::url;
use stack::supervisor::Layer;
use stack::{AGES_SECONDS, Source, WAITS_MS};

use crate::strategies::LoadTest;

/// The page's style.
pub(super) const STYLE: &str = concat!(
    include_str!("../../vendor/uPlot.min.css"),
    include_str!("page.css"),
    include_str!("strategies.css")
);
/// The script that fills the page and sends what is clicked.
pub(super) const SCRIPT: &str = include_str!("page.js");
/// The library that draws the charts: served from here, so that a projector needs no network.
pub(super) const CHART_LIBRARY: &str = include_str!("../../vendor/uPlot.iife.min.js");
/// The charts.
pub(super) const CHARTS: &str = include_str!("charts.js");
/// The comparison of the strategies.
pub(super) const STRATEGIES_SCRIPT: &str = include_str!("strategies.js");

/// Renders why there is nothing else to show.
pub(super) fn render_problem(title: &str, details: &[String]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/lab.css";
            }
            body {
                main {
                    h1 { (title) }
                    @for detail in details { p { (detail) } }
                    p { a href="/" { "The lab" } }
                }
            }
        }
    }
}

/// Renders the page.
pub(super) fn render(stage: &Stage) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "The lab" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/lab.css";
                script src="/uPlot.js" defer {}
                script src="/charts.js" defer {}
                script src="/strategies.js" defer {}
                script src="/lab.js" defer {}
            }
            body data-traces=[stage.stack.traces_url()] data-sources=(Source::ALL.map(Source::name).join(" ")) {
                (render_top(stage))
                main {
                    (render_sources(stage))
                    (render_middle(stage))
                    (render_replicas(stage))
                    (render_writes(stage))
                    (render_charts())
                }
                (render_comparison())
            }
        }
    }
}

fn render_top(stage: &Stage) -> Markup {
    let chosen = stage.chosen().clone();
    let page = format!("{}/accounts/{{account}}", stage.stack.first_page_url());
    html! {
        header {
            h1 { "The lab" }
            label { "Account "
                select id="account" data-do="watch?id=" data-command=(lab_command(stage, "watch?id={value}")) {
                    @for account in &stage.accounts {
                        option value=(account.id) selected[account.id == chosen.account] { (account.id) " · " (account.name) }
                    }
                }
            }
            label { "Strategy "
                select id="strategy" data-do="strategy?name="
                    data-command={ "curl -H 'Cache-Strategy: {value}' " (page) } {
                    @for strategy in STRATEGIES {
                        option value=(strategy) selected[strategy == chosen.strategy] { (strategy) }
                    }
                }
            }
            label { "Waits "
                select id="wait" data-do="wait?ms=" data-command={ "curl -H 'Prefer: wait-ms={value}' " (page) } {
                    option value="" { "as set" }
                    @for ms in WAITS_MS { option value=(ms) { (ms) " ms" } }
                }
            }
            label { "May be "
                select id="max-age" data-do="max-age?seconds=" data-command={ "curl -H 'Cache-Control: max-age={value}' " (page) } {
                    option value="" { "fresh" }
                    @for seconds in AGES_SECONDS { option value=(seconds) { (seconds) " s old" } }
                }
            }
            (button(stage, "undo-all", "Undo all faults"))
            button type="button" data-do="compare" data-command=(LoadTest::new(&stage.stack).command()) { "Compare strategies" }
            p id="live" role="status" { "connecting" }
        }
    }
}

fn render_sources(stage: &Stage) -> Markup {
    html! {
        section.sources aria-label="Sources" {
            h2 { "Sources " small { "own the data" } }
            @for part in stage.layer(Layer::Source) {
                @let name = part.program.name.as_str();
                article.part data-part=(name) {
                    (render_head(part))
                    dl {
                        dt { "outbox" } dd data-field="pending" {}
                        dt { "slowed" } dd data-field="injected" {}
                    }
                    div.buttons {
                        (toggle(name, "pause")) (toggle(name, "kill"))
                        span.slow {
                            (toggle(name, "slow"))
                            label.ms { span.hidden { "Milliseconds for " (name) }
                                input type="number" min="50" max="9000" step="50" value="300" data-ms=(name);
                                " ms"
                            }
                        }
                    }
                }
            }
        }
    }
}

fn render_middle(stage: &Stage) -> Markup {
    html! {
        section.broker aria-label="Broker" {
            h2 { "NATS " small { "carries events" } }
            @for part in stage.layer(Layer::Broker) {
                article.part data-part=(part.program.name) {
                    (render_head(part))
                    div.buttons {
                        (toggle(&part.program.name, "stop"))
                        (toggle(&part.program.name, "pause"))
                        (button(stage, "delete-stream", "Delete the stream"))
                    }
                }
            }
            div.flow {
                h3 { "Events " small { "account · source · what · revision · trace" } }
                ol id="events" tabindex="0" aria-label="The newest events" {}
            }
        }
    }
}

fn render_replicas(stage: &Stage) -> Markup {
    html! {
        section.replicas aria-label="Replicas of the page" {
            h2 { "Replicas " small { "same account, a cache each" } }
            @for part in stage.layer(Layer::Edge) {
                @let name = part.program.name.as_str();
                article.part.replica data-part=(name) {
                    (render_head(part))
                    div.buttons {
                        (toggle(name, "pause")) (toggle(name, "kill"))
                        @if stage.link_of(name).is_some() {
                            span title={ "Cuts " (NAIVE) " off, too: both reach NATS by the same link" } { (toggle(name, "cut")) }
                        }
                    }
                    div.verdict role="status" { b data-field="colour" {} " " span data-field="why" {} }
                    p.shown { a data-field="name" href={ (url(part.port)) "/" } data-base=(url(part.port)) target="_blank" rel="noopener" {} " "
                        span data-field="content" {} }
                    dl {
                        dt { "Cache-Status" } dd data-field="cache_status" {}
                        dt { "Fresh-As-Of" } dd data-field="age" {}
                        dt { "Trace-Id" } dd.trace { a data-field="trace_id" target="_blank" rel="noopener" {} }
                    }
                    ul.feeds data-field="feeds" aria-label="What it knows of the sources" {}
                    (render_counts())
                }
            }
            (naive::render(stage))
        }
    }
}

/// What a replica did since its start; the script highlights what rises.
fn render_counts() -> Markup {
    let counts = [
        (
            "fenced",
            "Events that it applied since its start: each raised a fence, so that no page from before it is shown unproven",
        ),
        (
            "refreshed",
            "Pages that it composed anew on an event, before anybody asked, since its start and with the strategy chosen",
        ),
        (
            "read",
            "Reads that it answered since its start with the strategy chosen, those of the lab among them",
        ),
    ];
    html! {
        p.counts {
            @for (count, what) in counts {
                span title=(what) { (count) " " b data-field=(count) {} } " "
            }
        }
    }
}

fn render_writes(stage: &Stage) -> Markup {
    let [accounts, endpoints, metrics] = [Source::Accounts, Source::Endpoints, Source::Metrics]
        .map(|source| url(stage.stack.ports.sources[source]));
    let json = "-H 'content-type: application/json'";
    html! {
        section.writes aria-label="Change the account" {
            h2 { "Write " small { "to the account shown" } }
            div.buttons {
                label { span.hidden { "New name" } input id="name" maxlength="100" placeholder="a new name"; }
                button type="button" data-do="rename?name={name}"
                    data-command={ "curl -X PATCH " (accounts) "/accounts/{account} " (json) " -d '{\"name\":\"{name}\"}'" } { "Rename" }
                button type="button" data-do="add-endpoint"
                    data-command={ "curl -X POST " (endpoints) "/accounts/{account}/endpoints " (json)
                        " -d '{\"name\":\"Added\",\"url\":\"https://example.org/lab\"}'" } { "Add an endpoint" }
                button type="button" data-do="burst"
                    data-command={ "for i in $(seq 20); do curl -X POST " (metrics) "/accounts/{account}/samples " (json)
                        " -d '{\"samples\":[{\"endpoint_id\":{endpoint},\"state\":\"up\",\"status_code\":200,\"response_ms\":20}]}' & done; wait" } {
                    "Burst of samples" }
            }
            p id="done" role="status" { "Nothing was done yet." }
            p.terminal { "The same in a terminal: " code id="command" tabindex="0" { "point at a control, or go to it with Tab" } }
        }
    }
}

/// Filled by the script from `GET /comparison`.
fn render_comparison() -> Markup {
    html! {
        dialog id="comparison" aria-labelledby="comparison-title" {
            div.title {
                h2 id="comparison-title" { "The strategies compared" }
                button type="button" { "Close" }
            }
            p id="comparing" role="status" {}
            div id="compared" {}
        }
    }
}

fn render_charts() -> Markup {
    let charts = [
        ("took", "Read, ms", 1),
        ("hits", "Hits, %", 100),
        ("age", "Age shown, ms", 1),
        ("fetches", "Requests to sources, per s", 1),
    ];
    html! {
        section.charts aria-label="The last minute" {
            @for (id, title, top) in charts {
                figure {
                    figcaption { (title) " " b data-latest=(id) {} small data-when=(id) {} }
                    div data-chart=(id) data-top=(top) role="img" aria-label=(title) {}
                }
            }
        }
    }
}

fn render_head(part: &Part) -> Markup {
    html! {
        h3 { (part.program.name) " " small { ":" (part.port) } span.state data-field="state" {} }
    }
}
