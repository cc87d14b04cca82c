//! Whatever a run counted, something is said of it.

use loadtest::results::Results;
use loadtest::{baseline, report, table, verdict};
use serde_json::Value;

use crate::fixture::{self, Random};

/// How many results of each kind are made up.
const CASES: u64 = 96;

/// Mostly numbers as they occur, and the ends of what there can be.
fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0..=2 => random.below(5),
        3..=5 => random.below(10_000_000),
        6 => u64::MAX - random.below(1_000),
        _ => u64::MAX,
    }
}

fn rate(random: &mut Random) -> f64 {
    match random.below(8) {
        0..=5 => 10_000.0 * random.unit(),
        6 => -random.unit(),
        _ => f64::MAX * random.unit(),
    }
}

/// Puts other numbers for all that there are, shortens lists, and leaves out what may be absent.
fn vary(value: &mut Value, random: &mut Random) {
    match value {
        Value::Array(items) => {
            // A pair of numbers stays one.
            if !items.iter().all(Value::is_number) {
                items.truncate(usize::try_from(random.below(6)).unwrap());
            }
            for item in items.iter_mut() {
                vary(item, random);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "round" => *field = random.below(3).into(),
                    "second" => *field = (number(random) % u64::from(u32::MAX)).into(),
                    "strategy" if random.below(6) == 0 => *field = "other".into(),
                    "held" | "missed" | "upstream_requests" | "behind_us" | "visible_us"
                        if random.below(3) == 0 && !field.is_boolean() =>
                    {
                        *field = Value::Null;
                    }
                    _ => vary(field, random),
                }
            }
        }
        Value::Number(some) if some.is_u64() => *value = number(random).into(),
        Value::Number(_) => *value = rate(random).into(),
        Value::Bool(_) => *value = (random.below(2) == 0).into(),
        Value::Null | Value::String(_) => {}
    }
}

/// Results like these, with other numbers in the parts of these names.
fn varied(results: &Results, parts: &[&str], random: &mut Random) -> Results {
    let mut value = serde_json::to_value(results).unwrap();
    for part in parts {
        vary(&mut value[*part], random);
    }
    serde_json::from_value(value).unwrap()
}

/// Says all that can be said, which must not panic, nor place anything nowhere.
fn say(mut results: Results, case: u64) {
    results.verdict = verdict::of(&results);
    assert!(table::render(&results).contains("Verdict: "), "case {case}");
    let comparison = baseline::compare(&results, &results).ok();
    let html = report::html(&results, comparison.as_ref());
    assert!(html.ends_with("</html>"), "case {case}");
    for path in html.split(" d=\"").skip(1) {
        let path = path.split('"').next().unwrap_or_default();
        assert!(
            !path.contains("NaN") && !path.contains("inf"),
            "case {case}: {path}"
        );
    }
    assert!(comparison.is_none_or(|comparison| !baseline::text(&comparison).is_empty()));
}

#[test]
fn any_numbers_are_judged_and_drawn() {
    for case in 0..CASES {
        let mut random = Random(case);
        let like = if case % 2 == 0 {
            fixture::compare()
        } else {
            fixture::replay()
        };
        let mut results = varied(&like, &["strategies"], &mut random);
        results.setup.budget_ms = number(&mut random);
        say(results, case);
    }
}

#[test]
fn any_search_is_judged_and_drawn() {
    for case in 0..CASES {
        let mut random = Random(case);
        let mut results = varied(&fixture::capacity(), &["capacity"], &mut random);
        // What no file can hold.
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for (trial, rate) in results.capacity.iter_mut().flat_map(|it| &mut it.trials).zip(odd) {
            (trial.rate, trial.answered) = (rate, rate);
        }
        say(results, case);
    }
}
