//! Whether a rate was held.

use std::time::Duration;

use crate::generator::Tally;
use crate::histogram::micros;
use crate::plan::Plan;
use crate::results::{Quantiles, Trial};

/// The share of the reads that may fail.
const TOLERATED_ERRORS: f64 = 0.001;
/// The share of the intended reads that must be answered by the end.
const ANSWERED: f64 = 0.97;
/// The share of a processor from which on the generator, which uses one, has none left.
const BUSY: f64 = 0.9;

/// What a tally says of a rate; and whether a miss was the generator's own, which used `cpu` meanwhile.
pub(super) fn judge(
    rate: f64,
    plan: &Plan,
    tally: &Tally,
    cpu: Option<Duration>,
    budget: Duration,
) -> (Trial, bool) {
    let numbers = tally.numbers();
    let errors: u64 = numbers.errors.values().sum();
    // The last ones to be due have their time too.
    let over = tally.took.saturating_sub(budget).max(plan.lasting);
    // Intended reads are drawn at random, so that there are a few more or less than the rate says.
    let intended = plan.reads() as u64;
    let in_time = plan.lasting.as_secs_f64() / over.as_secs_f64();
    let measured = Measured {
        intended,
        answered: share(numbers.reads - errors, intended) * in_time,
        errors,
        latency_us: numbers.latency_us,
        late_us: numbers.late_us,
        busy: cpu.map(|cpu| cpu.as_secs_f64() / tally.took.as_secs_f64()),
    };
    let miss = measured.miss(micros(budget));
    let by_generator = miss.as_ref().and_then(|_| measured.generator());
    let why = miss.map(|miss| {
        [Some(miss), by_generator.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    let trial = Trial {
        rate,
        answered: rate * measured.answered,
        latency_us: measured.latency_us,
        late_us: measured.late_us,
        errors,
        held: why.is_none(),
        why: why.map(|why| why.join("; ")),
    };
    (trial, by_generator.is_some())
}

/// What decides.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// How many reads were due.
    intended: u64,
    /// Answers by the end, as a share of these.
    answered: f64,
    errors: u64,
    latency_us: Quantiles,
    late_us: Quantiles,
    /// The share of one processor that the generator used.
    busy: Option<f64>,
}

impl Measured {
    /// Why the rate was not held.
    fn miss(&self, budget_us: u64) -> Option<String> {
        let failed = share(self.errors, self.intended);
        if failed > TOLERATED_ERRORS {
            Some(format!("{:.1} % of the reads failed", failed * 100.0))
        } else if self.answered < ANSWERED {
            Some(format!(
                "only {:.0} % were answered by the end",
                self.answered * 100.0
            ))
        } else if self.latency_us.p99 > budget_us {
            Some(format!("p99 was {} ms", self.latency_us.p99 / 1_000))
        } else {
            None
        }
    }

    /// What the generator has to do with it. That requests leave a little late on a machine that is full is not its doing.
    fn generator(&self) -> Option<String> {
        if let Some(busy) = self.busy.filter(|busy| *busy > BUSY) {
            Some(format!(
                "the generator used {:.0} % of its processor",
                busy * 100.0
            ))
        } else if self.late_us.p99 > self.latency_us.p99 / 2 {
            let late = self.late_us.p99 / 1_000;
            Some(format!(
                "requests left up to {late} ms late, most of what was measured"
            ))
        } else {
            None
        }
    }
}

fn share(part: u64, all: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "millions at most")]
    let share = part as f64 / all.max(1) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        Measured {
            intended: 10_000,
            answered: 0.99,
            errors: 10,
            latency_us: Quantiles {
                p99: 250_000,
                ..Quantiles::default()
            },
            late_us: Quantiles::default(),
            busy: Some(0.5),
        }
    }

    #[test]
    fn a_rate_is_held_up_to_the_edge_of_each_bound() {
        assert_eq!(measured().miss(250_000), None);
        let miss = |measured: Measured| measured.miss(250_000).unwrap();
        assert_eq!(
            miss(Measured {
                errors: 11,
                ..measured()
            }),
            "0.1 % of the reads failed"
        );
        assert_eq!(
            miss(Measured {
                answered: 0.96,
                ..measured()
            }),
            "only 96 % were answered by the end"
        );
        let mut slow = measured();
        slow.latency_us.p99 = 251_000;
        assert_eq!(miss(slow), "p99 was 251 ms");
    }
    #[test]
    fn a_generator_is_the_limit_if_it_has_no_time_left_or_makes_most_of_the_latency() {
        assert_eq!(measured().generator(), None);
        let busy = Measured {
            busy: Some(0.95),
            ..measured()
        };
        assert!(busy.generator().unwrap().contains("95 %"));
        let mut late = measured();
        late.late_us.p99 = 125_000;
        assert_eq!(late.generator(), None);
        late.late_us.p99 = 126_000;
        assert!(late.generator().unwrap().contains("126 ms late"));
        late.busy = None;
        assert!(late.generator().is_some(), "where its CPU time is not known");
    }
}
