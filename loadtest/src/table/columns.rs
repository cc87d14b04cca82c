//! Which figures are told of a run, in tables by subject; the text and the report show the same.

use crate::figures::{ABSENT, brief, grouped, known, milliseconds, percent, share};
use crate::results::{CapacityResults, Kind, Numbers, Quantiles, Results, Trial};

/// One table: units are in the title or in the heads.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// What it is about.
    pub(crate) title: String,
    /// The head of each column; the first is that of the names.
    pub(crate) heads: Vec<String>,
    /// A row for each strategy, its name first.
    pub(crate) rows: Vec<Vec<String>>,
}

/// How one figure is written of the numbers of a strategy.
type Format<'a> = Box<dyn Fn(&Numbers) -> String + 'a>;
/// A column: its head and its figure.
type Column<'a> = (String, Format<'a>);

/// All tables of a run.
pub(crate) fn figures(results: &Results) -> Vec<Figures> {
    match results.kind {
        Kind::Capacity => vec![capacity(results)],
        Kind::Budget => vec![budget(results), latency(results)],
        Kind::Compare | Kind::Replay => {
            vec![
                latency(results),
                truth(results),
                visible(results),
                sources(results),
                cpu(results),
                ages(results),
            ]
        }
    }
}

fn column<'a>(head: &str, format: impl Fn(&Numbers) -> String + 'a) -> Column<'a> {
    (head.to_owned(), Box::new(format))
}

fn by_strategy(results: &Results, title: &str, columns: Vec<Column<'_>>) -> Figures {
    let row = |name: &str, numbers: &Numbers| {
        let figures = columns.iter().map(|(_, format)| format(numbers));
        std::iter::once(name.to_owned()).chain(figures).collect()
    };
    let rows = results
        .strategies
        .iter()
        .map(|it| row(&it.strategy, &it.total))
        .collect();
    let heads = std::iter::once(String::new())
        .chain(columns.into_iter().map(|(head, _)| head))
        .collect();
    Figures {
        title: title.to_owned(),
        heads,
        rows,
    }
}

/// The columns of a distribution.
fn quantiles<'a>(of: impl Fn(&Numbers) -> Option<Quantiles> + Copy + 'a) -> Vec<Column<'a>> {
    let at = move |head: &str, pick: fn(&Quantiles) -> u64| {
        column(head, move |it| {
            let measured = of(it).filter(|quantiles| quantiles.count > 0);
            known(measured, |quantiles| milliseconds(pick(&quantiles)))
        })
    };
    vec![
        at("p50", |it| it.p50),
        at("p90", |it| it.p90),
        at("p99", |it| it.p99),
        at("p99.9", |it| it.p999),
        at("max", |it| it.max),
    ]
}

fn latency(results: &Results) -> Figures {
    let mut columns = vec![
        column("reads", |it| grouped(it.reads)),
        column("failed, %", |it| known(it.failed_share(), percent)),
    ];
    columns.extend(quantiles(|it| Some(it.latency_us)));
    let within = format!("≤ {} ms, %", results.setup.budget_ms);
    columns.push(column(&within, |it| known(it.within_share(), percent)));
    columns.push(column("late p50", |it| late(it, |late| late.p50)));
    columns.push(column("late p99", |it| late(it, |late| late.p99)));
    let title =
        "Latency in ms, from the intended send time to the last byte; late: how much later requests left";
    by_strategy(results, title, columns)
}

fn late(numbers: &Numbers, pick: fn(&Quantiles) -> u64) -> String {
    let measured = (numbers.late_us.count > 0).then_some(&numbers.late_us);
    known(measured, |late| milliseconds(pick(late)))
}

fn truth(results: &Results) -> Figures {
    let mut columns = vec![
        column("answers", |it| grouped(it.answers())),
        column("marked", |it| grouped(it.marked)),
        column("behind", |it| grouped(it.behind)),
        column("behind, %", |it| known(it.behind_share(), percent)),
        column("stale (> 1 s)", |it| grouped(it.stale)),
        column("mismatches", |it| grouped(it.mismatches)),
    ];
    columns.extend(quantiles(|it| it.behind_us));
    let title = "Staleness: answers that lacked an acknowledged change without saying so, and how far they were behind, in ms";
    by_strategy(results, title, columns)
}

fn budget(results: &Results) -> Figures {
    let waited =
        |pick: fn(&Quantiles) -> u64| move |it: &Numbers| known(it.waited_us, |it| milliseconds(pick(&it)));
    let columns = vec![
        column("answers", |it| grouped(it.answers())),
        column("waited p50", waited(|it| it.p50)),
        column("p99", waited(|it| it.p99)),
        column("p99.9", waited(|it| it.p999)),
        column("marked, %", |it| known(share(it.marked, it.answers()), percent)),
        column("age p50", |it| known(it.age_us, |age| milliseconds(age.p50))),
        column("p99", |it| known(it.age_us, |age| milliseconds(age.p99))),
        column("if marked, p99", |it| {
            known(it.marked_age_us, |age| milliseconds(age.p99))
        }),
        column("too old", |it| grouped(it.too_old)),
        column("mismatches", |it| grouped(it.mismatches)),
    ];
    let title = "What readers got: how long they waited and how old their answers were, in ms";
    by_strategy(results, title, columns)
}

