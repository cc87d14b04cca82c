//! Whether a run differs from an earlier one: by ratios inside each run, and their spread over its rounds.
//!
//! Never by absolute times, which tell how busy or how fast a machine was: every figure of a strategy is divided by
//! that of a reference strategy in the same round of the same run.

mod measure;
mod same;
mod text;

use jiff::Timestamp;
use measure::Measure;
pub use text::text;
pub(crate) use text::{judgement, sentences, spread as spread_text};

use crate::figures::{float, listed};
use crate::results::{Results, StrategyResults};
use crate::strategy::NONE;

/// Fewer rounds show no spread to speak of.
const ENOUGH_ROUNDS: usize = 3;
/// A smaller difference of the medians is no news, however well it is measured.
const NOTICEABLE: f64 = 0.02;

/// Two runs side by side.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The strategy that the others are divided by.
    pub reference: String,
    /// When the earlier run began.
    pub then: Timestamp,
    /// When the later run began.
    pub now: Timestamp,
    /// What differs between the runs without forbidding to compare them, a sentence each.
    pub notes: Vec<String>,
    /// What was compared.
    pub rows: Vec<Row>,
}

/// One figure of one strategy, in both runs.
#[derive(Clone, Debug)]
pub struct Row {
    /// The strategy.
    pub strategy: String,
    /// The figure, such as `p99 latency`; less is better.
    pub measure: &'static str,
    /// In the earlier run, relative to the reference.
    pub then: Spread,
    /// In the later run, relative to the reference.
    pub now: Spread,
    /// What follows.
    pub judgement: Judgement,
}

/// A ratio over the rounds of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

/// What the comparison of two spreads says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Every round of the later run is below every round of the earlier one.
    Better,
    /// Every round of the later run is above every round of the earlier one.
    Worse,
    /// There is none that the spread does not explain.
    NoDifference,
    /// There are too few rounds to know the spread.
    Unknown,
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomparable(
    /// What differs, a phrase each.
    pub Vec<String>,
);

impl std::fmt::Display for Incomparable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the runs cannot be compared: {}", self.0.join("; "))
    }
}

impl std::error::Error for Incomparable {}

/// Compares the run `now` with the earlier run `then`, unless they asked for different things.
pub fn compare(now: &Results, then: &Results) -> Result<Comparison, Incomparable> {
    let differences = same::forbidding(now, then);
    if !differences.is_empty() {
        return Err(Incomparable(differences));
    }
    let shared: Vec<String> = then
        .names()
        .into_iter()
        .filter(|name| now.strategy(name).is_some())
        .collect();
    let reference = reference(&shared)?;
    let rows = shared
        .iter()
        .filter(|name| **name != reference)
        .flat_map(|name| {
            measure::ALL
                .iter()
                .filter_map(|measure| row(now, then, name, &reference, measure))
        })
        .collect();
    Ok(Comparison {
        rows,
        notes: same::notable(now, then),
        then: then.started,
        now: now.started,
        reference,
    })
}

/// The problem itself, if both runs have it, else the first that both have.
fn reference(shared: &[String]) -> Result<String, Incomparable> {
    let none = shared.iter().find(|name| *name == NONE);
    match none.or(shared.first()) {
        Some(reference) if shared.len() > 1 => Ok(reference.clone()),
        _ => Err(Incomparable(vec![format!(
            "a ratio needs two strategies, and both runs have {}",
            if shared.is_empty() {
                "none in common".to_owned()
            } else {
                format!("only {}", listed(shared))
            }
        )])),
    }
}

fn row(now: &Results, then: &Results, strategy: &str, reference: &str, measure: &Measure) -> Option<Row> {
    let of = |run: &Results| spread(ratios(run.strategy(strategy)?, run.strategy(reference)?, measure));
    let (now, then) = (of(now)?, of(then)?);
    Some(Row {
        strategy: strategy.to_owned(),
        measure: measure.name,
        judgement: judge(&now, &then),
        then,
        now,
    })
}

/// The ratio in each round that has both.
fn ratios(strategy: &StrategyResults, reference: &StrategyResults, measure: &Measure) -> Vec<f64> {
    let rounds = strategy.rounds.iter().zip(&reference.rounds);
    let ratio = |(of, to)| Some((measure.of)(of)? / (measure.of)(to)?);
    rounds
        .filter_map(ratio)
        .filter(|ratio: &f64| ratio.is_finite())
        .collect()
}

fn spread(mut ratios: Vec<f64>) -> Option<Spread> {
    ratios.sort_by(f64::total_cmp);
    let (min, max) = (*ratios.first()?, *ratios.last()?);
    let (below, above) = (ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2]);
    Some(Spread {
        median: f64::midpoint(below, above),
        min,
        max,
        rounds: ratios.len(),
    })
}

fn judge(now: &Spread, then: &Spread) -> Judgement {
    let noticeable = (now.median - then.median).abs() > NOTICEABLE * then.median;
    match () {
        () if now.rounds.min(then.rounds) < ENOUGH_ROUNDS => Judgement::Unknown,
        () if noticeable && now.max < then.min => Judgement::Better,
        () if noticeable && now.min > then.max => Judgement::Worse,
        () => Judgement::NoDifference,
    }
}

/// How often two runs of the same thing, with this many rounds, would differ as much by chance: the share of all orders
/// of their rounds in which those of one run all come first.
pub(crate) fn chance(rounds: usize, others: usize) -> f64 {
    let orders = (1..=others).fold(1.0, |orders, n| {
        orders * float((rounds + n) as u64) / float(n as u64)
    });
    2.0 / orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_ones() {
        let spread = spread(vec![4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0,
                rounds: 4
            }
        );
    }

    #[test]
    fn the_orders_of_five_and_five_rounds_are_252() {
        assert!((chance(5, 5) - 2.0 / 252.0).abs() < 1e-12);
        assert!((chance(3, 3) - 0.1).abs() < 1e-12);
    }
}
