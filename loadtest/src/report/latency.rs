//! How long a reader waits: the distributions one below the other, and their tails.

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{Markup, html};

use super::chart::{Frame, Scale, Tick, one_in, time_ticks, unit};
use super::lines::{self, Line};
use super::panel::{Panel, nth_table};
use super::rows::{self, Along, Row};
use super::style;
use crate::figures::{duration, float};
use crate::results::{Distribution, Quantiles, Results, StrategyResults};

/// How high a hill may be, and the distance from one row to the next.
const HILL: f64 = 52.0;
const ROW: f64 = 68.0;
/// Steps of a hill in each decade.
const STEPS: f64 = 24.0;
/// A quantile is told only if this many answers were slower.
const BEYOND: f64 = 10.0;

pub(super) fn render(results: &Results) -> Markup {
    let hills = Panel {
        question: "How long does a reader wait?",
        answer: answer(results),
        drawing: hills(results),
        explanation: html! {
            p {
                "Each hill shows the distribution of one strategy's answers: the further left, the faster. All hills have the same height: \
                 that of their most frequent time. " b { "●" } " half of the answers were faster (p50); " b { "◆" }
                " 99 of 100 were faster (p99)."
            }
            p {
                "Measured from the time when a request " em { "should" } " have left to the last byte of its answer. Requests keep coming \
                 however slow the answers are, as readers do, so a stall counts for every request that it would have delayed."
            }
        },
        table: nth_table(results, 0),
    };
    let tails = Panel {
        question: "How slow are the slowest answers?",
        answer: None,
        drawing: tails(results),
        explanation: html! {
            p {
                "One in how many requests took longer than this. Typical requests are on the left, rare slow ones on the right: “1 in 100” \
                 is the time that 99 of 100 requests did not exceed. Lower is better; above the line “budget” is too slow. A line ends \
                 where fewer than ten answers were slower."
            }
        },
        table: nth_table(results, 0),
    };
    html! { (hills.render()) (tails.render()) }
}

/// The fastest and the slowest, of all and of the slow answers.
fn answer(results: &Results) -> Option<String> {
    let half = extremes(results, |it| it.p50)?;
    let most = extremes(results, |it| it.p99)?;
    Some(format!(
        "Half of the answers came within {half}; 99 of 100 within {most}."
    ))
}

/// `387 µs with prepopulate and 61 ms with none`.
fn extremes(results: &Results, pick: fn(&Quantiles) -> u64) -> Option<String> {
    let measured = || results.strategies.iter().filter(|it| it.total.answers() > 0);
    let fastest = measured().min_by_key(|it| pick(&it.total.latency_us))?;
    let slowest = measured().max_by_key(|it| pick(&it.total.latency_us))?;
    let told =
        |it: &StrategyResults| format!("{} with {}", duration(pick(&it.total.latency_us)), it.strategy);
    (fastest.strategy != slowest.strategy).then(|| format!("{} and {}", told(fastest), told(slowest)))
}

/// The least and the greatest time of all answers.
fn span(results: &Results) -> (f64, f64) {
    let counted = || {
        results
            .strategies
            .iter()
            .flat_map(|it| &it.latency.0)
            .filter(|(_, count)| *count > 0)
    };
    let least = counted().map(|(us, _)| *us).min().unwrap_or(100).max(1);
    let most = counted().map(|(us, _)| *us).max().unwrap_or(1_000_000);
    (float(least), float(most))
}

fn hills(results: &Results) -> Markup {
    let x = Scale::logarithmic(span(results), rows::X_PLACES);
    let along = Along {
        x,
        ticks: time_ticks(&x),
        title: "time from the intended send to the last byte (each step ten times as long)".to_owned(),
        marked: Some(budget(results)),
        centred: false,
    };
    let rows: Vec<Row<'_>> = results.strategies.iter().map(|it| row(it, &x)).collect();
    rows::render("Distribution of latency by strategy", &along, ROW, &rows)
}

fn budget(results: &Results) -> Tick {
    let ms = results.setup.budget_ms;
    Tick::new(float(ms) * 1e3, format!("budget {ms} ms"))
}

