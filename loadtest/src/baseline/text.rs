//! The comparison in words, for a terminal.

use std::fmt::Write;

use super::{Comparison, Judgement, Row, Spread, chance};
use crate::figures::{brief, percent};

/// Renders the comparison: a line for each figure, and what it means.
pub fn text(comparison: &Comparison) -> String {
    let mut text = format!(
        "Compared with the run of {}: ratios to {}, median (lowest – highest) of the rounds; less is better\n",
        comparison.then.strftime("%F %T UTC"),
        comparison.reference
    );
    let _ = writeln!(text, "  {:40} {:>21} {:>21}  judgement", "", "then", "now");
    for row in &comparison.rows {
        let (then, now) = (spread(&row.then), spread(&row.now));
        let judged = judgement(row.judgement);
        let _ = writeln!(
            text,
            "  {:12} {:27} {then:>21} {now:>21}  {judged}",
            row.strategy, row.measure
        );
    }
    for sentence in sentences(comparison) {
        let _ = writeln!(text, "  {sentence}");
    }
    text
}

/// What a reader must know of the comparison.
pub(crate) fn sentences(comparison: &Comparison) -> Vec<String> {
    let mut sentences: Vec<String> = comparison
        .notes
        .iter()
        .map(|note| format!("Note that {note}."))
        .collect();
    sentences.push("No difference means: none beyond the spread of the rounds.".to_owned());
    if let Some(row) = comparison
        .rows
        .iter()
        .max_by(|a, b| by_chance(a).total_cmp(&by_chance(b)))
    {
        sentences.push(format!(
            "With {} and {} rounds, chance alone calls an unchanged figure better or worse at most {} % of the time.",
            row.then.rounds,
            row.now.rounds,
            percent(by_chance(row))
        ));
    }
    sentences
}

fn by_chance(row: &Row) -> f64 {
    chance(row.then.rounds, row.now.rounds)
}

/// `0.12 (0.11 – 0.14)`.
pub(crate) fn spread(spread: &Spread) -> String {
    format!(
        "{} ({} – {})",
        brief(spread.median),
        brief(spread.min),
        brief(spread.max)
    )
}

pub(crate) fn judgement(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Better => "better",
        Judgement::Worse => "worse",
        Judgement::NoDifference => "no difference",
        Judgement::Unknown => "unknown: fewer than 3 rounds",
    }
}
