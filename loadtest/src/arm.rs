//! One strategy while it is measured: its accounts, its turns, and what was found in them.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::generator::{Limits, Tally, Target, drive};
use crate::histogram::Durations;
use crate::plan::Plan;
use crate::probe::{Probed, Probing, probe};
use crate::results::{Numbers, Second, StrategyResults};
use crate::scrape::Work;
use crate::session::Session;
use crate::strategy::Strategy;

/// How long what a turn set off may go on before it is counted: refreshes, the relay's acknowledgements.
const AFTERMATH: Duration = Duration::from_millis(300);

/// One strategy.
#[derive(Debug)]
pub struct Arm {
    /// Which.
    pub strategy: Strategy,
    target: Target,
    /// Has one account, which nobody else reads.
    probed: Target,
    total: Tally,
    visible: Durations,
    rounds: Vec<Numbers>,
    seconds: Vec<Second>,
}

impl Arm {
    /// A strategy that has not had a turn yet.
    pub fn new(strategy: Strategy, target: Target, probed: Target) -> Self {
        Self {
            strategy,
            target,
            probed,
            total: Tally::default(),
            visible: Durations::default(),
            rounds: Vec::new(),
            seconds: Vec::new(),
        }
    }

    /// Whom its load is meant for.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Who is probed.
    pub const fn probed(&self) -> &Target {
        &self.probed
    }

    /// Its next turn: the load, with a look at the services before and after, and then the probe by itself.
    pub async fn turn(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        limits: Limits,
        probing: Probing,
    ) -> Result<()> {
        let before = session.scraper.look().await;
        let tally = drive(&self.target, plan, limits).await;
        tokio::time::sleep(AFTERMATH).await;
        let work = session.scraper.look().await.since(&before, self.strategy);
        session.check_alive()?;
        let probed = probe(&self.probed, probing).await;
        let probed = probed.map_err(|reason| anyhow!("probing {} failed: {reason}", self.strategy))?;
        self.note(&tally, work, &probed);
        Ok(())
    }

    fn note(&mut self, tally: &Tally, work: Work, probed: &Probed) {
        let round = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        let so_far = u32::try_from(self.seconds.len()).unwrap_or(u32::MAX);
        self.seconds.extend(tally.seconds(round, so_far));
        self.total.add(tally);
        self.visible.add(&probed.visible);
        self.rounds.push(numbers(tally, work, probed, &probed.visible));
    }

    /// All that was found.
    pub fn results(self) -> StrategyResults {
        let work = together(&self.rounds);
        let sum = |count: fn(&Numbers) -> u64| self.rounds.iter().map(count).sum();
        let probed = Probed {
            visible: self.visible,
            probes: sum(|numbers| numbers.probes),
            never_visible: sum(|numbers| numbers.never_visible),
            lies: 0,
        };
        let mut total = numbers(&self.total, work, &probed, &probed.visible);
        // Those of the probes are in the rounds' alone.
        total.lies = sum(|numbers| numbers.lies);
        StrategyResults {
            strategy: self.strategy.name().to_owned(),
            total,
            rounds: self.rounds,
            latency: self.total.latency(),
            staleness: self.total.staleness(),
            seconds: self.seconds,
        }
    }
}

fn numbers(tally: &Tally, work: Work, probed: &Probed, visible: &Durations) -> Numbers {
    let asked = tally.numbers();
    Numbers {
        lies: asked.lies + probed.lies,
        upstream_requests: work.upstream_requests,
        renders: work.renders,
        refreshes: work.refreshes,
        refreshes_wasted: work.refreshes_wasted,
        cpu_us: work.cpu_us,
        visible_us: visible.quantiles_if_any(),
        probes: probed.probes,
        never_visible: probed.never_visible,
        ..asked
    }
}

/// The work of all rounds; what is not known of each is not known of all.
fn together(rounds: &[Numbers]) -> Work {
    let sum = |count: fn(&Numbers) -> Option<u64>| rounds.iter().map(count).sum();
    let mut cpu_us = rounds
        .first()
        .map(|first| first.cpu_us.clone())
        .unwrap_or_default();
    cpu_us.retain(|name, _| rounds.iter().all(|round| round.cpu_us.contains_key(name)));
    for (name, cpu) in &mut cpu_us {
        *cpu = rounds.iter().map(|round| round.cpu_us[name]).sum();
    }
    Work {
        upstream_requests: sum(|numbers| numbers.upstream_requests),
        renders: sum(|numbers| numbers.renders),
        refreshes: sum(|numbers| numbers.refreshes),
        refreshes_wasted: sum(|numbers| numbers.refreshes_wasted),
        cpu_us,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn round(upstream: Option<u64>, cpu: &[(&str, u64)]) -> Numbers {
        Numbers {
            upstream_requests: upstream,
            cpu_us: cpu.iter().map(|(name, cpu)| ((*name).to_owned(), *cpu)).collect(),
            ..Numbers::default()
        }
    }

    #[test]
    fn the_work_of_all_rounds_is_known_only_if_that_of_each_is() {
        let whole = round(Some(3), &[("page", 10), ("nats", 1)]);
        let half = round(None, &[("page", 20)]);
        let both = together(&[whole.clone(), half]);
        assert_eq!(both.upstream_requests, None);
        assert_eq!(both.cpu_us, BTreeMap::from([("page".to_owned(), 30)]));
        assert_eq!(together(&[whole.clone(), whole]).upstream_requests, Some(6));
    }
}
