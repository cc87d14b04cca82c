//! The comparison with an earlier run, as a table with a small drawing of both spreads.

use maud::{Markup, html};

use super::chart::{Scale, unit};
use crate::baseline::{self, Comparison, Judgement, Row};

pub(super) fn render(comparison: &Comparison) -> Markup {
    html! {
        section {
            h2 { "Compared with an earlier run" }
            p {
                "Ratios to " b { (comparison.reference) } ", taken within each round, so that a slower or busier machine changes little. \
                 Median, and from the lowest to the highest of the rounds; less is better. The earlier run began "
                (comparison.then.strftime("%F %T UTC")) ", this one " (comparison.now.strftime("%F %T UTC")) "."
            }
            div.scroll {
                table.comparison {
                    thead { tr { th scope="col" { "" } th scope="col" { "" } th scope="col" { "then" } th scope="col" { "now" }
                        th scope="col" { "then above, now below" } th scope="col" { "" } } }
                    tbody { @for row in &comparison.rows { (line(row)) } }
                }
            }
            @for sentence in baseline::sentences(comparison) { p.small { (sentence) } }
        }
    }
}

fn line(row: &Row) -> Markup {
    html! {
        tr {
            th scope="row" { (row.strategy) }
            td.words { (row.measure) }
            td { (baseline::spread_text(&row.then)) }
            td { (baseline::spread_text(&row.now)) }
            td.words { (spreads(row)) }
            td.words.(class(row.judgement)) { (baseline::judgement(row.judgement)) }
        }
    }
}

fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Better => "pass",
        Judgement::Worse => "fail",
        Judgement::NoDifference | Judgement::Unknown => "soft",
    }
}

/// Both spreads on a scale from zero to the highest of them.
fn spreads(row: &Row) -> Markup {
    let x = Scale::linear((0.0, row.then.max.max(row.now.max)), (4.0, 196.0));
    html! {
        svg.spreads role="img" viewBox="0 0 200 26" {
            title { "then " (baseline::spread_text(&row.then)) ", now " (baseline::spread_text(&row.now)) }
            @for (class, y, spread) in [("then", 7.0, &row.then), ("now", 19.0, &row.now)] {
                g.(class) {
                    path d={ "M" (unit(x.place(spread.min))) " " (unit(y)) "H" (unit(x.place(spread.max))) } {}
                    circle cx=(unit(x.place(spread.median))) cy=(unit(y)) r="4" {}
                }
            }
        }
    }
}
