//! A recorded workload through the real stack, faster than it was recorded, with all strategies at once.
//!
//! A key is an account, a read asks for its page, a write changes it at one of the sources in turn. Each read is sent once for
//! each strategy, which has a cache of its own; all of them receive the same writes. So they see the same data at the same time.

mod selection;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use crate::arm::{self, Arm};
use crate::client::Reading;
use crate::config::ReplayConfig;
use crate::generator::{Limits, Tally, drive};
use crate::plan::{Arrival, Plan, What};
use crate::results::{Kind, Results, Setup, Work};
use crate::session::Session;
use crate::target::Target;
use crate::workload::Trace;
use stack::Source;

pub use selection::{read, stack};

/// How long what the last requests set off may go on before it is counted: refreshes, the relays' publishing.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Runs it in an open session.
pub async fn replay(config: &ReplayConfig, trace: &Trace, session: &mut Session) -> Result<Results> {
    let writer = Target::new(
        session.client(),
        Reading::default(),
        session.accounts(trace.keys).await?,
    );
    let mut arms: Vec<_> = arm::in_order(&config.run.strategies)
        .map(|strategy| Arm::new(strategy, writer.read_as(strategy.into()), None))
        .collect();
    let plans = Plans::new(trace, config.compression());
    let mut limits = Limits::all(&config.run);
    // Of each strategy; the writer hardly counts.
    limits.in_flight /= arms.len();
    let busiest = plans.reads.busiest_second() * arms.len() + plans.writes.busiest_second();
    let too_fast = session.warn_if_too_fast(number(busiest)).await?;
    let (lasting, progress) = (plans.reads.lasting, session.progress.clone());
    progress.wait("replaying", lasting);
    let before = session.scraper.snapshot().await;
    let step = format!("replaying {}", trace.name);
    let targets = arms.iter().map(|arm| arm.target().clone()).chain([writer]);
    let driving = drive_all(targets.collect(), plans, limits);
    let mut tallies = progress.during(&step, lasting, driving).await?;
    tokio::time::sleep(AFTERMATH).await;
    let after = session.scraper.snapshot().await;
    session.check_alive(&after)?;
    let writer = tallies.pop().unwrap_or_default();
    for (arm, mut tally) in arms.iter_mut().zip(tallies) {
        tally.worked(Work {
            // All strategies spent it at once.
            cpu_us: BTreeMap::new(),
            ..after.since(&before, arm.strategy)
        });
        tally.written_by(&writer);
        arm.note(tally);
    }
    let strategies = arms.into_iter().map(Arm::results).collect();
    let mut setup = setup(config, trace, session);
    setup.notes.extend(too_fast);
    Ok(session.results(Kind::Replay, setup, strategies))
}

/// What is asked of each strategy, and what is written for all of them.
#[derive(Clone, Debug)]
struct Plans {
    reads: Arc<Plan>,
    writes: Arc<Plan>,
}

impl Plans {
    fn new(trace: &Trace, compression: f64) -> Self {
        let mut sources = Source::ALL.into_iter().cycle();
        let (writes, reads): (Vec<_>, Vec<_>) = trace
            .requests
            .iter()
            .map(|request| Arrival {
                at: request.at.div_f64(compression),
                account: request.key,
                what: match request.write.then(|| sources.next()).flatten() {
                    Some(source) => What::Write(source),
                    None => What::Read,
                },
            })
            .partition(|arrival| matches!(arrival.what, What::Write(_)));
        let lasting = trace.length().div_f64(compression);
        let plan = |arrivals| Arc::new(Plan { lasting, arrivals });
        Self {
            reads: plan(reads),
            writes: plan(writes),
        }
    }
}

