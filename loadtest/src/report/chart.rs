//! Axes: where a value stands on a drawing, and the lines and labels that say so.
//!
//! Drawn here and not by a library of charts: each colour must be a variable of the style, each line a class and each
//! drawing a title, and what remains of a chart is arithmetic.

use maud::{Markup, html};

use crate::figures::{brief, grouped};

/// The width of a drawing in its own units; the page stretches it.
pub(super) const WIDTH: f64 = 920.0;

/// Maps values to places. Beyond its ends a value stands at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    values: (f64, f64),
    places: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// Equal distances for equal differences.
    pub(super) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        Self {
            values,
            places,
            logarithmic: false,
        }
    }

    /// Equal distances for equal ratios, from the power of ten below the values to their end.
    pub(super) fn logarithmic(values: (f64, f64), places: (f64, f64)) -> Self {
        let least = 10_f64.powf(values.0.max(1e-9).log10().floor());
        Self {
            values: (least, values.1.max(least * 10.0)),
            places,
            logarithmic: true,
        }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let along = if self.logarithmic {
            (value / self.values.0).ln() / (self.values.1 / self.values.0).ln()
        } else {
            (value - self.values.0) / (self.values.1 - self.values.0)
        };
        let along = if along.is_finite() {
            along.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.places.0 + along * (self.places.1 - self.places.0)
    }

    /// Whether `value` is on it.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.values.0..=self.values.1).contains(&value)
    }

    /// The powers of ten on a logarithmic scale.
    fn decades(&self) -> impl Iterator<Item = f64> {
        let (first, last) = self.values;
        std::iter::successors(Some(first), |value| Some(value * 10.0))
            .take_while(move |value| *value <= last * 1.000_1)
    }
}

/// A labelled place on an axis.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl Tick {
    pub(super) fn new(at: f64, label: impl Into<String>) -> Self {
        Self {
            at,
            label: label.into(),
        }
    }
}

/// Two axes and the rectangle between them.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) x_ticks: Vec<Tick>,
    pub(super) y_ticks: Vec<Tick>,
    pub(super) x_title: String,
    pub(super) y_title: String,
}

impl Frame {
    /// The lines and labels of both axes; what is drawn later lies above them.
    pub(super) fn render(&self) -> Markup {
        let ((left, right), (bottom, top)) = (self.x.places, self.y.places);
        html! {
            g.axes {
                @for (at, label) in self.x_ticks.iter().map(|tick| (self.x.place(tick.at), &tick.label)) {
                    path.grid d=(vertical(at, top, bottom)) {}
                    text.tick x=(unit(at)) y=(unit(bottom + 22.0)) text-anchor="middle" { (label) }
                }
                @for (at, label) in self.y_ticks.iter().map(|tick| (self.y.place(tick.at), &tick.label)) {
                    path.grid d=(horizontal(at, left, right)) {}
                    text.tick x=(unit(left - 10.0)) y=(unit(at + 5.0)) text-anchor="end" { (label) }
                }
                path.axis d=(horizontal(bottom, left, right)) {}
                text.title x=(unit(f64::midpoint(left, right))) y=(unit(bottom + 48.0)) text-anchor="middle" { (self.x_title) }
                text.title x=(unit(left)) y=(unit(top - 14.0)) text-anchor="start" { (self.y_title) }
            }
        }
    }
}

/// The drawing around `inside`, with its name for those who do not see it.
pub(super) fn drawing(name: &str, height: f64, inside: &Markup) -> Markup {
    html! {
        svg.chart role="img" viewBox={ "0 0 " (unit(WIDTH)) " " (unit(height)) } {
            title { (name) }
            (inside)
        }
    }
}

/// Ticks of a scale of microseconds, at the powers of ten.
pub(super) fn time_ticks(scale: &Scale) -> Vec<Tick> {
    let label = |us: f64| match us {
        _ if us < 1e3 => format!("{} ms", brief(us / 1e3).trim_end_matches('0')),
        _ if us < 1e6 => format!("{:.0} ms", us / 1e3),
        _ => format!("{:.0} s", us / 1e6),
    };
    scale.decades().map(|us| Tick::new(us, label(us))).collect()
}

