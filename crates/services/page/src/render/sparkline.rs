//! A sparkline: the median response time bucket by bucket, with gaps where nothing was measured and marks
//! where it was down.

use std::fmt::Write;

use maud::{Markup, html};

use super::numbers::{count, grouped};
use crate::fragment::Point;

/// The width of one bucket, in the drawing's own units. The page stretches the whole to its column.
const STEP: usize = 4;
/// Where the line may be highest and lowest; the marks stand below.
const TOP: f64 = 3.0;
const BOTTOM: f64 = 27.0;
/// The height of the whole drawing, marks included.
const HEIGHT: usize = 34;

/// Draws `series`, one point per bucket.
pub(super) fn render(series: &[Point]) -> Markup {
    let width = series.len() * STEP;
    html! {
        svg.spark role="img" viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" {
            title { (describe(series)) }
            path.base d={ "M0 30H" (width) } {}
            @if let Some(outages) = outages(series) { path.out d=(outages) {} }
            @if let Some(path) = line(series) { path.line d=(path) {} }
            @if let Some(path) = dots(series) { path.dots d=(path) {} }
        }
    }
}

/// The line through points that stand side by side.
fn line(series: &[Point]) -> Option<String> {
    let mut path = String::new();
    for run in places(series)
        .chunk_by(|left, right| left.0 + 1 == right.0)
        .filter(|run| run.len() > 1)
    {
        for (place, (bucket, y)) in run.iter().enumerate() {
            let command = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{} {y:.1}", middle(*bucket));
        }
    }
    (!path.is_empty()).then_some(path)
}

/// The points without a neighbour: strokes without length, which round caps make dots.
fn dots(series: &[Point]) -> Option<String> {
    let mut path = String::new();
    for run in places(series).chunk_by(|left, right| left.0 + 1 == right.0) {
        let [(bucket, y)] = run else { continue };
        let _ = write!(path, "M{} {y:.1}h0", middle(*bucket));
    }
    (!path.is_empty()).then_some(path)
}

/// Where each measured point stands: its bucket, and its height from nothing at the bottom to the highest at
/// the top.
fn places(series: &[Point]) -> Vec<(usize, f64)> {
    let highest = series
        .iter()
        .filter_map(|point| point.p50_ms)
        .max()
        .unwrap_or_default()
        .max(1);
    let height = |p50_ms| BOTTOM - (BOTTOM - TOP) * f64::from(p50_ms) / f64::from(highest);
    series
        .iter()
        .enumerate()
        .filter_map(|(bucket, point)| Some((bucket, height(point.p50_ms?))))
        .collect()
}

const fn middle(bucket: usize) -> usize {
    bucket * STEP + STEP / 2
}

/// A mark below each bucket in which something was down: the whole height where nothing else happened.
fn outages(series: &[Point]) -> Option<String> {
    let mut path = String::new();
    for (bucket, point) in series.iter().enumerate() {
        let Some(uptime) = point.uptime.filter(|uptime| uptime.get() < 1.0) else {
            continue;
        };
        let top = if uptime.get() > 0.0 { 26 } else { 2 };
        let _ = write!(path, "M{} {top}h{STEP}V{HEIGHT}h-{STEP}z", bucket * STEP);
    }
    (!path.is_empty()).then_some(path)
}

/// The drawing in words, for those who do not see it.
fn describe(series: &[Point]) -> String {
    let times = || series.iter().filter_map(|point| point.p50_ms);
    let mut text = match (times().min(), times().max()) {
        (Some(least), Some(most)) => {
            format!(
                "Median response time from {} to {} ms",
                grouped(least.into()),
                grouped(most.into())
            )
        }
        _ => "No response time measured".to_owned(),
    };
    let down = series
        .iter()
        .filter(|point| point.uptime.is_some_and(|uptime| uptime.get() < 1.0))
        .count();
    if down > 0 {
        let _ = write!(text, "; down in {} of {}", count(down, "interval"), series.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::Share;

    fn point(p50_ms: Option<u32>, uptime: Option<f64>) -> Point {
        Point {
            p50_ms,
            uptime: uptime.map(|share| Share::try_from(share).unwrap()),
        }
    }

    #[test]
    fn the_line_breaks_where_nothing_was_measured_and_a_lone_point_is_a_dot() {
        let up = |ms| point(Some(ms), Some(1.0));
        let gap = || point(None, None);
        let series = [up(100), up(50), gap(), up(100), gap()];
        assert_eq!(line(&series).unwrap(), "M2 3.0L6 15.0");
        assert_eq!(dots(&series).unwrap(), "M14 3.0h0");
        assert_eq!((line(&[gap(), gap()]), dots(&[gap(), gap()])), (None, None));
    }

    #[test]
    fn outages_are_marked_and_told_apart_from_gaps() {
        let series = [
            point(None, Some(0.0)),
            point(None, None),
            point(Some(80), Some(0.5)),
        ];
        assert_eq!(outages(&series).unwrap(), "M0 2h4V34h-4zM8 26h4V34h-4z");
        assert_eq!(
            describe(&series),
            "Median response time from 80 to 80 ms; down in 2 intervals of 3"
        );
        assert_eq!(outages(&[point(Some(80), Some(1.0))]), None);
    }

    #[test]
    fn response_times_of_nothing_draw_no_infinities() {
        assert_eq!(dots(&[point(Some(0), Some(1.0))]).unwrap(), "M2 27.0h0");
    }
}
