//! What the cache had, and what a page cost: hits over time, requests to the sources, CPU time.

use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::{Frame, Scale, Tick, round_ticks};
use super::lines::{self, Line};
use super::panel::{Panel, legend, nth_table, table};
use super::style;
use crate::derived::GENERATOR;
use crate::figures::{brief, known, percent, share};
use crate::results::{Kind, Numbers, Results, Second, StrategyResults};
use crate::strategy::{NONE, TTL};

/// The class of each service in a bar, by its place among them.
const SERVICE_CLASSES: [&str; 7] = ["c-1", "c-2", "c-3", "c-4", "c-5", "c-6", "c-7"];

pub(super) fn render(results: &Results) -> Markup {
    html! {
        (hits(results).render())
        (upstream(results).render())
        (cpu(results).render())
    }
}

fn hits(results: &Results) -> Panel<'_> {
    Panel {
        question: "How often did the cache answer by itself?",
        answer: hit_ratios(results),
        drawing: hits_over_time(results),
        explanation: html! {
            p {
                "The share of each second's answers that came from the cache without a request to a source (" code { "Cache-Status: page; hit" }
                "). "
                @if results.kind == Kind::Compare {
                    "Time counts only the strategy's own turns, put end to end. A line breaks where other strategies had their turns."
                }
            }
        },
        table: ratios_by_round(results),
    }
}

/// What events gain over a TTL; of all others the chart tells enough.
fn hit_ratios(results: &Results) -> Option<String> {
    let ratio = |name| {
        results
            .strategy(name)
            .and_then(|it| it.total.hit_ratio())
            .map(percent)
    };
    let (invalidate, ttl) = (ratio("invalidate")?, ratio(TTL)?);
    Some(format!(
        "{invalidate} % with invalidate, {ttl} % with a TTL of {} s.",
        results.setup.ttl_seconds
    ))
}

fn hits_over_time(results: &Results) -> Markup {
    let seconds = || results.strategies.iter().flat_map(|it| &it.seconds);
    let last = seconds().map(|it| it.second.saturating_add(1)).max().unwrap_or(1);
    let (x_ticks, end) = round_ticks(f64::from(last));
    let frame = Frame {
        x: Scale::linear((0.0, end.min(f64::from(last))), lines::X_PLACES),
        y: Scale::linear((0.0, 1.0), lines::Y_PLACES),
        x_ticks: x_ticks
            .into_iter()
            .filter(|tick| tick.at <= f64::from(last))
            .collect(),
        y_ticks: [0.0, 0.25, 0.5, 0.75, 1.0]
            .map(|at| Tick::new(at, format!("{} %", at * 1e2)))
            .to_vec(),
        x_title: if results.kind == Kind::Replay {
            "seconds of the replay"
        } else {
            "seconds of the strategy's own turns"
        }
        .to_owned(),
        y_title: "hits".to_owned(),
    };
    let lines: Vec<Line<'_>> = results
        .strategies
        .iter()
        .map(|it| Line {
            name: &it.strategy,
            class: style::class(&it.strategy),
            pieces: pieces(&it.seconds),
        })
        .collect();
    lines::render("Hit ratio over time, by strategy", &frame, &lines, &html! {})
}

/// The ratio in the middle of each second that had answers, a piece for each round. A round of one second is as long as that.
fn pieces(seconds: &[Second]) -> Vec<Vec<(f64, f64)>> {
    let rounds = seconds.chunk_by(|a, b| a.round == b.round);
    let ratio = |it: &Second| Some((f64::from(it.second) + 0.5, share(it.hits, it.answers)?));
    rounds
        .map(|round| round.iter().filter_map(ratio).collect::<Vec<_>>())
        .map(|piece| match piece[..] {
            [(middle, ratio)] => vec![(middle - 0.5, ratio), (middle + 0.5, ratio)],
            _ => piece,
        })
        .filter(|piece: &Vec<_>| !piece.is_empty())
        .collect()
}

fn ratios_by_round(results: &Results) -> Markup {
    let rounds = results
        .strategies
        .iter()
        .map(|it| it.rounds.len())
        .max()
        .unwrap_or_default();
    let heads: Vec<String> = ["", "all"]
        .map(str::to_owned)
        .into_iter()
        .chain((1..=rounds).map(|round| format!("round {round}")))
        .collect();
    let rows: Vec<Vec<String>> = results
        .strategies
        .iter()
        .map(|it| {
            let all = std::iter::once(&it.total).chain(&it.rounds);
            let ratios = all.map(|numbers| known(numbers.hit_ratio(), percent));
            std::iter::once(it.strategy.clone()).chain(ratios).collect()
        })
        .collect();
    table("Hits in % of the answers", &heads, &rows)
}

