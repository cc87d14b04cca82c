//! The report: whole, well-formed, and dependent on nothing outside of itself.

use loadtest::results::{Distribution, Numbers, Outcome, Results, StrategyResults};
use loadtest::{baseline, report, verdict};

use crate::fixture;

const STRATEGIES: [&str; 5] = ["none", "ttl", "versioned", "invalidate", "prepopulate"];

/// Every kind of report.
fn all() -> Vec<(&'static str, String)> {
    let mut worse = fixture::seeded(8);
    worse.strategies[3].total.stale = 3;
    for round in &mut worse.strategies[3].rounds {
        round.latency_us.p99 *= 2;
    }
    worse.verdict = verdict::of(&worse);
    let comparison = baseline::compare(&worse, &fixture::compare()).unwrap();
    vec![
        ("compare", report::html(&fixture::compare(), None)),
        ("replay", report::html(&fixture::replay(), None)),
        ("capacity", report::html(&fixture::capacity(), None)),
        ("budget", report::html(&fixture::budget(), None)),
        ("compared", report::html(&worse, Some(&comparison))),
    ]
}

/// The drawings of a report.
fn drawings(html: &str) -> Vec<&str> {
    html.split("<svg")
        .skip(1)
        .map(|rest| rest.split_once("</svg>").unwrap().0)
        .collect()
}

/// Follows the elements of `markup` and says what is wrong with their nesting or attributes, if anything is.
fn malformed(markup: &str, void: &[&str]) -> Option<String> {
    let mut open = Vec::new();
    for tag in markup.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else {
            return Some(format!("<{tag} is not ended"));
        };
        let name = tag.split_whitespace().next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Some(format!("</{closed}> closes another element"));
            }
        } else if !void.contains(&name) && !name.starts_with('!') {
            open.push(name);
        }
        if tag.matches('"').count() % 2 != 0 {
            return Some(format!("<{tag}> has an open quote"));
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} are not closed"))
}

#[test]
fn every_report_is_well_formed() {
    for (name, html) in all() {
        let body = html.split_once("</style>").unwrap().1;
        let head = html.split_once("<style>").unwrap().0;
        let markup = format!("{head}<style></style>{body}");
        assert_eq!(malformed(&markup, &["meta", "br"]), None, "{name}");
    }
    assert!(malformed("<svg><g></svg>", &[]).is_some() && malformed("<g a=\"></g>", &[]).is_some());
}

#[test]
fn every_chart_is_a_drawing_of_numbers_with_a_title() {
    for (name, charts) in [
        ("compare", 4 + 15),
        ("replay", 4 + 15),
        ("capacity", 1),
        ("compared", 4 + 15 + 16),
    ] {
        let html = &all().into_iter().find(|it| it.0 == name).unwrap().1;
        let drawings = drawings(html);
        let charts_of = drawings.iter().filter(|it| it.contains("role=\"img\""));
        assert_eq!(charts_of.clone().count(), charts, "{name}");
        for drawing in charts_of {
            assert!(drawing.contains("<title>"), "{drawing}");
            assert_eq!(malformed(&format!("<svg{drawing}</svg>"), &[]), None);
            for word in ["NaN", "inf"] {
                let attributes = drawing.split('"').skip(1).step_by(2);
                assert!(
                    attributes
                        .into_iter()
                        .all(|it| !it.contains(word) || it.contains("invalidate")),
                    "{drawing}"
                );
            }
        }
    }
}

#[test]
fn nothing_outside_of_the_file_is_needed() {
    for (name, html) in all() {
        for reference in [
            "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "<object",
        ] {
            assert!(!html.contains(reference), "{name} has {reference}");
        }
    }
}

#[test]
fn every_strategy_is_named_in_every_chart_with_its_own_dash() {
    let by_strategy = all().into_iter().filter(|(name, _)| *name != "budget");
    for (name, html) in by_strategy {
        for strategy in STRATEGIES {
            assert!(
                html.contains(&format!("</svg>{strategy}</")),
                "{name}: the legend lacks {strategy}"
            );
            assert!(
                html.contains(&format!(">{strategy}</text>")),
                "{name}: the charts lack {strategy}"
            );
            assert!(
                html.contains(&format!(".s-{strategy} {{ --own: var(--{strategy}); --dash:")),
                "{strategy}"
            );
        }
    }
}

#[test]
fn every_age_has_its_line_in_each_chart_over_the_wait() {
    let html = report::html(&fixture::budget(), None);
    for name in ["no max-age", "up to 5 s old"] {
        assert_eq!(html.matches(&format!(">{name}</text>")).count(), 3, "{name}");
    }
    assert!(html.contains("with a wait of 0 ms, 10.00 % of the answers are marked"));
}