/// Round numbers from 0 to `highest`, four to eight of them; and the end of the scale, which the last of them is.
pub(super) fn round_ticks(highest: f64) -> (Vec<Tick>, f64) {
    let highest = if highest.is_finite() && highest > 0.0 {
        highest
    } else {
        1.0
    };
    let decade = 10_f64.powf((highest / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * decade)
        .into_iter()
        .find(|step| highest / step <= 7.0)
        .unwrap_or(decade * 10.0);
    let last = (highest / step).ceil();
    let ticks = (0..=8)
        .map(f64::from)
        .take_while(|nth| *nth <= last)
        .map(|nth| Tick::new(nth * step, label(nth * step)));
    (ticks.collect(), last * step)
}

fn label(value: f64) -> String {
    if value >= 1.0 || value == 0.0 {
        crate::figures::chosen(value)
    } else {
        brief(value)
    }
}

/// A coordinate with a tenth of a unit, which is finer than any screen.
pub(super) fn unit(place: f64) -> String {
    format!("{place:.1}")
}

pub(super) fn horizontal(y: f64, from: f64, to: f64) -> String {
    format!("M{} {}H{}", unit(from), unit(y), unit(to))
}

pub(super) fn vertical(x: f64, from: f64, to: f64) -> String {
    format!("M{} {}V{}", unit(x), unit(from), unit(to))
}

/// A line through `points`; those that nobody could tell from the one before are left out.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let mut former: Option<(f64, f64)> = None;
    for (place, (x, y)) in points.iter().enumerate() {
        let near = former.is_some_and(|former| (x - former.0).abs() < 0.7 && (y - former.1).abs() < 0.7);
        if near && place + 1 < points.len() {
            continue;
        }
        path.push(if former.is_none() { 'M' } else { 'L' });
        path.push_str(&unit(*x));
        path.push(' ');
        path.push_str(&unit(*y));
        former = Some((*x, *y));
    }
    path
}

/// `1 in 1,000`.
pub(super) fn one_in(number: u64) -> String {
    format!("1 in {}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_scale_gives_each_decade_the_same_room() {
        let scale = Scale::logarithmic((150.0, 100_000.0), (0.0, 300.0));
        let places = [100.0, 1_000.0, 10_000.0, 100_000.0].map(|value| scale.place(value).round());
        assert_eq!(places.map(|place| format!("{place}")), ["0", "100", "200", "300"]);
        assert_eq!(
            time_ticks(&scale)
                .iter()
                .map(|it| it.label.as_str())
                .collect::<Vec<_>>(),
            ["0.1 ms", "1 ms", "10 ms", "100 ms"]
        );
    }

    #[test]
    fn nothing_stands_beside_its_scale() {
        let scale = Scale::linear((0.0, 10.0), (100.0, 0.0));
        let places = [-1.0, 5.0, 11.0, f64::NAN, f64::INFINITY].map(|value| unit(scale.place(value)));
        assert_eq!(places, ["100.0", "50.0", "0.0", "100.0", "100.0"]);
        assert_eq!(unit(Scale::linear((0.0, 0.0), (7.0, 9.0)).place(0.0)), "7.0");
    }

    #[test]
    fn ticks_are_round_numbers_that_reach_beyond_the_highest_value() {
        for highest in [0.0, 0.04, 0.9, 3.0, 42.0, 5_712.0, 1e7] {
            let (ticks, end) = round_ticks(highest);
            assert!((4..=9).contains(&ticks.len()), "{highest}: {ticks:?}");
            assert!(
                end >= highest && (ticks.last().unwrap().at - end).abs() < 1e-9,
                "{highest}: {end}"
            );
        }
        let labels: Vec<String> = round_ticks(3.0).0.into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["0", "0.50", "1", "1.5", "2", "2.5", "3"]);
    }

    #[test]
    fn a_path_leaves_out_what_nobody_sees_but_never_its_end() {
        let points = [(0.0, 0.0), (0.1, 0.1), (5.0, 0.0), (5.1, 0.1)];
        assert_eq!(path(&points), "M0.0 0.0L5.0 0.0L5.1 0.1");
        assert_eq!(path(&[]), "");
    }
}
