//! How much load each strategy holds, with every rate that was tried.

use maud::{Markup, html};

use super::chart::{Scale, round_ticks, unit};
use super::panel::{Panel, nth_table, table};
use super::rows::{self, Along, Row};
use crate::figures::{brief, duration, grouped, known};
use crate::results::{CapacityResults, Results, Trial};
use crate::strategy::NONE;

/// The distance from one row to the next.
const ROW: f64 = 62.0;

pub(super) fn render(results: &Results) -> Markup {
    let panel = Panel {
        question: "How much load does each strategy sustain?",
        answer: answer(results),
        drawing: drawing(results),
        explanation: html! {
            p {
                "The bar ends at the highest rate of reads that was held: within the budget, and with hardly a failure. Every rate that was tried \
                 is marked, " b { "●" } " held and " b { "✕" } " not held. Requests arrive at the rate intended, whether or not earlier ones were answered."
            }
        },
        table: html! {
            (nth_table(results, 0))
            (trials(results))
        },
    };
    panel.render()
}

fn answer(results: &Results) -> Option<String> {
    let held = |it: &CapacityResults| it.held.filter(|held| *held > 0.0);
    let none = results
        .capacity
        .iter()
        .find(|it| it.strategy == NONE)
        .and_then(held)?;
    let best = results.capacity.iter().max_by(|a, b| {
        held(a)
            .unwrap_or_default()
            .total_cmp(&held(b).unwrap_or_default())
    })?;
    let times = brief(held(best)? / none);
    (best.strategy != NONE).then(|| {
        format!(
            "With {} the stack holds {times} times the rate that it holds without a cache.",
            best.strategy
        )
    })
}

fn drawing(results: &Results) -> Markup {
    let tried = results
        .capacity
        .iter()
        .flat_map(|it| it.trials.iter().map(|trial| trial.rate).chain(it.held));
    let highest = tried.filter(|rate| rate.is_finite()).fold(0.0, f64::max);
    let (ticks, end) = round_ticks(highest);
    let x = Scale::linear((0.0, end), rows::X_PLACES);
    let along = Along {
        x,
        ticks,
        title: "reads per second".to_owned(),
        marked: None,
        centred: false,
    };
    let rows: Vec<Row<'_>> = results.capacity.iter().map(|it| row(it, &x)).collect();
    rows::render("Highest rate held, by strategy", &along, ROW, &rows)
}

fn row<'a>(found: &'a CapacityResults, x: &Scale) -> Row<'a> {
    let start = x.place(0.0);
    let inside = html! {
        @if let Some(held) = found.held {
            rect.held x=(unit(start)) y="-30" width=(unit(x.place(held) - start)) height="24" {}
        }
        @for trial in &found.trials { (mark(trial, x.place(trial.rate))) }
    };
    let held = known(found.held, |held| format!("{} /s", brief(held)));
    let labels = if found.generator_limited {
        vec![format!("≥ {held}"), "generator limit".to_owned()]
    } else {
        vec![held]
    };
    Row {
        strategy: &found.strategy,
        inside,
        labels,
    }
}

fn mark(trial: &Trial, x: f64) -> Markup {
    let told = format!(
        "{} reads/s: {}, p99 {}",
        brief(trial.rate),
        trial
            .why
            .as_deref()
            .unwrap_or(if trial.held { "held" } else { "not held" }),
        duration(trial.latency_us.p99)
    );
    html! {
        @if trial.held {
            circle.tried cx=(unit(x)) cy="-18" r="5.5" { title { (told) } }
        } @else {
            path.missed d={ "M" (unit(x - 6.0)) " -24l12 12m0 -12l-12 12" } { title { (told) } }
        }
    }
}

fn trials(results: &Results) -> Markup {
    let heads = [
        "",
        "intended, reads/s",
        "answered, reads/s",
        "failed",
        "p50, ms",
        "p99, ms",
        "late p99, ms",
        "held",
    ];
    let rows: Vec<Vec<String>> = results
        .capacity
        .iter()
        .flat_map(|it| it.trials.iter().map(|trial| trial_row(&it.strategy, trial)))
        .collect();
    table(
        "Every rate that was tried, in that order",
        &heads.map(str::to_owned),
        &rows,
    )
}

fn trial_row(strategy: &str, trial: &Trial) -> Vec<String> {
    let ms = crate::figures::milliseconds;
    vec![
        strategy.to_owned(),
        brief(trial.rate),
        brief(trial.answered),
        grouped(trial.errors),
        ms(trial.latency_us.p50),
        ms(trial.latency_us.p99),
        ms(trial.late_us.p99),
        if trial.held {
            "yes".to_owned()
        } else {
            trial.why.clone().unwrap_or_else(|| "no".to_owned())
        },
    ]
}