fn upstream(results: &Results) -> Panel<'_> {
    let figure = |it: &Numbers| it.upstream_per_page();
    Panel {
        question: "How many requests do the sources get?",
        answer: compared(results, "many requests to the sources", figure),
        drawing: bars::render(
            "Requests to the sources per page",
            &bars_of(results, "", figure, |it| {
                vec![(
                    "bar-own",
                    "requests to the sources per page".to_owned(),
                    it.upstream_per_page().unwrap_or_default(),
                )]
            }),
        ),
        explanation: html! {
            p {
                "Requests that the page service sent to the sources, divided by the pages that were answered, with the refreshes of \
                 pre-population. The thin line spans the lowest and the highest of the rounds."
            }
        },
        table: nth_table(results, 3),
    }
}

fn cpu(results: &Results) -> Panel<'_> {
    let services: Vec<&str> = results
        .services()
        .into_iter()
        .filter(|name| *name != GENERATOR)
        .collect();
    let legend_entries: Vec<(&str, &str)> = services
        .iter()
        .enumerate()
        .map(|(place, name)| (service_class(place), *name))
        .collect();
    let pieces = |it: &Numbers| {
        services
            .iter()
            .enumerate()
            .filter_map(|(place, name)| {
                let us = it.cpu_per_page(name)?;
                Some((
                    service_class(place),
                    format!("{name}: {} µs per page", brief(us)),
                    us,
                ))
            })
            .collect()
    };
    Panel {
        question: "How much CPU time does a page cost?",
        answer: compared(results, "much CPU time", Numbers::stack_cpu_per_page),
        drawing: html! {
            (bars::render("CPU time per page", &bars_of(results, " µs", Numbers::stack_cpu_per_page, pieces)))
            (legend(&legend_entries))
        },
        explanation: html! {
            p {
                "CPU time of each process, in microseconds for each page answered, with the work for changes and events. The load test's own \
                 CPU time is not included. The thin line spans the lowest and the highest of the rounds."
            }
        },
        table: nth_table(results, 4),
    }
}

fn service_class(place: usize) -> &'static str {
    SERVICE_CLASSES[place % SERVICE_CLASSES.len()]
}

/// A bar for each strategy, which tells `figure` and its range over the rounds.
fn bars_of<'a>(
    results: &'a Results,
    unit: &str,
    figure: impl Fn(&Numbers) -> Option<f64>,
    pieces: impl Fn(&Numbers) -> Vec<(&'a str, String, f64)>,
) -> Vec<Bar<'a>> {
    let bar = |it: &'a StrategyResults| {
        let rounds: Vec<f64> = it.rounds.iter().filter_map(&figure).collect();
        let lowest = rounds.iter().copied().reduce(f64::min);
        let highest = rounds.iter().copied().reduce(f64::max);
        let whole = figure(&it.total);
        Bar {
            strategy: &it.strategy,
            pieces: if whole.is_some() {
                pieces(&it.total)
            } else {
                Vec::new()
            },
            range: lowest.zip(highest).filter(|_| rounds.len() > 1),
            label: known(whole, |it| format!("{}{unit}", brief(it))),
        }
    };
    results.strategies.iter().map(bar).collect()
}

/// How many times the figure of an event-driven strategy that of `none` is.
fn compared(results: &Results, much: &str, figure: impl Fn(&Numbers) -> Option<f64>) -> Option<String> {
    let of = |name| results.strategy(name).and_then(|it| figure(&it.total));
    let times = of(NONE)? / of("invalidate")?;
    times.is_finite().then(|| {
        format!(
            "Without a cache, a page takes {} times as {much} as with invalidate.",
            brief(times)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_between_rounds_and_leaves_out_seconds_without_answers() {
        let second = |round, second, answers| Second {
            round,
            second,
            answers,
            hits: answers / 2,
            ..Second::default()
        };
        let pieces = pieces(&[second(0, 0, 4), second(0, 1, 0), second(1, 2, 2), second(2, 3, 0)]);
        assert_eq!(pieces, [[(0.0, 0.5), (1.0, 0.5)], [(2.0, 0.5), (3.0, 0.5)]]);
    }
}
