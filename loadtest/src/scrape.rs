//! What the services have counted, and what their processes have cost: read before and after a turn.

mod process;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Client;
use stack::Samples;
use stack::http::client;

use crate::client::{Addresses, PAGE};
use crate::derived::GENERATOR;
use crate::histogram::micros;
use crate::results::Work;
use crate::stack::Stack;
use crate::strategy::Strategy;

pub use process::own_cpu_time;

/// How long a service may take to say what it counted: one that stands still never does.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
const CPU_SECONDS: &str = "process_cpu_time_seconds_total";

/// Reads the counters of a stack's services.
#[derive(Clone, Debug)]
pub struct Scraper {
    http: Client,
    addresses: Addresses,
    /// The broker's number, if it can be known.
    broker: Option<u32>,
}

/// What all counters said at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    services: BTreeMap<&'static str, Samples>,
    /// Processes that do not tell of themselves.
    cpu_us: BTreeMap<&'static str, u64>,
}

impl Scraper {
    /// A scraper of this stack.
    pub fn new(stack: &Stack) -> Self {
        Self {
            http: client(ANSWERS_WITHIN),
            addresses: stack.addresses.clone(),
            broker: stack.broker_process(),
        }
    }

    /// Reads everything. Who does not answer is not in it.
    pub async fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (name, root) in self.addresses.services() {
            let samples = Samples::scrape(&self.http, root).await;
            snapshot.services.extend(samples.map(|samples| (name, samples)));
        }
        let broker = self.broker.and_then(process::cpu_us_of);
        snapshot.cpu_us.extend(broker.map(|cpu| ("nats", cpu)));
        let own = own_cpu_time().map(micros);
        snapshot.cpu_us.extend(own.map(|cpu| (GENERATOR, cpu)));
        snapshot
    }
}

impl Snapshot {
    /// Whether the page answered.
    pub fn has_page(&self) -> bool {
        self.services.contains_key(PAGE)
    }

    /// What this strategy's cache did, and what everything cost, since an earlier one.
    pub fn since(&self, earlier: &Self, strategy: Strategy) -> Work {
        let strategy = ("strategy", strategy.name());
        let page = |name: &str, result: &str| self.counted(earlier, name, &[strategy, ("result", result)]);
        Work {
            upstream_requests: page("page_fetches_total", "all"),
            upstream_at_least: false,
            renders: page("page_compositions_total", "rendered"),
            refreshes: page("page_refreshes_total", "begun"),
            refreshes_wasted: page("page_refreshes_total", "wasted"),
            cpu_us: self.cpu_since(earlier),
        }
    }

    /// Reads by this strategy that the page answered since an earlier one, whoever asked.
    pub fn reads_since(&self, earlier: &Self, strategy: Strategy) -> Option<u64> {
        self.counted(earlier, "page_reads_total", &[("strategy", strategy.name())])
    }

    fn counted(&self, earlier: &Self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let read = |snapshot: &Self| snapshot.services.get(PAGE)?.whole(name, labels);
        read(self)?.checked_sub(read(earlier)?)
    }

    fn cpu_since(&self, earlier: &Self) -> BTreeMap<String, u64> {
        let told = self.services.iter().filter_map(|(name, samples)| {
            let before = earlier.services.get(name)?.micros(CPU_SECONDS)?;
            Some((*name, samples.micros(CPU_SECONDS)?.checked_sub(before)?))
        });
        let seen = self
            .cpu_us
            .iter()
            .filter_map(|(name, now)| Some((*name, now.checked_sub(*earlier.cpu_us.get(name)?)?)));
        told.chain(seen)
            .map(|(name, cpu)| (name.to_owned(), cpu))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(fetches: u32, cpu: &str) -> Snapshot {
        let text = format!(
            "page_fetches_total{{result=\"all\",strategy=\"ttl\"}} {fetches}\n\
             page_fetches_total{{result=\"failed\",strategy=\"ttl\"}} 7\n\
             page_fetches_total{{result=\"all\",strategy=\"none\"}} 1000\n{cpu}"
        );
        Snapshot {
            services: BTreeMap::from([(PAGE, Samples::parse(&text))]),
            cpu_us: BTreeMap::from([("loadtest", u64::from(fetches))]),
        }
    }

    #[test]
    fn only_the_strategys_own_counts_are_taken_and_what_was_not_told_is_absent() {
        let work = snapshot(30, "").since(&snapshot(10, ""), Strategy::Ttl);
        let expected = Work {
            upstream_requests: Some(20),
            cpu_us: BTreeMap::from([("loadtest".to_owned(), 20)]),
            ..Work::default()
        };
        assert_eq!(work, expected);
        assert_eq!(
            snapshot(30, "")
                .since(&snapshot(10, ""), Strategy::Versioned)
                .upstream_requests,
            None
        );
    }

    #[test]
    fn a_counter_that_went_back_belongs_to_another_process_and_says_nothing() {
        let work = snapshot(5, "").since(&snapshot(10, ""), Strategy::Ttl);
        assert_eq!(work, Work::default());
    }

    #[test]
    fn cpu_time_is_told_in_seconds_and_kept_in_microseconds() {
        let before = snapshot(1, "process_cpu_time_seconds_total{cpu_mode=\"user\"} 1.5\n");
        let after = snapshot(1, "process_cpu_time_seconds_total{cpu_mode=\"user\"} 1.75\n");
        let work = after.since(&before, Strategy::None);
        assert_eq!(work.cpu_us[PAGE], 250_000);
        assert_eq!(
            snapshot(1, "").since(&before, Strategy::None).cpu_us.get(PAGE),
            None
        );
    }
}