fn ages(results: &Results) -> Figures {
    let of = |head: &str, of: fn(&Numbers) -> Option<Quantiles>, pick: fn(&Quantiles) -> u64| {
        column(head, move |it| known(of(it), |age| milliseconds(pick(&age))))
    };
    let columns = vec![
        column("marked", |it| grouped(it.marked)),
        column("marked, %", |it| known(share(it.marked, it.answers()), percent)),
        of("age p50", |it| it.age_us, |age| age.p50),
        of("p99", |it| it.age_us, |age| age.p99),
        of("of marked p50", |it| it.marked_age_us, |age| age.p50),
        of("p99", |it| it.marked_age_us, |age| age.p99),
        of("max", |it| it.marked_age_us, |age| age.max),
    ];
    let title = "Age of the answers in ms, from their Fresh-As-Of to their last byte";
    by_strategy(results, title, columns)
}

fn visible(results: &Results) -> Figures {
    let mut columns = vec![
        column("changes", |it| grouped(it.writes)),
        column("failed", |it| grouped(it.write_errors)),
        column("probed", |it| grouped(it.probes)),
        column("never seen", |it| {
            if it.probes > 0 {
                grouped(it.never_visible)
            } else {
                ABSENT.to_owned()
            }
        }),
    ];
    columns.extend(quantiles(|it| it.visible_us));
    by_strategy(
        results,
        "Changes, and the time in ms from the answer to a change until a read showed it",
        columns,
    )
}

fn sources(results: &Results) -> Figures {
    let per_page = |count: fn(&Numbers) -> Option<u64>| {
        move |it: &Numbers| known(count(it).and_then(|count| share(count, it.answers())), brief)
    };
    let columns = vec![
        column("hits, %", |it| known(it.hit_ratio(), percent)),
        column("shared, %", |it| {
            known(share(it.collapsed, it.answers()), percent)
        }),
        column("upstream requests per page", Numbers::upstream_text),
        column("renders per page", per_page(|it| it.work.renders)),
        column("refreshes", |it| known(it.work.refreshes, grouped)),
        column("wasted, %", |it| known(it.wasted_share(), percent)),
    ];
    by_strategy(results, "The cache, and what it asked of the sources", columns)
}

fn cpu(results: &Results) -> Figures {
    let services = results.services().into_iter();
    let mut columns: Vec<Column<'_>> = services
        .map(|name| column(name, move |it| known(it.cpu_per_page(name), brief)))
        .collect();
    columns.push(column("stack", |it| known(it.stack_cpu_per_page(), brief)));
    let title = "CPU time per page answered, in µs; stack: all except the load test itself";
    by_strategy(results, title, columns)
}

fn capacity(results: &Results) -> Figures {
    let heads = ["", "held", "missed", "trials", "p99 at it, ms", "ended by"]
        .map(str::to_owned)
        .to_vec();
    let rows = results.capacity.iter().map(limit).collect();
    Figures {
        title: "The highest rate that was held, and the lowest that was not, in reads/s".to_owned(),
        heads,
        rows,
    }
}

fn limit(found: &CapacityResults) -> Vec<String> {
    let best = found
        .trials
        .iter()
        .filter(|trial| trial.held)
        .max_by(|a, b| a.rate.total_cmp(&b.rate));
    vec![
        found.strategy.clone(),
        known(found.held, brief),
        known(found.missed, brief),
        grouped(found.trials.len() as u64),
        known(best, |trial| milliseconds(trial.latency_us.p99)),
        ended(found),
    ]
}

fn ended(found: &CapacityResults) -> String {
    // A miss that was tried again and then held ended nothing; of two at one rate, the second one did.
    let mut backwards = found.trials.iter().rev();
    let last = backwards.find(|trial| Some(trial.rate) == found.missed);
    match last.and_then(|trial: &Trial| trial.why.clone()) {
        _ if found.generator_limited => "the generator".to_owned(),
        Some(why) => why,
        None => ABSENT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_ended_by_the_last_miss_at_the_lowest_missed_rate() {
        let trial = |rate, why: &str| Trial {
            rate,
            answered: rate,
            latency_us: Quantiles::default(),
            late_us: Quantiles::default(),
            errors: 0,
            held: why.is_empty(),
            why: Some(why.to_owned()).filter(|why| !why.is_empty()),
        };
        let found = CapacityResults {
            strategy: "ttl".to_owned(),
            held: Some(100.0),
            missed: Some(200.0),
            generator_limited: false,
            trials: vec![
                trial(100.0, "a hiccup"),
                trial(100.0, ""),
                trial(200.0, "first"),
                trial(200.0, "second"),
            ],
        };
        assert_eq!(ended(&found), "second");
        let limited = CapacityResults {
            generator_limited: true,
            ..found.clone()
        };
        assert_eq!(ended(&limited), "the generator");
        let nothing = CapacityResults {
            missed: None,
            ..found
        };
        assert_eq!(ended(&nothing), ABSENT);
    }
}
