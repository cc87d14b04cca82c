//! What follows from the counts: shares, and costs per page. Absent where the counts are.

use crate::figures::{brief, float, known, share};
use crate::results::{Kind, Numbers, Results, StrategyResults};

/// The services of the stack, in the order in which a request meets them; others follow by name.
const SERVICES: [&str; 5] = ["page", "accounts", "endpoints", "metrics", "nats"];
/// The generator, whose own cost is told apart from that of the stack.
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
        share(self.upstream_requests?, self.answers())
    }

    /// The same in words: `≥ 3.00` where there may have been more.
    pub(crate) fn upstream_told(&self) -> String {
        let at_least = if self.upstream_at_least { "≥ " } else { "" };
        known(self.upstream_per_page(), |it| format!("{at_least}{}", brief(it)))
    }

    /// CPU time of `service` for each page answered, in microseconds.
    pub fn cpu_per_page(&self, service: &str) -> Option<f64> {
        share(*self.cpu_us.get(service)?, self.answers())
    }

    /// CPU time of the whole stack for each page answered, in microseconds; without the generator's own.
    pub fn stack_cpu_per_page(&self) -> Option<f64> {
        let services = self.cpu_us.iter().filter(|(service, _)| *service != GENERATOR);
        let parts: Vec<f64> = services.map(|(_, us)| float(*us)).collect();
        (!parts.is_empty() && self.answers() > 0).then(|| parts.iter().sum::<f64>() / float(self.answers()))
    }

    /// The share of the refreshes that nobody read.
    pub fn wasted_share(&self) -> Option<f64> {
        share(self.refreshes_wasted?, self.refreshes?)
    }

    /// The share of the answers that lacked an acknowledged change without saying so.
    pub fn behind_share(&self) -> Option<f64> {
        share(self.behind, self.answers())
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
            Kind::Compare | Kind::Replay => self.strategies.iter().map(|it| it.strategy.clone()).collect(),
        }
    }

    /// Whose CPU time was measured: the stack's services, and the generator last.
    pub(crate) fn services(&self) -> Vec<&str> {
        let mut services: Vec<&str> = self
            .strategies
            .iter()
            .flat_map(|it| it.total.cpu_us.keys())
            .map(String::as_str)
            .collect();
        services.sort_by_key(|name| (place(name), *name));
        services.dedup();
        services
    }
}

fn place(service: &str) -> usize {
    let known = SERVICES.iter().position(|it| *it == service);
    known.unwrap_or(SERVICES.len() + usize::from(service == GENERATOR))
}
