//! The run as text, for a terminal of 120 columns: what was asked, the figures by strategy, and the verdict in words.

mod columns;

use std::fmt::Write;

pub(crate) use columns::{Figures, figures};

use crate::describe;
use crate::results::{Outcome, Results, Verdict};
use crate::verdict;

/// How wide the text may be.
const WIDTH: usize = 120;

/// Renders all of it.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    let injected = describe::injected(&results.setup.injected);
    for sentence in describe::sentences(results).into_iter().chain([injected]) {
        text.push_str(&wrapped(&sentence, "", ""));
    }
    for figures in figures(results) {
        let _ = write!(text, "\n{}", laid_out(&figures));
    }
    let _ = write!(text, "\n{}", verdict_text(&results.verdict));
    text
}

/// The verdict and its checks.
fn verdict_text(verdict: &Verdict) -> String {
    let sentence = format!(
        "Verdict: {}. {}",
        name(verdict.outcome),
        verdict::sentence(verdict)
    );
    let mut text = wrapped(&sentence, "", "  ");
    for check in &verdict.checks {
        let head = format!("  {:9}  ", name(check.outcome));
        text.push_str(&wrapped(
            &format!("{} {}.", check.promise, check.evidence),
            &head,
            "             ",
        ));
    }
    text
}

pub(crate) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Undecided => "undecided",
        Outcome::Fail => "FAIL",
    }
}

/// The title, and a column for each head: the first to the left, the others to the right.
fn laid_out(figures: &Figures) -> String {
    let rows = || std::iter::once(&figures.heads).chain(&figures.rows);
    let widths: Vec<usize> = (0..figures.heads.len())
        .map(|column| {
            rows()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = wrapped(&figures.title, "", "");
    for row in rows() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(line, "  {cell:width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Breaks `sentence` at spaces, the first line behind `first` and the others behind `rest`.
fn wrapped(sentence: &str, first: &str, rest: &str) -> String {
    let (mut text, mut line) = (String::new(), first.to_owned());
    let mut begun = false;
    for word in sentence.split_whitespace() {
        if begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            rest.clone_into(&mut line);
            begun = false;
        }
        line.push_str(if begun { " " } else { "" });
        line.push_str(word);
        begun = true;
    }
    let _ = writeln!(text, "{line}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_go_on_below_where_they_began() {
        let text = wrapped(&"word ".repeat(50), "  - ", "    ");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[0].starts_with("  - word") && lines[1].starts_with("    word"));
    }

    #[test]
    fn columns_stand_under_their_heads() {
        let figures = Figures {
            title: "Latency, ms".to_owned(),
            heads: vec![String::new(), "p50".to_owned()],
            rows: vec![
                vec!["none".to_owned(), "1,234".to_owned()],
                vec!["ttl".to_owned(), "-".to_owned()],
            ],
        };
        assert_eq!(
            laid_out(&figures),
            "Latency, ms\n          p50\n  none  1,234\n  ttl       -\n"
        );
    }
}
