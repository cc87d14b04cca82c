//! What frames the charts: the verdict, what was asked, the words, and how to repeat it.

use maud::{Markup, html};

use super::summary;
use crate::describe;
use crate::figures::{chosen, grouped};
use crate::results::{Check, Kind, Outcome, Results, Verdict};
use crate::verdict;

pub(super) fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Compare => "Caching strategies under the same load",
        Kind::Replay => "Caching strategies on a recorded workload",
        Kind::Capacity => "The load that each caching strategy holds",
        Kind::Budget => "How long would you wait for the truth?",
    }
}

pub(super) fn render(results: &Results) -> Markup {
    let verdict = &results.verdict;
    html! {
        header {
            h1 { (title(results.kind)) }
            p.date { time datetime=(results.started) { (results.started.strftime("%-d %B %Y, %H:%M UTC")) } }
            p.verdict.(class(verdict.outcome)) role="status" {
                span.badge { (mark(verdict.outcome)) " " (word(verdict.outcome)) } " " (verdict::sentence(verdict))
            }
        }
    }
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Undecided => "undecided",
        Outcome::Fail => "fail",
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "Pass",
        Outcome::Undecided => "Undecided",
        Outcome::Fail => "Fail",
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Undecided => "?",
        Outcome::Fail => "✕",
    }
}

/// The checks, the worst first.
pub(super) fn verdict(verdict: &Verdict) -> Markup {
    let mut checks: Vec<&Check> = verdict.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.outcome));
    html! {
        section {
            h2 { "Promises, and what was found" }
            ul.checks {
                @for check in checks {
                    li.(class(check.outcome)) {
                        span.mark title=(word(check.outcome)) { (mark(check.outcome)) }
                        div { b { (check.promise) } p { (check.evidence) } }
                    }
                }
            }
        }
    }
}

pub(super) fn setup(results: &Results) -> Markup {
    let setup = &results.setup;
    html! {
        section {
            h2 { "What was compared, and how" }
            p.injected[!setup.injected.is_empty()] { (describe::injected(&setup.injected)) }
            @for sentence in describe::sentences(results) { p { (sentence) } }
            @if results.kind != Kind::Budget { (summary::render(results)) }
            @if !setup.notes.is_empty() {
                h3 { "Read this before you judge" }
                ul { @for note in &setup.notes { li { (note) } } }
            }
        }
    }
}

/// The words that the charts use.
pub(super) fn words() -> Markup {
    let words = [
        (
            "page",
            "what a reader asks for: composed from the answers of the sources about one account, and cached by the page service",
        ),
        (
            "latency",
            "from the time when a request should have left to the last byte of the answer",
        ),
        (
            "p50, p99",
            "the time that half, or 99 of 100, of the requests did not exceed",
        ),
        ("budget", "the time within which a reader should have an answer"),
        (
            "behind",
            "an answer lacks a change that had been confirmed before the answer was asked for, and does not say so",
        ),
        ("stale", "more than a second behind"),
        (
            "marked",
            "the answer itself says that a fragment is stale or missing",
        ),
        (
            "Fresh-As-Of",
            "the time up to which a page says that it is complete",
        ),
        (
            "mismatch",
            "an answer lacks a change that had been confirmed before its own Fresh-As-Of",
        ),
        ("upstream request", "a request of the page service to a source"),
        (
            "wasted refresh",
            "a page that was composed again because of an event, and that nobody read before the next event",
        ),
        ("injected", "made slower on purpose"),
    ];
    html! {
        section {
            h2 { "Words" }
            dl.glossary { @for (word, meaning) in words { div { dt { (word) } dd { (meaning) } } } }
        }
    }
}

/// Where it ran, and how to run it again.
pub(super) fn foot(results: &Results) -> Markup {
    let (machine, setup) = (&results.machine, &results.setup);
    html! {
        footer {
            dl {
                (entry("Repeat it", &html! { code { (setup.command) } }))
                (entry("Machine", &html! {
                    (machine.cpus) " × " (machine.cpu_model) ", " (grouped(machine.memory_mib)) " MiB, " (machine.system)
                }))
                (entry("Stack", &html! { (setup.stack) ", built for " (setup.profile) }))
                (entry("Seed", &html! { (setup.seed) }))
                (entry("Took", &html! { (chosen(results.took_seconds.round())) " s, preparations included" }))
                (entry("Began", &html! { (results.started.strftime("%F %T UTC")) }))
            }
        }
    }
}

fn entry(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}
