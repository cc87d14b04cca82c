//! One question with its answer: a sentence, a drawing, how it was measured, and the table behind it.

use maud::{Markup, html};

use crate::results::Results;
use crate::table::{Figures, figures};

/// What stands in a panel, from top to bottom.
pub(super) struct Panel<'a> {
    /// What a reader may ask.
    pub(super) question: &'a str,
    /// The answer in one sentence, where there is one.
    pub(super) answer: Option<String>,
    pub(super) drawing: Markup,
    /// What it shows and how that was measured, in plain language.
    pub(super) explanation: Markup,
    pub(super) table: Markup,
}

impl Panel<'_> {
    pub(super) fn render(self) -> Markup {
        html! {
            section {
                h2 { (self.question) }
                @if let Some(answer) = self.answer { p.answer { (answer) } }
                figure {
                    (self.drawing)
                    figcaption { (self.explanation) }
                }
                @if !self.table.0.is_empty() { details { summary { "The figures behind it" } (self.table) } }
            }
        }
    }
}

/// One of the tables of a run, by its place among them.
pub(super) fn nth_table(results: &Results, place: usize) -> Markup {
    let tables = figures(results);
    tables.get(place).map(figures_table).unwrap_or_default()
}

/// A table by strategy: names to the left, figures to the right.
pub(super) fn figures_table(figures: &Figures) -> Markup {
    table(&figures.title, &figures.heads, &figures.rows)
}

/// A table whose first column names the rows.
pub(super) fn table(title: &str, heads: &[String], rows: &[Vec<String>]) -> Markup {
    html! {
        div.scroll {
            table {
                caption { (title) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (column, cell) in row.iter().enumerate() {
                                @if column == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A legend: a coloured patch and what it means, each.
pub(super) fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, meaning) in entries {
                li { svg.patch viewBox="0 0 10 10" aria-hidden="true" { rect.(class) width="10" height="10" {} } (meaning) }
            }
        }
    }
}