/// Drives all targets at once, the last of them with the writes.
async fn drive_all(targets: Vec<Target>, plans: Plans, limits: Limits) -> Result<Vec<Tally>> {
    let last = targets.len().saturating_sub(1);
    let mut driving = JoinSet::new();
    for (place, target) in targets.into_iter().enumerate() {
        let plan = if place == last {
            &plans.writes
        } else {
            &plans.reads
        };
        let plan = Arc::clone(plan);
        driving.spawn(async move { (place, drive(&target, &plan, limits).await) });
    }
    let mut tallies = Vec::with_capacity(last + 1);
    while let Some(driven) = driving.join_next().await {
        tallies.push(driven?);
    }
    tallies.sort_unstable_by_key(|(place, _)| *place);
    Ok(tallies.into_iter().map(|(_, tally)| tally).collect())
}

fn setup(config: &ReplayConfig, trace: &Trace, session: &Session) -> Setup {
    let (requests, writes) = (trace.requests.len(), trace.writes());
    let reads = requests - writes;
    let compression = config.compression();
    let lasting = trace.length().div_f64(compression);
    let recorded_ttl = config.run.stack.ttl_seconds;
    let ttl = if session.stack.is_own() {
        format!(
            "The TTL is shortened as well: {recorded_ttl} s of the recording are {} s here.",
            session.ttl_seconds()
        )
    } else {
        format!(
            "The TTL is that of the running stack, {recorded_ttl} s according to --ttl-seconds: {:.0} s of the recording.",
            f64::from(recorded_ttl) * compression
        )
    };
    let notes = [
        format!(
            "Replayed {compression} times as fast as it was recorded: a second here is {compression} s of the recording, so an \
             answer that is a few milliseconds behind here is behind by more there. {ttl}"
        ),
        format!(
            "A cache that never evicts and learns of every write at once would answer {:.1} % of these reads by itself. Pages are cold \
             at the beginning, as they were in the recording.",
            trace.best_hit_ratio() * 100.0
        ),
        "Every read was sent once for each strategy, at the same time; each has its own cache, and all received the same writes. \
         Latencies are therefore those of a machine that serves all strategies at once, and CPU time cannot be split by strategy."
            .to_owned(),
    ];
    Setup {
        rate_per_second: number(requests) / lasting.as_secs_f64(),
        rounds: 1,
        turn_seconds: lasting.as_secs_f64(),
        accounts: trace.keys,
        popularity: format!(
            "{}{}; all {requests} requests for one in {} of its keys, which are {}",
            trace.name.describe(),
            part(trace),
            trace.one_in,
            trace.keys
        ),
        mix: format!("{reads} reads and {writes} writes, as they were recorded"),
        reads_per_write: number(reads) / number(writes.max(1)),
        compression: Some(compression),
        ..session.setup(&config.run, notes)
    }
}

/// Which part of the recording it is, if not all of it.
fn part(trace: &Trace) -> String {
    let seconds = trace.part.start.as_secs()..trace.part.end.as_secs();
    if seconds == (0..u32::MAX.into()) {
        String::new()
    } else {
        format!(", from second {} to {} of it", seconds.start, seconds.end)
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Request, TraceName};

    #[test]
    fn writes_take_sources_in_turn_and_everything_keeps_its_time() {
        let request = |seconds, key, write| Request {
            at: Duration::from_secs(seconds),
            key,
            write,
        };
        let trace = Trace {
            name: TraceName::Twitter52,
            requests: vec![
                request(0, 0, false),
                request(10, 1, true),
                request(20, 0, true),
                request(30, 1, false),
                request(40, 0, true),
            ],
            keys: 2,
            one_in: 1,
            part: Duration::ZERO..Duration::MAX,
        };
        let plans = Plans::new(&trace, 10.0);
        let told = |plan: &Plan| -> Vec<_> {
            let arrivals = plan.arrivals.iter();
            arrivals
                .map(|arrival| (arrival.at.as_secs(), arrival.account, arrival.what))
                .collect()
        };
        assert_eq!(told(&plans.reads), [(0, 0, What::Read), (3, 1, What::Read)]);
        let [first, second, third, ..] = Source::ALL.map(What::Write);
        assert_eq!(
            told(&plans.writes),
            [(1, 1, first), (2, 0, second), (4, 0, third)]
        );
        assert_eq!(plans.writes.lasting, Duration::from_secs(4));
    }
}
