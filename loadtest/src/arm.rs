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
/// page once.
pub async fn open(
    session: &Session,
    strategies: &[Strategy],
    accounts: usize,
    probed: bool,
) -> Result<Vec<Arm>> {
    let strategies: Vec<_> = in_order(strategies).collect();
    let each = accounts + usize::from(probed);
    let progress = &session.progress;
    progress.count("making accounts", each * strategies.len());
    let mut arms = Vec::with_capacity(strategies.len());
    for (place, strategy) in strategies.into_iter().enumerate() {
        let count = |number| progress.counted(place * each + number);
        let mut made = session.fixtures.make(each, count).await?;
        let probed = made.split_off(accounts);
        let target = |accounts| Target::new(session.client(), strategy.into(), accounts);
        let probed = (!probed.is_empty()).then(|| target(probed));
        arms.push(Arm::new(strategy, target(made), probed));
    }
    if let Some(last) = arms.last() {
        session.stack.settle(last.last_account()).await?;
    }
    let pages: Vec<_> = arms.iter().flat_map(Arm::pages).collect();
    progress.count("reading every page once", pages.len());
    let (client, counted) = (session.client(), |number| progress.counted(number));
    warming::read_each_once(&client, pages, counted).await?;
    Ok(arms)
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
        let counted = after.since(&before, self.strategy);
        let reads = after.reads_since(&before, self.strategy);
        tally.worked(if session.stack.is_own() {
            counted
        } else {
            without_others(counted, reads, &tally, self.strategy)
        });
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
            reading: None,
            latency: total.latency(),
            beyond_wait: total.beyond_wait(),
            staleness: total.staleness(),
            seconds: self.seconds,
        }
    }
}

/// Takes others out of what the services counted: in a stack that was up already, somebody else may read as well.
///
/// The answers name the requests that were made for them. A refresh by an event alone has no answer that would name it. It is in the
/// page's counter, which does not tell accounts apart: it is believed if the page has counted no `reads` of this strategy but ours.
fn without_others(counted: Work, reads: Option<u64>, tally: &Tally, strategy: Strategy) -> Work {
    if reads == Some(tally.answers()) {
        return counted;
    }
    let (named, failed) = tally.named_requests();
    Work {
        upstream_requests: Some(named - failed),
        upstream_at_least: strategy == Strategy::Prepopulate || failed > 0,
        ..counted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use stack::{Asked, Moment, Outcome, PerSource};

    use super::*;
    use crate::client::{Answer, Reading};
    use crate::generator::ReadOutcome;
    use crate::oracle::Judgement;
    use crate::plan::{Arrival, What};

    const ALL_ANSWERED: Asked = Asked {
        new: 2,
        not_modified: 1,
        failed: 0,
    };

    /// Of one read, whose answer names these requests.
    fn tally(requests: Asked) -> Tally {
        let now = Instant::now();
        let answer = Answer {
            account: 7,
            sent: now,
            ended: now,
            versions: PerSource::default(),
            fresh_as_of: Moment::now(),
            age_when_sent: Duration::ZERO,
            age: Duration::ZERO,
            outcome: Outcome::Miss,
            collapsed: false,
            marked: false,
            requests,
        };
        let read = ReadOutcome {
            answer,
            judgement: Judgement::default(),
            latency: Duration::from_millis(1),
            budget: Duration::from_millis(250),
            reading: Reading::default(),
        };
        let arrival = Arrival {
            at: Duration::ZERO,
            account: 0,
            what: What::Read,
        };
        let mut tally = Tally::default();
        tally.answered(arrival, &read);
        tally
    }

    /// The requests of that read, and whether there may have been more, when the page has counted `fetches` for so many reads.
    fn requests(
        strategy: Strategy,
        asked: Asked,
        (fetches, reads): (u64, Option<u64>),
    ) -> (Option<u64>, bool) {
        let counted = Work {
            upstream_requests: Some(fetches),
            renders: Some(80),
            ..Work::default()
        };
        let work = without_others(counted, reads, &tally(asked), strategy);
        assert_eq!(work.renders, Some(80), "what is not of requests stays");
        (work.upstream_requests, work.upstream_at_least)
    }

    #[test]
    fn the_answers_name_the_requests_whoever_else_reads() {
        for strategy in [Strategy::None, Strategy::Versioned, Strategy::Invalidate] {
            for reads in [Some(80), None] {
                assert_eq!(requests(strategy, ALL_ANSWERED, (240, reads)), (Some(3), false));
            }
        }
    }

    #[test]
    fn refreshes_are_in_the_counter_and_it_is_believed_if_nobody_else_read() {
        let requests = |counted| requests(Strategy::Prepopulate, ALL_ANSWERED, counted);
        assert_eq!(requests((5, Some(1))), (Some(5), false));
        assert_eq!(requests((5, Some(2))), (Some(3), true), "others read too");
        assert_eq!(requests((5, None)), (Some(3), true), "the page was started again");
    }

    #[test]
    fn what_did_not_reach_its_source_is_no_request_that_it_answered() {
        let broken = Asked {
            new: 1,
            not_modified: 0,
            failed: 1,
        };
        assert_eq!(requests(Strategy::None, broken, (240, Some(80))), (Some(1), true));
    }
}
