//! `lab compare`, and the same on a click: what each strategy costs and what it hides, in about twelve seconds.
//!
//! The strategies take turns in slices of a fraction of a second, so that whatever else the machine does meets all of
//! them: what is compared is one run with itself. In the middle of every slice an account of the comparison's own is
//! renamed; all reads are held against the renames that were acknowledged before.

mod compared;
mod furnish;
mod reader;
mod table;
mod tally;

use std::io::{self, ErrorKind, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use self::furnish::furnish;
use self::reader::Reader;
use self::tally::{Acknowledged, Tally};
use crate::config::{CompareConfig, STRATEGIES};
use stack::sources::{AccountId, MOST_LISTED, Sources};

pub use self::compared::{Compared, Row};

/// What the comparison's account is called at first, and how its later names begin.
const NAME: &str = "lab compare";

/// What its account says of itself, by which it is found again.
const DESCRIPTION: &str = "Read and renamed by a comparison of the strategies, which deletes it.";

/// How long a run may take, in times of what it should: a stack that is slowed down on purpose may, one that hangs not.
const PATIENCE: u32 = 5;

/// How long is looked, and how closely.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How often each strategy has its turn.
    pub rounds: u32,
    /// How long a turn is.
    pub slice: Duration,
    /// From one read to the next, unless a read takes longer: there is never more than one.
    pub pace: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 6,
            slice: Duration::from_millis(400),
            pace: Duration::from_millis(5),
        }
    }
}

impl Plan {
    /// How many slices there are.
    pub fn slices(&self) -> usize {
        STRATEGIES.len() * self.rounds as usize
    }

    fn limit(&self) -> Duration {
        // The rest is for what is done before and after the slices.
        let slices = u32::try_from(self.slices()).unwrap_or(u32::MAX);
        self.slice.saturating_mul(slices).saturating_mul(PATIENCE) + Duration::from_secs(10)
    }
}

/// Compares on a stack that runs, and prints a table.
pub async fn compare(config: &CompareConfig) -> Result<()> {
    ensure!(
        config.rounds > 0 && config.slice_ms > 0,
        "--rounds and --slice-ms must be above 0"
    );
    let sources = config.sources.clients();
    let plan = Plan {
        rounds: config.rounds,
        slice: Duration::from_millis(config.slice_ms.into()),
        ..Plan::default()
    };
    let interrupted = async {
        let _ = ctrl_c().await;
    };
    let page = config.page_url.trim_end_matches('/');
    let compared = run(&sources, page, plan, |_| (), interrupted).await?;
    // Whoever pipes it away may have read enough.
    match writeln!(io::stdout(), "{}", table::draw(&compared)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Compares the strategies on an account of its own, which is deleted at the end, however that comes.
///
/// `progress` is told how many slices are done; when `stop` ends, the comparison breaks off.
pub async fn run(
    sources: &Sources,
    page_url: &str,
    plan: Plan,
    progress: impl Fn(usize),
    stop: impl Future<Output = ()>,
) -> Result<Compared> {
    let account = sources.create_account(NAME, DESCRIPTION).await?;
    let comparing = Box::pin(timeout(
        plan.limit(),
        compare_on(account, sources, page_url, plan, progress),
    ));
    let outcome = tokio::select! {
        outcome = comparing => outcome.unwrap_or_else(|_| {
            Err(anyhow!("it took longer than {} s", plan.limit().as_secs()))
        }),
        () = stop => Err(anyhow!("interrupted")),
    };
    match (outcome, sources.delete_account(account).await) {
        (outcome, Ok(())) => outcome,
        (outcome, Err(left)) => {
            let first = outcome
                .err()
                .map(|error| format!("{error:#}; "))
                .unwrap_or_default();
            Err(anyhow!(
                "{first}its account {account} may be left behind: {left:#}"
            ))
        }
    }
}

/// Deletes what a comparison left behind that was killed outright, or could not reach accounts any more.
///
/// Only where none can be under way: when the stack has just been started.
pub(crate) async fn delete_leftovers(sources: &Sources) -> Result<()> {
    for account in sources.list_accounts(MOST_LISTED).await? {
        // Nobody else's, whatever it is called.
        if account.description == DESCRIPTION {
            sources.delete_account(account.id).await?;
        }
    }
    Ok(())
}

async fn compare_on(
    account: AccountId,
    sources: &Sources,
    page_url: &str,
    plan: Plan,
    progress: impl Fn(usize),
) -> Result<Compared> {
    furnish(account, sources).await?;
    let reader = Reader::new(page_url, account);
    // Not counted: each strategy has a cache of its own, and is compared with it filled.
    for strategy in STRATEGIES {
        reader.read(strategy).await?;
    }
    let mut injected = sources.injected(account).await?;
    let before = reader.counted().await?;
    let began = Instant::now();
    let mut acknowledged = Acknowledged::default();
    let mut tallies = STRATEGIES.map(Tally::new);
    for done in 0..plan.slices() {
        progress(done);
        // Another one begins each round, so that none always follows the same.
        let turn = (done + done / STRATEGIES.len()) % STRATEGIES.len();
        let tally = &mut tallies[turn];
        // Read before it is renamed: what nobody reads is not refreshed.
        read_for(plan.slice / 2, &reader, plan, &acknowledged, tally).await?;
        let revision = sources.rename_account(account, &format!("{NAME} {done}")).await?;
        acknowledged.note(revision, Instant::now());
        read_for(plan.slice / 2, &reader, plan, &acknowledged, tally).await?;
    }
    let took = began.elapsed();
    progress(plan.slices());
    let after = reader.counted().await?;
    // Somebody may have clicked meanwhile.
    injected.extend(sources.injected(account).await?);
    Ok(Compared::new(&tallies, (&before, &after), plan, took).injected(&injected))
}

/// Reads one at a time until that is over, at least once.
async fn read_for(
    span: Duration,
    reader: &Reader,
    plan: Plan,
    acknowledged: &Acknowledged,
    tally: &mut Tally,
) -> Result<()> {
    let began = Instant::now();
    // A pace after what went before: what a rename sets off may take as long as it takes for a reader to come.
    let mut ticks = interval_at((began + plan.pace).into(), plan.pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = reader.read(tally.strategy()).await?;
        tally.note(&answer, acknowledged);
        if began.elapsed() >= span {
            return Ok(());
        }
    }
}
