//! Bars that lie below each other: the name to the left, the figure to the right.
//!
//! Names and figures are text of the page and not of the drawing, so that they keep their size on a narrow screen.

use maud::{Markup, html};

use super::chart::unit;
use super::style;

/// The length of the longest bar, in the drawing's own units.
const LENGTH: f64 = 1000.0;

/// One bar.
pub(super) struct Bar<'a> {
    pub(super) strategy: &'a str,
    /// The pieces that it is made of: the class of each, its meaning, and its length as a value.
    pub(super) pieces: Vec<(&'a str, String, f64)>,
    /// The lowest and the highest value over the rounds.
    pub(super) range: Option<(f64, f64)>,
    pub(super) label: String,
}

impl Bar<'_> {
    fn end(&self) -> f64 {
        let whole: f64 = self.pieces.iter().map(|(.., value)| value).sum();
        whole.max(self.range.map_or(0.0, |(_, highest)| highest))
    }
}

/// Draws `bars` on a common scale from zero.
pub(super) fn render(name: &str, bars: &[Bar<'_>]) -> Markup {
    let longest = bars
        .iter()
        .map(Bar::end)
        .filter(|end| end.is_finite())
        .fold(0.0, f64::max);
    let place = |value: f64| {
        if longest > 0.0 && value.is_finite() {
            value / longest * LENGTH
        } else {
            0.0
        }
    };
    html! {
        div.bars role="group" aria-label=(name) {
            @for bar in bars {
                div.row {
                    span.name { (style::sample(bar.strategy)) (bar.strategy) }
                    (draw(bar, place))
                    span.value { (bar.label) }
                }
            }
        }
    }
}

fn draw(bar: &Bar<'_>, place: impl Fn(f64) -> f64) -> Markup {
    let starts = bar.pieces.iter().scan(0.0, |end, (.., value)| {
        let start = *end;
        *end += value;
        Some(start)
    });
    html! {
        svg.bar.(style::class(bar.strategy)) role="img" viewBox="0 0 1000 30" preserveAspectRatio="none" {
            title { (bar.strategy) ": " (bar.label) }
            path.track d="M0 15H1000" {}
            @for ((class, meaning, value), start) in bar.pieces.iter().zip(starts) {
                @if place(*value) > 0.0 {
                    rect.(class) x=(unit(place(start))) y="3" width=(unit(place(*value))) height="24" { title { (meaning) } }
                }
            }
            @if let Some((lowest, highest)) = bar.range {
                path.range d={ "M" (unit(place(lowest))) " 15H" (unit(place(highest)))
                    "M" (unit(place(lowest))) " 9v12M" (unit(place(highest))) " 9v12" } {}
            }
        }
    }
}
