//! Which rate is tried next.

use crate::results::{CapacityResults, Trial};
use crate::strategy::Strategy;

/// The search ends when the lowest missed rate is less than so many times the highest that was held.
const CLOSE: f64 = 1.1;
/// Who answers less of what was asked is beyond its limit for sure.
const NARROW: f64 = 0.9;

/// The search for one limit: upwards by doubling, then in between.
#[derive(Clone, Debug)]
pub(super) struct Search {
    from: f64,
    to: f64,
    held: Option<f64>,
    missed: Option<f64>,
    generator_limited: bool,
    /// A rate that was narrowly missed, once: machines hiccup.
    in_doubt: Option<f64>,
    trials: Vec<Trial>,
}

impl Search {
    pub(super) const fn new(from: f64, to: f64) -> Self {
        Self {
            from,
            to,
            held: None,
            missed: None,
            generator_limited: false,
            in_doubt: None,
            trials: Vec::new(),
        }
    }

    /// The next rate; none when the search has ended.
    pub(super) fn next(&self) -> Option<f64> {
        if self.in_doubt.is_some() {
            return self.in_doubt;
        }
        match (self.held, self.missed) {
            (None, None) => Some(self.from),
            (None, Some(_)) => None,
            (Some(held), None) => (held < self.to).then(|| (held * 2.0).min(self.to)),
            (Some(held), Some(missed)) => (missed > held * CLOSE).then(|| (held * missed).sqrt()),
        }
    }

    /// What became of it. `by_generator` says whether a miss was the generator's own.
    pub(super) fn note(&mut self, (trial, by_generator): (Trial, bool)) {
        let rate = trial.rate;
        let narrowly = trial.answered >= rate * NARROW;
        if trial.held {
            self.in_doubt = None;
            self.held = Some(rate);
        } else if narrowly && self.in_doubt.is_none() {
            self.in_doubt = Some(rate);
        } else {
            self.in_doubt = None;
            self.missed = Some(rate);
            self.generator_limited = by_generator;
        }
        self.trials.push(trial);
    }

    pub(super) fn found(self, strategy: Strategy) -> CapacityResults {
        CapacityResults {
            strategy: strategy.name().to_owned(),
            held: self.held,
            missed: self.missed,
            generator_limited: self.generator_limited,
            trials: self.trials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Quantiles;

    fn trial(rate: f64, held: bool, answered: f64) -> (Trial, bool) {
        let trial = Trial {
            rate,
            answered,
            latency_us: Quantiles::default(),
            late_us: Quantiles::default(),
            errors: 0,
            held,
            why: None,
        };
        (trial, false)
    }

    /// Searches a server that holds all up to `limit`, and answers that many of more.
    fn searched(from: f64, to: f64, limit: f64) -> CapacityResults {
        let mut search = Search::new(from, to);
        while let Some(rate) = search.next() {
            search.note(trial(rate, rate <= limit, rate.min(limit)));
        }
        search.found(Strategy::None)
    }

    fn rates(found: &CapacityResults) -> Vec<f64> {
        found.trials.iter().map(|trial| trial.rate.round()).collect()
    }

    #[test]
    fn a_limit_is_found_to_within_a_tenth() {
        for limit in [100.0, 130.0, 777.0, 799.0, 1_601.0, 12_345.0] {
            let found = searched(100.0, 20_000.0, limit);
            let (held, missed) = (found.held.unwrap(), found.missed.unwrap());
            assert!(
                held <= limit && limit < missed && missed <= held * 1.1,
                "{held} {limit} {missed}"
            );
            assert!(found.trials.len() < 20, "{:?}", rates(&found));
        }
    }

    #[test]
    fn it_ends_at_the_top_and_at_the_bottom() {
        let all = searched(100.0, 500.0, 1e9);
        assert_eq!(rates(&all), [100.0, 200.0, 400.0, 500.0]);
        assert_eq!((all.held, all.missed), (Some(500.0), None));
        let nothing = searched(100.0, 500.0, 1.0);
        assert_eq!(rates(&nothing), [100.0], "far beyond it, and not tried again");
        assert_eq!((nothing.held, nothing.missed), (None, Some(100.0)));
    }

    #[test]
    fn a_narrow_miss_is_tried_once_more() {
        let mut search = Search::new(100.0, 100.0);
        search.note(trial(100.0, false, 99.0));
        assert_eq!(search.next(), Some(100.0));
        let mut twice = search.clone();
        search.note(trial(100.0, true, 99.0));
        assert_eq!(
            (search.next(), search.found(Strategy::Ttl).held),
            (None, Some(100.0))
        );
        twice.note(trial(100.0, false, 99.0));
        let twice = twice.found(Strategy::Ttl);
        assert_eq!(
            (twice.held, twice.missed, twice.trials.len()),
            (None, Some(100.0), 2)
        );
    }

    #[test]
    fn who_was_the_limit_is_said_of_the_lowest_missed_rate() {
        let mut search = Search::new(100.0, 1_000.0);
        search.note(trial(100.0, true, 100.0));
        search.note((trial(200.0, false, 10.0).0, true));
        assert!(search.clone().found(Strategy::Ttl).generator_limited);
        search.note(trial(search.next().unwrap(), false, 10.0));
        assert!(!search.found(Strategy::Ttl).generator_limited);
    }
}
