//! The strategies at a glance: what each does, and the few figures that tell most.

use maud::{Markup, html};

use super::style;
use crate::figures::{brief, duration, known, percent, share};
use crate::results::{Kind, Results, StrategyResults};

pub(super) fn render(results: &Results) -> Markup {
    let measured = results.kind != Kind::Capacity;
    html! {
        div.scroll {
            table.glance {
                @if measured { (heads()) }
                tbody {
                    @for name in results.names() {
                        tr {
                            th scope="row" {
                                span { (style::sample(&name)) (name) }
                                @if let Some(does) = style::does(&name, results.setup.ttl_seconds) { small { (does) } }
                            }
                            @if measured && let Some(found) = results.strategy(&name) { (figures(results, found)) }
                        }
                    }
                }
            }
        }
    }
}

fn heads() -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "strategy, and what it does" }
                th scope="col" { "half of the " br; "answers within" } th scope="col" { "99 of 100 " br; "within" }
                th scope="col" { "stale " br; "answers" } th scope="col" { "requests to the " br; "sources per page" }
                th scope="col" { "CPU time " br; "per page" }
            }
        }
    }
}

fn figures(results: &Results, found: &StrategyResults) -> Markup {
    let numbers = &found.total;
    let latency = (numbers.answers() > 0).then_some(numbers.latency_us);
    let slow = latency.is_some_and(|it| it.p99 > results.setup.budget_ms.saturating_mul(1_000));
    let stale = share(numbers.stale, numbers.answers());
    html! {
        td { (known(latency, |it| duration(it.p50))) }
        td.over[slow] { (known(latency, |it| duration(it.p99))) @if slow { small { "over budget" } } }
        td.over[numbers.stale > 0] { (known(stale, |it| format!("{} %", percent(it)))) }
        td { (numbers.upstream_text()) }
        td { (known(numbers.stack_cpu_per_page(), |us| format!("{} µs", brief(us)))) }
    }
}
