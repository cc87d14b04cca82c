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
use crate::warming;

/// How long what a turn set off may go on before it is counted: refreshes, the relay's acknowledgements. After short turns less.
const AFTERMATH: Duration = Duration::from_millis(300);

/// One strategy.
#[derive(Debug)]
pub struct Arm {
    /// Which.
    pub strategy: Strategy,
    target: Target,
    /// Has one account, which nobody else reads; none if changes are not looked for.
    probed: Option<Target>,
    total: Tally,
    visible: Durations,
    rounds: Vec<Numbers>,
    seconds: Vec<Second>,
}

/// Makes, for each strategy, so many accounts of its own, alike for all, and one more if changes are to be looked for; reads each
/// page once.
pub async fn open(
    session: &Session,
    strategies: &[Strategy],
    accounts: usize,
    probed: bool,
) -> Result<Vec<Arm>> {
    let mut strategies = strategies.to_vec();
    strategies.sort_unstable();
    strategies.dedup();
    let each = accounts + usize::from(probed);
    let progress = &session.progress;
    progress.count("making accounts", each * strategies.len());
    let mut arms = Vec::with_capacity(strategies.len());
    for (place, strategy) in strategies.into_iter().enumerate() {
        let count = |number| progress.counted(place * each + number);
        let mut made = session.furnisher.furnish(each, count).await?;
        let probed = made.split_off(accounts);
        let target = |accounts| Target::new(session.client(), Some(strategy), accounts);
        let probed = (!probed.is_empty()).then(|| target(probed));
        arms.push(Arm::new(strategy, target(made), probed));
    }
    if let Some(last) = arms.last() {
        session.stack.settle(last.last_account()).await?;
    }
    let pages: Vec<_> = arms.iter().flat_map(Arm::pages).collect();
    progress.count("reading every page once", pages.len());
    warming::read_each_once(&session.client(), pages, |number| progress.counted(number)).await?;
    Ok(arms)
}

impl Arm {
    /// A strategy that has not had a turn yet.
    fn new(strategy: Strategy, target: Target, probed: Option<Target>) -> Self {
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

    /// The account that was made last: when the page has heard of it, it has heard of all.
    pub fn last_account(&self) -> u64 {
        let accounts = &self.probed.as_ref().unwrap_or(&self.target).accounts;
        accounts[accounts.len() - 1].id
    }

    /// Every page that its load reads.
    fn pages(&self) -> impl Iterator<Item = (Strategy, u64)> {
        let accounts = self.target.accounts.iter();
        accounts.map(|account| (self.strategy, account.id))
    }

    /// Its next turn: the load, with a look at the services before and after, and then the probe by itself.
    pub async fn turn(&mut self, session: &mut Session, plan: &Plan, limits: Limits) -> Result<()> {
        let before = session.scraper.look().await;
        let tally = drive(&self.target, plan, limits).await;
        tokio::time::sleep(AFTERMATH.min(plan.lasting / 5)).await;
        let after = session.scraper.look().await;
        session.check_alive(&after)?;
        let mut work = after.since(&before, self.strategy);
        if !session.stack.is_own() {
            without_others(&mut work, &tally, self.strategy);
        }
        let probed = match &self.probed {
            Some(target) => probe(target, Probing::default()).await,
            None => Ok(Probed::default()),
        };
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

/// Takes others out of the count of requests to the sources: in a stack that was up already, somebody else may read as well.
///
/// The answers name the requests that were made for them. A refresh by an event alone has no answer that would name it. It is in the
/// page's counter, which does not tell accounts apart: it is believed if the page has counted no reads of this strategy but ours.
fn without_others(work: &mut Work, tally: &Tally, strategy: Strategy) {
    if work.reads != Some(tally.numbers().latency_us.count) {
        let named = tally.requests();
        work.upstream_requests = Some(named.answered);
        work.upstream_at_least = strategy == Strategy::Prepopulate || named.failed > 0;
    }
}

fn numbers(tally: &Tally, work: Work, probed: &Probed, visible: &Durations) -> Numbers {
    let asked = tally.numbers();
    Numbers {
        lies: asked.lies + probed.lies,
        upstream_requests: work.upstream_requests,
        upstream_at_least: work.upstream_at_least,
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
        reads: None,
        upstream_at_least: rounds.iter().any(|numbers| numbers.upstream_at_least),
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
    fn where_others_read_too_only_the_requests_that_answers_name_are_counted() {
        let counted = |reads, strategy| {
            let mut work = Work {
                reads: Some(reads),
                upstream_requests: Some(30),
                ..Work::default()
            };
            without_others(&mut work, &Tally::default(), strategy);
            (work.upstream_requests, work.upstream_at_least)
        };
        assert_eq!(
            counted(0, Strategy::Prepopulate),
            (Some(30), false),
            "nobody but us"
        );
        assert_eq!(counted(1, Strategy::None), (Some(0), false));
        assert_eq!(
            counted(1, Strategy::Prepopulate),
            (Some(0), true),
            "no answer names a refresh"
        );
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