#[test]
fn what_came_from_outside_is_escaped() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut results = fixture::compare();
    results.setup.notes = vec![evil.to_owned()];
    for text in [
        &mut results.setup.command,
        &mut results.setup.popularity,
        &mut results.setup.mix,
        &mut results.setup.stack,
        &mut results.setup.injected[0].source,
        &mut results.machine.cpu_model,
        &mut results.machine.system,
        &mut results.strategies[4].strategy,
    ] {
        evil.clone_into(text);
    }
    results.verdict.checks[0].evidence = evil.to_owned();
    let html = report::html(&results, None);
    assert!(!html.contains("<script"), "nothing is let through");
    assert!(html.matches("&lt;script&gt;").count() >= 10, "but it is told");
}

#[test]
fn a_reader_of_the_file_alone_learns_what_was_compared_and_how_to_repeat_it() {
    let html = report::html(&fixture::compare(), None);
    for words in [
        "All 10 promises that were checked were kept.",
        "200 requests arrive per second",
        "61 reads to 1 write",
        "Injected on purpose: 30 ms into metrics",
        "5 turns of 20 s for each, in rounds",
        "scripts/loadtest compare --rate 200",
        "A processor that was made up",
        "23 November 2026, 03:12 UTC",
        "All figures of this file are made up",
        "should have left",
        "budget 250 ms",
    ] {
        assert!(html.contains(words), "{words} is not told");
    }
}

#[test]
fn a_replay_is_not_called_turns_and_a_search_not_a_rate() {
    let replay = report::html(&fixture::replay(), None);
    assert!(replay.contains("60 times as fast") && replay.contains("at the same time"));
    assert!(!replay.contains("in rounds") && !replay.contains("own turns"));
    let capacity = report::html(&fixture::capacity(), None);
    assert!(capacity.contains("by trials of 20 s") && !capacity.contains("requests arrive per second"));
}

#[test]
fn a_failed_promise_stands_first_and_in_the_verdict() {
    let (_, html) = all().pop().unwrap();
    let verdict = html.split_once("class=\"verdict fail\"").unwrap().1;
    assert!(
        verdict
            .split_once("</p>")
            .unwrap()
            .0
            .contains("no page lacked a change")
    );
    let first = html.split_once("<ul class=\"checks\">").unwrap().1;
    assert!(first.starts_with("<li class=\"fail\">"), "{}", &first[..80]);
    assert!(html.contains("Compared with an earlier run") && html.contains(">worse<"));
}

#[test]
fn what_was_not_measured_is_absent_and_not_zero() {
    let mut results = fixture::compare();
    for it in &mut results.strategies {
        it.total.work.upstream_requests = None;
        it.total.work.cpu_us.clear();
        it.total.visible_us = None;
        it.rounds.clear();
    }
    results.verdict = verdict::of(&results);
    let html = report::html(&results, None);
    let panel = |question: &str| {
        html.split_once(question)
            .unwrap()
            .1
            .split_once("</section>")
            .unwrap()
            .0
    };
    for question in [
        "How many requests do the sources get?",
        "How much CPU time does a page cost?",
    ] {
        assert_eq!(
            panel(question).matches("<span class=\"value\">-</span>").count(),
            5,
            "{question}"
        );
        assert!(!panel(question).contains("<rect class=\"bar"), "{question}");
    }
    assert_eq!(
        panel("How soon is a change seen?").matches(">-</text>").count(),
        5
    );
    results.strategies[1].total.never_visible = 7;
    let html = report::html(&results, None);
    assert!(
        html.contains("7 of 100 not seen"),
        "what was looked for in vain is no dash"
    );
}

#[test]
fn results_of_nothing_and_of_one_round_are_drawn_too() {
    let nothing = |name: &str| StrategyResults {
        strategy: name.to_owned(),
        total: Numbers::default(),
        rounds: Vec::new(),
        reading: None,
        latency: Distribution::default(),
        beyond_wait: Distribution::default(),
        staleness: Distribution::default(),
        seconds: Vec::new(),
    };
    let with = |change: &dyn Fn(&mut Results)| {
        let mut results = fixture::compare();
        change(&mut results);
        results.verdict = verdict::of(&results);
        report::html(&results, None)
    };
    for html in [
        with(&|it| it.strategies.clear()),
        with(&|it| it.strategies = STRATEGIES.map(nothing).to_vec()),
        with(&|it| it.strategies.truncate(1)),
        with(&|it| it.strategies.iter_mut().for_each(|it| it.rounds.truncate(1))),
        with(&|it| it.strategies.iter_mut().for_each(|it| it.strategy.push('2'))),
    ] {
        let body = html.split_once("</style>").unwrap().1;
        assert_eq!(malformed(&format!("<html><head>{body}"), &["meta", "br"]), None);
        assert!(!body.contains("NaN"), "no place is not a number");
    }
    let mut results = fixture::capacity();
    results.capacity.clear();
    results.verdict = verdict::of(&results);
    assert_eq!(results.verdict.outcome, Outcome::Undecided);
    assert!(report::html(&results, None).contains("no strategy was searched"));
}

/// Lays the reports out to be looked at, in the folder for what tests leave behind.
#[test]
fn reports_can_be_looked_at() {
    for (name, html) in all() {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.html"));
        std::fs::write(&file, &html).unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), html);
    }
}