fn row<'a>(results: &'a StrategyResults, x: &Scale) -> Row<'a> {
    let latency = &results.total.latency_us;
    if latency.count == 0 {
        let labels = vec!["no answer".to_owned()];
        return Row {
            strategy: &results.strategy,
            inside: html! {},
            labels,
        };
    }
    let inside = html! {
        path.hill d=(hill(&results.latency, x)) {}
        (rows::marks(x.place(float(latency.p50)), x.place(float(latency.p99))))
    };
    let labels = vec![
        format!("p50 {}", duration(latency.p50)),
        format!("p99 {}", duration(latency.p99)),
    ];
    Row {
        strategy: &results.strategy,
        inside,
        labels,
    }
}

/// The outline of a hill: how many answers fell into each step, smoothed over its neighbours.
fn hill(distribution: &Distribution, x: &Scale) -> String {
    let mut steps = BTreeMap::<i32, f64>::new();
    for (us, count) in distribution.0.iter().filter(|(us, _)| *us > 0) {
        let step = step_of(float(*us));
        for (near, weight) in [(-2, 0.1), (-1, 0.2), (0, 0.4), (1, 0.2), (2, 0.1)] {
            *steps.entry(step + near).or_default() += weight * float(*count);
        }
    }
    let highest = steps.values().copied().fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let (Some(first), Some(last)) = (steps.keys().next(), steps.keys().next_back()) else {
        return String::new();
    };
    let place = |step: i32| unit(x.place(10_f64.powf((f64::from(step) + 0.5) / STEPS)));
    let mut path = format!("M{} 0", place(first - 1));
    for step in *first..=*last {
        let height = steps.get(&step).copied().unwrap_or_default() / highest * HILL;
        let _ = write!(path, "L{} {}", place(step), unit(-height));
    }
    let _ = write!(path, "L{} 0Z", place(last + 1));
    path
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "no time is so long that its logarithm is large"
)]
fn step_of(us: f64) -> i32 {
    (us.log10() * STEPS).floor() as i32
}

fn tails(results: &Results) -> Markup {
    let lines: Vec<Line<'_>> = results
        .strategies
        .iter()
        .map(|it| Line {
            name: &it.strategy,
            class: style::class(&it.strategy),
            pieces: vec![tail(&it.latency)],
        })
        .collect();
    let rarest = lines
        .iter()
        .flat_map(|line| line.pieces.iter().flatten())
        .map(|(x, _)| *x)
        .fold(1.0, f64::max);
    let y = lines::time_scale(span(results));
    let frame = Frame {
        x: Scale::linear((0.0, rarest), lines::X_PLACES),
        y,
        x_ticks: rarities(rarest),
        y_ticks: time_ticks(&y),
        x_title: "this share of the requests took longer".to_owned(),
        y_title: "time".to_owned(),
    };
    let budget = budget(results);
    let above = html! {
        @if y.holds(budget.at) {
            g.limit {
                path d=(super::chart::horizontal(y.place(budget.at), lines::X_PLACES.0, lines::X_PLACES.1)) {}
                text x=(unit(lines::X_PLACES.0 + 8.0)) y=(unit(y.place(budget.at) - 8.0)) { (budget.label) }
            }
        }
    };
    lines::render(
        "Latency by the share of requests that took longer",
        &frame,
        &lines,
        &above,
    )
}

/// Of how many requests one takes longer, as its power of ten, and the time.
fn tail(distribution: &Distribution) -> Vec<(f64, f64)> {
    let all = distribution
        .0
        .iter()
        .fold(0.0, |sum, (_, count)| sum + float(*count));
    let mut left = all;
    let mut points = Vec::new();
    for (us, count) in distribution.0.iter().filter(|(_, count)| *count > 0) {
        points.push(((all / left).log10(), float(*us)));
        left -= float(*count);
        if left < BEYOND {
            break;
        }
    }
    points
}

/// The shares that are told of, as powers of ten.
fn rarities(rarest: f64) -> Vec<Tick> {
    let told = [2, 10, 100, 1_000, 10_000, 100_000, 1_000_000].into_iter();
    told.map(|number| Tick::new(float(number).log10(), one_in(number)))
        .filter(|tick| tick.at <= rarest)
        .collect()
}
