//! What follows from the counts: shares, and costs per page. Absent where the counts are.

use std::collections::BTreeMap;

use stack::Source;

use crate::client::PAGE;
use crate::figures::{brief, float, known, share};
use crate::results::{Kind, Numbers, Results, Setup, StrategyResults, Work};

/// The generator, whose own cost is not part of that of the stack.
pub(crate) const GENERATOR: &str = "loadtest";

impl Numbers {
    /// Reads that were answered.
    pub fn answers(&self) -> u64 {
        self.latency_us.count
    }

    /// Reads that failed, however.
    pub fn failed(&self) -> u64 {
        self.errors
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The share of the reads that failed.
    pub fn failed_share(&self) -> Option<f64> {
        share(self.failed(), self.reads)
    }

    /// The share of the changes that failed.
    pub fn failed_write_share(&self) -> Option<f64> {
        share(self.write_errors, self.writes.saturating_add(self.write_errors))
    }

    /// The share of the reads that were answered within the budget; what failed was not.
    pub fn within_share(&self) -> Option<f64> {
        share(self.within_budget, self.reads)
    }

    /// The share of the answers that the cache had.
    pub fn hit_ratio(&self) -> Option<f64> {
        let all = self
            .outcomes
            .values()
            .fold(0_u64, |sum, count| sum.saturating_add(*count));
        share(self.outcomes.get("hit").copied().unwrap_or_default(), all)
    }

    /// Requests to the sources for each page answered, refreshes included.
    pub fn upstream_per_page(&self) -> Option<f64> {
        share(self.work.upstream_requests?, self.answers())
    }

    /// The same in words: `≥ 3.00` where there may have been more.
    pub(crate) fn upstream_text(&self) -> String {
        let at_least = if self.work.upstream_at_least { "≥ " } else { "" };
        known(self.upstream_per_page(), |it| format!("{at_least}{}", brief(it)))
    }

    /// CPU time of `service` for each page answered, in microseconds.
    pub fn cpu_per_page(&self, service: &str) -> Option<f64> {
        share(*self.work.cpu_us.get(service)?, self.answers())
    }

    /// CPU time of the whole stack for each page answered, in microseconds; without the generator's own.
    pub fn stack_cpu_per_page(&self) -> Option<f64> {
        let services = self
            .work
            .cpu_us
            .iter()
            .filter(|(service, _)| *service != GENERATOR);
        let parts: Vec<f64> = services.map(|(_, us)| float(*us)).collect();
        (!parts.is_empty() && self.answers() > 0).then(|| parts.iter().sum::<f64>() / float(self.answers()))
    }

    /// The share of the refreshes that nobody read.
    pub fn wasted_share(&self) -> Option<f64> {
        share(self.work.refreshes_wasted?, self.work.refreshes?)
    }

    /// The share of the answers that lacked an acknowledged change without saying so.
    pub fn behind_share(&self) -> Option<f64> {
        share(self.behind, self.answers())
    }
}

impl Numbers {
    /// Adds the counts of another time. Quantiles are not counts: whoever adds sets them anew.
    pub(crate) fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        add_counts(&mut self.errors, &other.errors);
        self.within_budget += other.within_budget;
        add_counts(&mut self.outcomes, &other.outcomes);
        self.collapsed += other.collapsed;
        self.marked += other.marked;
        self.behind += other.behind;
        self.stale += other.stale;
        self.mismatches += other.mismatches;
        self.too_old += other.too_old;
        self.writes += other.writes;
        self.write_errors += other.write_errors;
        self.work.add(&other.work);
        self.probes += other.probes;
        self.never_visible += other.never_visible;
    }
}

impl Work {
    /// Adds the work of another time; what is not known of each is not known of both.
    fn add(&mut self, other: &Self) {
        let both = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        self.upstream_requests = both(self.upstream_requests, other.upstream_requests);
        self.upstream_at_least |= other.upstream_at_least;
        self.renders = both(self.renders, other.renders);
        self.refreshes = both(self.refreshes, other.refreshes);
        self.refreshes_wasted = both(self.refreshes_wasted, other.refreshes_wasted);
        self.cpu_us.retain(|name, _| other.cpu_us.contains_key(name));
        for (name, cpu) in &mut self.cpu_us {
            *cpu += other.cpu_us[name];
        }
    }
}

fn add_counts(counts: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, count) in others {
        *counts.entry(name.clone()).or_default() += count;
    }
}

impl Setup {
    /// The latency of the slowest source, if that source alone takes as long as an answer may.
    pub fn slow_source_ms(&self) -> Option<u64> {
        let slowest = self.injected.iter().map(|it| it.latency_ms).max();
        slowest.filter(|latency_ms| *latency_ms >= self.budget_ms)
    }
}

impl Results {
    /// The results of one strategy.
    pub fn strategy(&self, name: &str) -> Option<&StrategyResults> {
        self.strategies.iter().find(|it| it.strategy == name)
    }

    /// The names of the strategies, in their order.
    pub fn names(&self) -> Vec<String> {
        match self.kind {
            Kind::Capacity => self.capacity.iter().map(|it| it.strategy.clone()).collect(),
            Kind::Compare | Kind::Replay | Kind::Budget => {
                self.strategies.iter().map(|it| it.strategy.clone()).collect()
            }
        }
    }

    /// Whose CPU time was measured: the stack's services, and the generator last.
    pub(crate) fn services(&self) -> Vec<&str> {
        let mut services: Vec<&str> = self
            .strategies
            .iter()
            .flat_map(|it| it.total.work.cpu_us.keys())
            .map(String::as_str)
            .collect();
        services.sort_by_key(|name| (place(name), *name));
        services.dedup();
        services
    }
}

/// Where a service stands: in the order in which a request meets them; others follow by name.
fn place(service: &str) -> usize {
    let sources = Source::ALL.len();
    match service {
        PAGE => 0,
        "nats" => sources + 1,
        GENERATOR => sources + 3,
        other => Source::named(other).map_or(sources + 2, |source| source.index() + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_two_times_is_known_only_if_that_of_each_is() {
        let work = |upstream, cpu: &[(&str, u64)]| Work {
            upstream_requests: upstream,
            cpu_us: cpu.iter().map(|(name, cpu)| ((*name).to_owned(), *cpu)).collect(),
            ..Work::default()
        };
        let whole = work(Some(3), &[("page", 10), ("nats", 1)]);
        let mut both = whole.clone();
        both.add(&work(None, &[("page", 20)]));
        assert_eq!(both, work(None, &[("page", 30)]));
        let mut twice = whole.clone();
        twice.add(&whole);
        assert_eq!(twice.upstream_requests, Some(6));
    }
}
