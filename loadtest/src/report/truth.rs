//! Whether what readers saw was true: how far answers were behind, and how soon a change was seen.

use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::{Scale, horizontal, time_ticks};
use super::panel::{Panel, legend, nth_table, table};
use super::rows::{self, Along, Row};
use crate::figures::{ABSENT, duration, float, grouped, percent, share};
use crate::results::{Distribution, Quantiles, Results, StrategyResults};
use crate::strategy::TTL;

/// The distance from one row to the next.
const ROW: f64 = 66.0;

/// How far behind an answer is: the class, the words, and from how many microseconds on, the last first.
const FAR: [(&str, &str, u64); 6] = [
    ("far-1", "up to 10 ms behind", 0),
    ("far-2", "10 – 100 ms", 10_001),
    ("far-3", "100 ms – 1 s", 100_001),
    ("far-4", "1 – 5 s: stale", 1_000_001),
    ("far-5", "5 – 15 s: stale", 5_000_001),
    ("far-6", "more than 15 s: stale", 15_000_001),
];

pub(super) fn render(results: &Results) -> Markup {
    let ttl = results.setup.ttl_seconds;
    let staleness = Panel {
        question: "Do readers see current data?",
        answer: answer(results),
        drawing: html! {
            (bars::render("Share of the answers that were behind", &behind(results)))
            (legend(&FAR.map(|(class, words, _)| (class, words))))
        },
        explanation: html! {
            p {
                "The share of all answers that lacked a change which had already been confirmed to its writer. " b { "Behind" }
                " is the time from that confirmation to the reader's request, for answers that did not say that a fragment is stale. More \
                 than a second behind is " b { "stale" } "."
            }
            p {
                "The load test makes every change itself and records when it was confirmed, so it knows what each answer lacks. An answer that lacks a change which was confirmed before the date it states itself (" code { "Fresh-As-Of" } ") is a " b { "mismatch" } "."
                @if results.strategy(TTL).is_some() {
                    " The strategy ttl shows old pages by design, here for up to " (ttl) " s: fast, but stale."
                }
            }
        },
        table: html! {
            (by_distance(results))
            (nth_table(results, 1))
        },
    };
    let visible = Panel {
        question: "How soon is a change seen?",
        answer: None,
        drawing: visible(results),
        explanation: html! {
            p {
                "The time from the answer to a change until a read first shows it, on accounts that nobody else reads. " b { "●" }
                " half of the seen changes took no longer (p50); " b { "◆" }
                " 99 of 100 (p99). Changes that were not seen in time are counted separately."
            }
        },
        table: nth_table(results, 2),
    };
    let probed = results.strategies.iter().any(|it| it.total.probes > 0);
    html! {
        (staleness.render())
        @if probed { (visible.render()) }
    }
}

fn answer(results: &Results) -> Option<String> {
    let stale = |it: &&StrategyResults| it.total.stale > 0;
    let told: Vec<String> = results
        .strategies
        .iter()
        .filter(stale)
        .map(|it| {
            let of = share(it.total.stale, it.total.answers())
                .map_or_else(|| grouped(it.total.stale), |it| format!("{} %", percent(it)));
            format!("{of} of the answers of {}", it.strategy)
        })
        .collect();
    match (results.strategies.is_empty(), told.is_empty()) {
        (true, _) => None,
        (_, true) => Some("No answer was stale without saying so.".to_owned()),
        _ => Some(format!(
            "Stale without saying so: {}.",
            crate::figures::listed(&told)
        )),
    }
}

fn behind(results: &Results) -> Vec<Bar<'_>> {
    results
        .strategies
        .iter()
        .map(|it| {
            let answers = it.total.answers();
            let pieces = counts(&it.staleness)
                .into_iter()
                .zip(FAR)
                .map(|(count, (class, words, _))| {
                    let meaning = format!("{words}: {} of {} answers", grouped(count), grouped(answers));
                    (class, meaning, share(count, answers).unwrap_or_default())
                });
            Bar {
                strategy: &it.strategy,
                pieces: pieces.collect(),
                range: None,
                label: behind_label(it),
            }
        })
        .collect()
}

fn behind_label(results: &StrategyResults) -> String {
    let numbers = &results.total;
    match (numbers.answers(), numbers.behind_share(), numbers.behind_us) {
        (0, ..) | (_, None, _) => "no answer".to_owned(),
        _ if numbers.behind == 0 => "none behind".to_owned(),
        (_, Some(behind), Some(far)) => format!("{} %, up to {}", percent(behind), duration(far.max)),
        (_, Some(behind), None) => format!("{} %", percent(behind)),
    }
}

/// How many answers are that far behind, for each of [`FAR`].
fn counts(distribution: &Distribution) -> [u64; FAR.len()] {
    let mut counts = [0_u64; FAR.len()];
    for (us, count) in &distribution.0 {
        let far = FAR.iter().rposition(|(.., from)| us >= from).unwrap_or_default();
        counts[far] = counts[far].saturating_add(*count);
    }
    counts
}

fn by_distance(results: &Results) -> Markup {
    let heads: Vec<String> = std::iter::once("")
        .chain(FAR.map(|(_, words, _)| words))
        .map(str::to_owned)
        .collect();
    let rows: Vec<Vec<String>> = results
        .strategies
        .iter()
        .map(|it| {
            std::iter::once(it.strategy.clone())
                .chain(counts(&it.staleness).map(grouped))
                .collect()
        })
        .collect();
    table("Answers by how far they were behind", &heads, &rows)
}

fn visible(results: &Results) -> Markup {
    let measured = || {
        results
            .strategies
            .iter()
            .filter_map(|it| it.total.visible_us)
            .filter(|it| it.count > 0)
    };
    let least = measured().map(|it| it.p50).min().unwrap_or(1_000).max(1);
    let most = measured().map(|it| it.p99).max().unwrap_or(1_000_000);
    let x = Scale::logarithmic((float(least), float(most) * 1.2), rows::X_PLACES);
    let along = Along {
        x,
        ticks: time_ticks(&x),
        title: "time until the change was seen (each step ten times as long)".to_owned(),
        marked: None,
        centred: true,
    };
    let rows: Vec<Row<'_>> = results.strategies.iter().map(|it| seen(it, &x)).collect();
    rows::render("Time until a change was seen, by strategy", &along, ROW, &rows)
}

fn seen<'a>(results: &'a StrategyResults, x: &Scale) -> Row<'a> {
    let numbers = &results.total;
    let mut labels = Vec::new();
    let mut inside = html! {};
    if let Some(Quantiles { p50, p99, .. }) = numbers.visible_us.filter(|it| it.count > 0) {
        let (middle, far) = (x.place(float(p50)), x.place(float(p99)));
        inside = html! { path.line d=(horizontal(0.0, middle, far)) {} (rows::marks(middle, far)) };
        labels = vec![format!("p50 {}", duration(p50)), format!("p99 {}", duration(p99))];
    }
    if numbers.never_visible > 0 {
        labels.push(format!(
            "{} of {} not seen",
            grouped(numbers.never_visible),
            grouped(numbers.probes)
        ));
    }
    if labels.is_empty() {
        labels.push(ABSENT.to_owned());
    }
    Row {
        strategy: &results.strategy,
        inside,
        labels,
    }
}
