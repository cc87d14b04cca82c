//! Durations of one kind, and a row of the table.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Whatever takes longer counts as a minute.
const LONGEST_MICROS: u64 = 60_000_000;

/// Durations of one kind, in microseconds with three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) const HEAD: &str =
        "milliseconds                                  p50       p99       max   samples";

    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_max(LONGEST_MICROS, 3);
        Self(histogram.expect("three digits up to a minute are a valid range"))
    }

    pub(crate) fn record(&mut self, duration: Duration) {
        self.0
            .saturating_record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In milliseconds; 0 if nothing was recorded.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        Duration::from_micros(self.0.value_at_quantile(quantile)).as_secs_f64() * 1000.0
    }

    pub(crate) fn row(&self, name: &str) -> String {
        format!(
            "{name:38} {:10.3}{:10.3}{:10.3}{:10}",
            self.quantile_ms(0.5),
            self.quantile_ms(0.99),
            self.quantile_ms(1.0),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_under_its_head() {
        let mut latency = Latency::new();
        for ms in 1..=100 {
            latency.record(Duration::from_millis(ms));
        }
        let row = latency.row("x");
        assert_eq!(row.len(), Latency::HEAD.len());
        let columns: Vec<_> = row.split_whitespace().collect();
        // Three digits are kept: the histogram answers with the upper end of a value's range.
        assert_eq!(columns, ["x", "50.015", "99.007", "100.031", "100"]);
    }
}
