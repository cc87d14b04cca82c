//! What dashboards and rules ask for: the series that an expression of Prometheus names, and the labels it wants of them.

use std::collections::BTreeSet;

/// Words that are no series though nothing is called by them.
const WORDS: [&str; 24] = [
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "inf",
    "nan",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "topk",
    "bottomk",
    "quantile",
    "atan2",
];
/// Of these, those that a list of labels follows.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A series that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Selector {
    pub(crate) name: String,
    /// What must be equal, as it is exported: `result="lie"`.
    pub(crate) labels: Vec<String>,
}

/// Every series that an expression names.
pub(crate) fn selectors(expression: &str) -> BTreeSet<Selector> {
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '[' || first == '{' || first == '"' {
            rest = beyond(rest, first);
            continue;
        }
        let word = rest.len() - rest.trim_start_matches(is_of_a_word).len();
        if word == 0 {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (name, behind) = rest.split_at(word);
        let next = behind.trim_start();
        rest = behind;
        if LISTS.contains(&name) {
            rest = if next.starts_with('(') {
                beyond(next, '(')
            } else {
                behind
            };
        } else if !first.is_ascii_digit() && !next.starts_with('(') && !WORDS.contains(&name) {
            let labels = if behind.starts_with('{') {
                labels(behind)
            } else {
                Vec::new()
            };
            let name = name.to_owned();
            found.insert(Selector { name, labels });
        }
    }
    found
}

fn is_of_a_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_:.$".contains(character)
}

/// What is behind the bracket or the text that begins here.
fn beyond(text: &str, opening: char) -> &str {
    let closing = match opening {
        '[' => ']',
        '{' => '}',
        '(' => ')',
        other => other,
    };
    let mut quoted = false;
    for (place, character) in text.char_indices().skip(1) {
        if character == closing && !quoted {
            return &text[place + closing.len_utf8()..];
        }
        quoted ^= character == '"';
    }
    panic!("{opening} is not closed in {text}");
}

/// The labels that must have one value. Those that Prometheus adds are not the services' to export.
fn labels(text: &str) -> Vec<String> {
    let inside = &text[1..text.len() - beyond(text, '{').len() - 1];
    let mut labels: Vec<_> = inside
        .split("\",")
        .map(|label| label.trim().trim_end_matches('"'))
        .filter_map(|label| label.split_once("=\""))
        .filter(|(name, value)| {
            !["job", "instance"].contains(name) && !name.ends_with('!') && !value.contains('$')
        })
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    labels.sort();
    labels
}

#[test]
fn an_expression_is_read_for_its_series() {
    let asked = |expression| {
        let selectors = selectors(expression).into_iter();
        let words = selectors.map(|selector| [vec![selector.name], selector.labels].concat().join(" "));
        words.collect::<Vec<_>>()
    };
    assert_eq!(
        asked(
            r#"histogram_quantile(0.99, sum by (le, a) (rate(x_bucket{job="page", b="{id}"}[$__rate_interval])))"#
        ),
        [r#"x_bucket b="{id}""#]
    );
    assert_eq!(
        asked(r#"time() - a > 6e2 and on (job) sum by (job) (rate(b_total{c="d",e!="f"}[10m])) > 0.1"#),
        ["a", r#"b_total c="d""#]
    );
    assert_eq!(asked("a == 0 unless b > 1 or vector(0)"), ["a", "b"]);
    assert!(asked("vector(1) + 1.5").is_empty());
}
