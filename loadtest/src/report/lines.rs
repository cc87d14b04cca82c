//! A chart of lines, the name of each at its end.

use maud::{Markup, html};

use super::chart::{Frame, Scale, WIDTH, drawing, path, unit};

/// Where the axes are, in the drawing's own units: left, right, top, bottom; names have the room to the right.
pub(super) const X_PLACES: (f64, f64) = (78.0, WIDTH - 172.0);
pub(super) const Y_PLACES: (f64, f64) = (372.0, 40.0);
const HEIGHT: f64 = 430.0;
/// How far names stand apart at least.
const APART: f64 = 25.0;

/// A line; several pieces where nothing was measured between.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// What gives it its colour and its dash.
    pub(super) class: String,
    /// Values, not places.
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
}

impl Line<'_> {
    fn end(&self) -> Option<(f64, f64)> {
        self.pieces.last()?.last().copied()
    }
}

/// The scale of the times of all lines, from bottom to top.
pub(super) fn time_scale(values: (f64, f64)) -> Scale {
    Scale::logarithmic(values, Y_PLACES)
}

/// Draws `lines` in `frame`, and `above` over them.
pub(super) fn render(name: &str, frame: &Frame, lines: &[Line<'_>], above: &Markup) -> Markup {
    let inside = html! {
        (frame.render())
        @for line in lines { (draw(frame, line)) }
        (names(frame, lines))
        (above)
    };
    drawing(name, HEIGHT, &inside)
}

fn draw(frame: &Frame, line: &Line<'_>) -> Markup {
    let place = |(x, y): &(f64, f64)| (frame.x.place(*x), frame.y.place(*y));
    let pieces = line.pieces.iter().filter(|piece| !piece.is_empty());
    let paths: Vec<String> = pieces
        .map(|piece| path(&piece.iter().map(place).collect::<Vec<_>>()))
        .collect();
    html! {
        g.(line.class) { title { (line.name) } path.line d=(paths.concat()) {} }
    }
}

/// The names beside the ends, moved apart where the ends are close.
fn names(frame: &Frame, lines: &[Line<'_>]) -> Markup {
    let mut ends: Vec<(&Line<'_>, f64, f64)> = lines
        .iter()
        .filter_map(|line| {
            let (x, y) = line.end()?;
            Some((line, frame.x.place(x), frame.y.place(y)))
        })
        .collect();
    ends.sort_by(|a, b| a.2.total_cmp(&b.2));
    let heights = spread(&ends.iter().map(|end| end.2).collect::<Vec<_>>());
    let left = X_PLACES.1 + 8.0;
    html! {
        @for ((line, x, y), height) in ends.iter().zip(heights) {
            g.(line.class) {
                path.leader d=(path(&[(*x, *y), (left, height)])) {}
                path.line d=(path(&[(left, height), (left + 34.0, height)])) {}
                text.name x=(unit(left + 42.0)) y=(unit(height + 5.5)) { (line.name) }
            }
        }
    }
}

/// Ascending heights as close to `wanted` as keeps them apart, and above the bottom.
fn spread(wanted: &[f64]) -> Vec<f64> {
    let mut heights = wanted.to_vec();
    for place in 1..heights.len() {
        heights[place] = heights[place].max(heights[place - 1] + APART);
    }
    let mut lowest = Y_PLACES.0;
    for height in heights.iter_mut().rev() {
        *height = height.min(lowest);
        lowest = *height - APART;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_stay_on_the_drawing() {
        let heights = spread(&[100.0, 101.0, 372.0, 372.0, 372.0]);
        assert!(
            heights.windows(2).all(|pair| pair[1] - pair[0] >= APART - 1e-9),
            "{heights:?}"
        );
        assert!(heights[4] <= HEIGHT, "{heights:?}");
        assert_eq!(
            heights[..2]
                .iter()
                .map(|height| unit(*height))
                .collect::<Vec<_>>(),
            ["100.0", "125.0"]
        );
    }
}
