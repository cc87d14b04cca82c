//! The result as a table for the terminal.

use super::compared::{Compared, Row};

/// Beyond it, a sentence goes on in the next line.
const WIDTH: usize = 100;

/// Draws the table and, below it, how it was taken.
pub(super) fn draw(compared: &Compared) -> String {
    let mut lines = vec![
        line(["", "", "", "", "", "requests to sources", "stale,", "oldest"]),
        line([
            "strategy",
            "reads",
            "p50 ms",
            "p99 ms",
            "hits %",
            "per 100 reads",
            "not marked",
            "stale, s",
        ]),
    ];
    lines.extend(compared.rows.iter().map(row));
    for sentence in &compared.how {
        lines.push(String::new());
        lines.extend(wrap(sentence));
    }
    lines.join("\n")
}

fn row(row: &Row) -> String {
    let maybe =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let at_least = if row.at_least { "≥ " } else { "" };
    line([
        &row.strategy,
        &row.reads.to_string(),
        &format!("{:.3}", row.p50_ms),
        &maybe(row.p99_ms, 3),
        &format!("{:.1}", row.hits_percent),
        &format!("{at_least}{:.1}", row.requests_per_100_reads),
        &row.stale.to_string(),
        &maybe(row.oldest_stale_s, 1),
    ])
}

fn line(cells: [&str; 8]) -> String {
    let [strategy, reads, p50, p99, hits, requests, stale, oldest] = cells;
    format!("{strategy:12}{reads:>7}{p50:>9}{p99:>9}{hits:>8}{requests:>21}{stale:>12}{oldest:>10}")
}

fn wrap(sentence: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| line.len() + 1 + word.len() > WIDTH);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            let gap = if line.is_empty() { "" } else { " " };
            *line = format!("{line}{gap}{word}");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_as_wide_as_the_head_and_nothing_unknown_is_a_number() {
        let row = |strategy: &str, at_least, p99_ms| Row {
            strategy: strategy.to_owned(),
            reads: 480,
            p50_ms: 0.5124,
            p99_ms,
            hits_percent: 98.75,
            requests_per_100_reads: 1.25,
            at_least,
            marked: 0,
            stale: 0,
            oldest_stale_s: None,
        };
        let rows = vec![
            row("invalidate", false, None),
            row("prepopulate", true, Some(1.0)),
        ];
        let how = vec!["One sentence.".to_owned()];
        let drawn = draw(&Compared { rows, how });
        let lines: Vec<_> = drawn.lines().collect();
        let widths: Vec<_> = lines[..4].iter().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [widths[0]; 4], "{drawn}");
        let cells: Vec<_> = lines[2].split_whitespace().collect();
        assert_eq!(
            cells,
            ["invalidate", "480", "0.512", "-", "98.8", "1.2", "0", "-"]
        );
        assert!(lines[3].contains("≥ 1.2"), "{drawn}");
        assert_eq!(lines[4..], ["", "One sentence."]);
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let wrapped = wrap(&"word ".repeat(50));
        assert_eq!(wrapped.len(), 3);
        assert!(wrapped.iter().all(|line| line.len() <= WIDTH), "{wrapped:?}");
    }
}
