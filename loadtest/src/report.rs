//! The run as one file for a browser: what was compared and how, the verdict, and a chart with its table for each question.
//!
//! Nothing is loaded and nothing is run: style and drawings are inside, so that it can be mailed, printed and projected.

mod bars;
mod budget;
mod capacity;
mod chart;
mod comparison;
mod head;
mod latency;
mod lines;
mod panel;
mod rows;
mod style;
mod summary;
mod truth;
mod work;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::baseline::Comparison;
use crate::results::{Kind, Results};
use crate::table;

/// The style, inside the page.
const STYLE: &str = include_str!("report/style.css");

/// Renders the page; with the comparison with an earlier run, if there is one.
pub fn html(results: &Results, comparison: Option<&Comparison>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head::title(results.kind)) ", " (results.started.strftime("%F")) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head::render(results))
                main {
                    (head::setup(results))
                    (head::verdict(&results.verdict))
                    (charts(results))
                    @if let Some(comparison) = comparison { (comparison::render(comparison)) }
                    (tables(results))
                    (head::words())
                }
                (head::foot(results))
            }
        }
    };
    page.into_string()
}

fn charts(results: &Results) -> Markup {
    match results.kind {
        Kind::Capacity => capacity::render(results),
        Kind::Budget => budget::render(results),
        Kind::Compare | Kind::Replay => html! {
            (latency::render(results))
            (truth::render(results))
            (work::render(results))
        },
    }
}

fn tables(results: &Results) -> Markup {
    html! {
        section {
            h2 { "All figures" }
            @for figures in table::figures(results) { (panel::figures_table(&figures)) }
        }
    }
}
