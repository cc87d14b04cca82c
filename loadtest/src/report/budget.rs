//! How long a reader waits, against what it gets: how many answers are marked, and how old they are.

use maud::{Markup, html};

use super::chart::{Frame, Scale, Tick, round_ticks};
use super::lines::{self, Line};
use super::panel::{Panel, nth_table};
use crate::figures::{duration, float, percent, share};
use crate::results::{Numbers, ReaderBudget, Results};

/// The colours of the lines, the freshest page first.
const CLASSES: [&str; 5] = ["s-invalidate", "s-prepopulate", "s-versioned", "s-ttl", "s-none"];

/// What is drawn over the wait.
type Value = fn(&Numbers) -> Option<f64>;

pub(super) fn render(results: &Results) -> Markup {
    let marked = Panel {
        question: "How long would you wait for the truth?",
        answer: answer(results),
        drawing: chart(results, "Share of marked answers", "marked, %", |it| {
            share(it.marked, it.answers()).map(|share| share * 100.0)
        }),
        explanation: html! {
            p {
                "To the right: how long readers wait at most. Upwards: how many answers said that a fragment is stale, because its source had \
                 not answered within the wait. Each line shows one max-age. A reader who accepts an old page gets it unmarked, with its date."
            }
        },
        table: nth_table(results, 0),
    };
    let waited = Panel {
        question: "Did the wait limit the time?",
        answer: None,
        drawing: chart(
            results,
            "Time that 99 of 100 readers did not exceed",
            "waited (p99), ms",
            |it| Some(float(it.waited_us?.p99) / 1e3),
        ),
        explanation: html! {
            p { "99 of 100 readers had the last byte of their answer within this time after their request." }
        },
        table: nth_table(results, 1),
    };
    let age = Panel {
        question: "How old is what they got?",
        answer: None,
        drawing: chart(
            results,
            "Age that 99 of 100 answers did not exceed",
            "age (p99), s",
            |it| Some(float(it.age_us?.p99) / 1e6),
        ),
        explanation: html! {
            p { "From the answer's Fresh-As-Of to its last byte: 99 of 100 answers were not older." }
        },
        table: html! {},
    };
    html! { (marked.render()) (waited.render()) (age.render()) }
}

/// What the shortest and the longest wait cost readers without max-age.
fn answer(results: &Results) -> Option<String> {
    let fresh = || {
        let all = results.strategies.iter();
        all.filter_map(|it| Some((it.reading?, &it.total)))
            .filter(|(reading, _)| reading.max_age_seconds == 0)
    };
    let told = |(reading, numbers): (ReaderBudget, &Numbers)| {
        let marked = percent(share(numbers.marked, numbers.answers())?);
        let waited = duration(numbers.waited_us?.p99);
        let wait = reading.wait_ms;
        Some(format!(
            "with a wait of {wait} ms, {marked} % of the answers are marked, and 99 of 100 arrive within {waited}"
        ))
    };
    let shortest = fresh()
        .min_by_key(|(reading, _)| reading.wait_ms)
        .and_then(told)?;
    let longest = fresh()
        .max_by_key(|(reading, _)| reading.wait_ms)
        .and_then(told)?;
    Some(format!("Without max-age: {shortest}; {longest}."))
}

/// One line for each age, over the wait.
fn chart(results: &Results, name: &str, y_title: &str, value: Value) -> Markup {
    let ages = distinct(results, |reading| reading.max_age_seconds);
    let waits = distinct(results, |reading| reading.wait_ms);
    let names: Vec<String> = ages.iter().map(|age| age_name(*age)).collect();
    let lines: Vec<Line<'_>> = ages
        .iter()
        .zip(&names)
        .enumerate()
        .map(|(place, (age, name))| Line {
            name,
            class: CLASSES[place % CLASSES.len()].to_owned(),
            pieces: vec![points(results, *age, value)],
        })
        .collect();
    let highest = lines
        .iter()
        .flat_map(|line| line.pieces.iter().flatten())
        .map(|(_, y)| *y)
        .fold(0.0, f64::max);
    let (y_ticks, end) = round_ticks(highest);
    let longest = waits.last().map_or(1.0, |wait| float(*wait));
    let frame = Frame {
        x: Scale::linear((0.0, longest), lines::X_PLACES),
        y: Scale::linear((0.0, end), lines::Y_PLACES),
        x_ticks: waits
            .iter()
            .filter(|wait| readable(**wait, longest))
            .map(|wait| Tick::new(float(*wait), wait.to_string()))
            .collect(),
        y_ticks,
        x_title: "how long the reader waits, ms".to_owned(),
        y_title: y_title.to_owned(),
    };
    lines::render(name, &frame, &lines, &html! {})
}

/// Whether a tick has room between its neighbours: those that are near zero have not.
fn readable(wait: u64, longest: f64) -> bool {
    wait == 0 || float(wait) >= longest / 20.0
}

fn points(results: &Results, age: u64, value: Value) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = results
        .strategies
        .iter()
        .filter_map(|it| {
            let reading = it.reading.filter(|reading| reading.max_age_seconds == age)?;
            Some((float(reading.wait_ms), value(&it.total)?))
        })
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The different values of a setting, ascending.
fn distinct(results: &Results, of: fn(&ReaderBudget) -> u64) -> Vec<u64> {
    let mut values: Vec<u64> = results
        .strategies
        .iter()
        .filter_map(|it| it.reading.as_ref().map(of))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn age_name(seconds: u64) -> String {
    match seconds {
        0 => "no max-age".to_owned(),
        seconds => format!("up to {seconds} s old"),
    }
}
