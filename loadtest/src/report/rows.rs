//! A chart of one row for each strategy along a common axis: its name to the left, its figures to the right.

use maud::{Markup, html};

use super::chart::{Frame, Scale, Tick, WIDTH, drawing, horizontal, unit};
use super::style;

/// Where the axis begins and ends, in the drawing's own units.
pub(super) const X_PLACES: (f64, f64) = (128.0, WIDTH - 132.0);
const TOP: f64 = 18.0;

/// What is drawn of one strategy.
pub(super) struct Row<'a> {
    pub(super) strategy: &'a str,
    /// Drawn from the base line, which is at 0, upwards.
    pub(super) inside: Markup,
    /// Beside it, a line each.
    pub(super) labels: Vec<String>,
}

/// The axis of all rows.
pub(super) struct Along {
    pub(super) x: Scale,
    pub(super) ticks: Vec<Tick>,
    pub(super) title: String,
    /// A value to be marked across all rows, and its name.
    pub(super) marked: Option<Tick>,
    /// Whether what is drawn lies around the base line and not upon it.
    pub(super) centred: bool,
}

/// Draws `rows`, each `height` units high.
pub(super) fn render(name: &str, along: &Along, height: f64, rows: &[Row<'_>]) -> Markup {
    let raised = if along.centred { height * 0.35 } else { 0.0 };
    let bases = || (1..=rows.len()).map(|nth| TOP + height * nth_of(nth) - raised);
    let bottom = TOP + height * nth_of(rows.len()) + 8.0;
    let frame = Frame {
        x: along.x,
        y: Scale::linear((0.0, 1.0), (bottom, TOP)),
        x_ticks: along.ticks.clone(),
        y_ticks: Vec::new(),
        x_title: along.title.clone(),
        y_title: String::new(),
    };
    let inside = html! {
        (frame.render())
        @for (row, base) in rows.iter().zip(bases()) { (draw(row, base, along.centred)) }
        @if let Some(mark) = &along.marked && along.x.holds(mark.at) { (marked(along.x.place(mark.at), bottom, &mark.label)) }
    };
    drawing(name, bottom + 62.0, &inside)
}

#[expect(clippy::cast_precision_loss, reason = "there are few rows")]
fn nth_of(nth: usize) -> f64 {
    nth as f64
}

fn draw(row: &Row<'_>, base: f64, centred: bool) -> Markup {
    let name = if centred { 5.0 } else { -8.0 };
    let last = if centred {
        5.5 + 10.5 * nth_of(row.labels.len().saturating_sub(1))
    } else {
        name
    };
    html! {
        g.(style::class(row.strategy)) transform={ "translate(0 " (unit(base)) ")" } {
            path.base d=(horizontal(0.0, X_PLACES.0, X_PLACES.1)) {}
            (row.inside)
            text.name x=(unit(X_PLACES.0 - 14.0)) y=(unit(name)) text-anchor="end" { (row.strategy) }
            @for (line, label) in row.labels.iter().rev().enumerate() {
                text.says x=(unit(X_PLACES.1 + 14.0)) y=(unit(last - 21.0 * nth_of(line))) { (label) }
            }
        }
    }
}

/// A line across everything, such as the budget; its name is where there is room.
fn marked(x: f64, bottom: f64, label: &str) -> Markup {
    let (beside, anchor) = if x < WIDTH * 0.6 {
        (7.0, "start")
    } else {
        (-7.0, "end")
    };
    html! {
        g.limit {
            path d={ "M" (unit(x)) " 4V" (unit(bottom)) } {}
            text x=(unit(x + beside)) y="16" text-anchor=(anchor) { (label) }
        }
    }
}

/// The middle and the far end of a distribution, on the base line: a dot and a diamond.
pub(super) fn marks(middle: f64, far: f64) -> Markup {
    html! {
        path.far d={ "M" (unit(far)) " -8l7 8l-7 8l-7 -8z" } { title { "p99" } }
        circle.middle cx=(unit(middle)) cy="0" r="6.5" { title { "p50" } }
    }
}
