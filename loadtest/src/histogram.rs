//! Durations of one kind, counted to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::results::{Distribution, Quantiles};

/// Whatever takes longer counts as this: five minutes.
const LONGEST_MICROS: u64 = 300_000_000;

/// A histogram of durations, in microseconds.
#[derive(Clone, Debug)]
pub struct Durations(Histogram<u64>);

impl Default for Durations {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LONGEST_MICROS, 3);
        Self(histogram.expect("three digits up to five minutes are a valid range"))
    }
}

impl Durations {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record(micros(duration));
    }

    /// Counts all that another one has counted.
    ///
    /// # Panics
    /// Never: all have the same range.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same range");
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What is told of it.
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Quantiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }

    /// The same, unless nothing was counted: what was not measured is absent.
    pub fn quantiles_if_any(&self) -> Option<Quantiles> {
        (!self.0.is_empty()).then(|| self.quantiles())
    }

    /// All of it.
    pub fn distribution(&self) -> Distribution {
        let recorded = self.0.iter_recorded();
        Distribution(
            recorded
                .map(|bar| (bar.value_iterated_to(), bar.count_at_value()))
                .collect(),
        )
    }
}

/// A duration in whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let mut durations = Durations::default();
        for ms in 1..=1000 {
            durations.record(Duration::from_millis(ms));
        }
        let quantiles = durations.quantiles();
        let near = |found: u64, ms: u64| assert!(found.abs_diff(ms * 1000) <= ms, "{found} is not {ms} ms");
        near(quantiles.p50, 500);
        near(quantiles.p90, 900);
        near(quantiles.p99, 990);
        near(quantiles.p999, 999);
        near(quantiles.max, 1000);
        assert_eq!(quantiles.count, 1000);
    }

    #[test]
    fn two_that_are_added_are_as_one() {
        let (mut one, mut other, mut both) =
            (Durations::default(), Durations::default(), Durations::default());
        for (durations, ms) in [(&mut one, 3), (&mut other, 5000)] {
            durations.record(Duration::from_millis(ms));
            both.record(Duration::from_millis(ms));
        }
        one.add(&other);
        assert_eq!(one.distribution(), both.distribution());
        assert_eq!(both.distribution().0.len(), 2);
    }

    #[test]
    fn nothing_measured_is_absent_and_an_hour_is_the_longest() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantiles_if_any(), None);
        durations.record(Duration::from_hours(1));
        assert!(durations.quantiles().max >= LONGEST_MICROS);
    }
}
