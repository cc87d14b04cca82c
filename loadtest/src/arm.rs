//! One strategy while it is measured: its accounts, its turns, and what was found in them.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::generator::{Limits, Tally, drive};
use crate::plan::Plan;
use crate::probe::{Probing, probe};
use crate::results::{Numbers, Second, StrategyResults, Work};
use crate::session::Session;
use crate::strategy::Strategy;
use crate::target::Target;
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
    /// All turns together.
    total: Option<Tally>,
    rounds: Vec<Numbers>,
    seconds: Vec<Second>,
}

/// Makes, for each strategy, so many accounts of its own, alike for all, and one more if changes are to be looked for; reads each
/// page once. Answers also what a read costs the generator, if it can be known.
pub async fn open(
    session: &Session,
    strategies: &[Strategy],
    accounts: usize,
    probed: bool,
) -> Result<(Vec<Arm>, Option<Duration>)> {
    let strategies: Vec<_> = in_order(strategies).collect();
    let each = accounts + usize::from(probed);
    let progress = &session.progress;
    progress.count("making accounts", each * strategies.len());
    let mut arms = Vec::with_capacity(strategies.len());
    for (place, strategy) in strategies.into_iter().enumerate() {
        let count = |number| progress.counted(place * each + number);
        let mut made = session.fixtures.make(each, count).await?;
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
    let (client, counted) = (session.client(), |number| progress.counted(number));
    let cost = warming::read_each_once(&client, pages, counted).await?;
    Ok((arms, cost))
}

/// Each strategy once, in the order in which one comes to them.
pub fn in_order(strategies: &[Strategy]) -> impl Iterator<Item = Strategy> {
    Strategy::ALL
        .into_iter()
        .filter(|strategy| strategies.contains(strategy))
}

impl Arm {
    /// A strategy that has not had a turn yet.
    pub fn new(strategy: Strategy, target: Target, probed: Option<Target>) -> Self {
        Self {
            strategy,
            target,
            probed,
            total: None,
            rounds: Vec::new(),
            seconds: Vec::new(),
        }
    }

    /// Whom its load is meant for.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The account that was made last: when the page has received its events, it has received those of all.
    pub fn last_account(&self) -> u64 {
        let accounts = &self.probed.as_ref().unwrap_or(&self.target).accounts;
        accounts[accounts.len() - 1].id
    }

    /// Every page that its load reads.
    fn pages(&self) -> impl Iterator<Item = (Strategy, u64)> {
        let accounts = self.target.accounts.iter();
        accounts.map(|account| (self.strategy, account.id))
    }

    /// Its next turn: the load, with the services' counters read before and after, and then the probe by itself.
    pub async fn turn(&mut self, session: &mut Session, plan: &Plan, limits: Limits) -> Result<()> {
        let before = session.scraper.snapshot().await;
        let mut tally = drive(&self.target, plan, limits).await;
        tokio::time::sleep(AFTERMATH.min(plan.lasting / 5)).await;
        let after = session.scraper.snapshot().await;
        session.check_alive(&after)?;
        tally.worked(after.since(&before, self.strategy));
        let counted = after.reads_since(&before, self.strategy);
        if !session.stack.is_own() && counted != Some(tally.answers()) {
            tally.worked(without_others(&tally, self.strategy));
        }
        if let Some(target) = &self.probed {
            let probed = probe(target, Probing::default()).await;
            let failed = |reason| anyhow!("probing {} failed: {reason}", self.strategy);
            tally.probed(&probed.map_err(failed)?);
        }
        self.note(tally);
        Ok(())
    }

    /// Notes what became of a turn.
    pub fn note(&mut self, tally: Tally) {
        let round = u32::try_from(self.rounds.len()).unwrap_or(u32::MAX);
        let so_far = u32::try_from(self.seconds.len()).unwrap_or(u32::MAX);
        self.seconds.extend(tally.seconds(round, so_far));
        self.rounds.push(tally.numbers());
        match &mut self.total {
            Some(total) => total.add(&tally),
            none => *none = Some(tally),
        }
    }

    /// All that was found.
    pub fn results(self) -> StrategyResults {
        let total = self.total.unwrap_or_default();
        StrategyResults {
            strategy: self.strategy.name().to_owned(),
            total: total.numbers(),
            rounds: self.rounds,
            latency: total.latency(),
            staleness: total.staleness(),
            seconds: self.seconds,
        }
    }
}

/// Takes others out of the count of requests to the sources: in a stack that was up already, somebody else may read as well.
///
/// The answers name the requests that were made for them. A refresh by an event alone has no answer that would name it. It is in the
/// page's counter, which does not tell accounts apart: it is believed if the page has counted no reads of this strategy but ours.
fn without_others(tally: &Tally, strategy: Strategy) -> Work {
    let (named, failed) = tally.named_requests();
    Work {
        upstream_requests: Some(named - failed),
        upstream_at_least: strategy == Strategy::Prepopulate || failed > 0,
        ..tally.work().clone()
    }
}
