//! `lab measure`: how long a committed write takes to be applied by a replica, and to be on the page.

mod applied;
mod echo;
pub(crate) mod latency;
mod visible;

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::config::MeasureConfig;
use crate::measure::applied::Applied;
use crate::measure::echo::Echo;
use crate::measure::latency::Latency;
use crate::measure::visible::Visible;
use stack::sources::{AccountId, Revision, SourceClient};
use stack::{PerSource, Source};

/// How long the last event may take after the last write.
const LAST_EVENT_WITHIN: Duration = Duration::from_secs(10);

/// Writes to an account of its own at a steady rate, and prints how long each step of the way took.
///
/// Needs a running stack; deletes its account at the end. All clocks are this machine's: against a stack on another
/// host, the difference of the clocks would be part of the numbers.
pub async fn measure(config: &MeasureConfig) -> Result<()> {
    ensure!(
        config.writes > 0 && config.rate > 0,
        "--writes and --rate must be above 0"
    );
    let sources = SourceClient::new(only_accounts(&config.accounts_url));
    let account = sources
        .create_account("lab measure", "Written to by lab measure, which deletes it.")
        .await?;
    let outcome = tokio::select! {
        outcome = measure_on(account, config, &sources) => outcome,
        _ = ctrl_c() => Err(anyhow!("interrupted")),
    };
    sources.delete_account(account).await?;
    outcome
}

/// The others are not written to.
fn only_accounts(url: &str) -> PerSource<String> {
    let mut roots = PerSource::default();
    url.clone_into(&mut roots[Source::Accounts]);
    roots
}

async fn measure_on(account: AccountId, config: &MeasureConfig, sources: &SourceClient) -> Result<()> {
    let mut applied = Applied::listen(&config.nats_url, account).await?;
    let mut echo = Echo::start(&config.nats_url).await?;
    let visible = Visible::start(&config.page_url, account);
    let began = Instant::now();
    let (writes, answered) = write_steadily(account, config, sources, &visible, &mut echo).await?;
    let took = began.elapsed();
    let (visible, first_reads) = visible.stop().await?;
    let last = answered.last().map_or(0, |(revision, _)| *revision);
    let applied = timeout(LAST_EVENT_WITHIN, applied.until(last)).await??;
    let echoed = echo.stop().await?;

    println!(
        "{} writes in {:.1} s, {:.0} per second (asked for: {})\n",
        config.writes,
        took.as_secs_f64(),
        f64::from(config.writes) / took.as_secs_f64(),
        config.rate,
    );
    println!("{}", Latency::HEAD);
    println!("{}", writes.row("write: request to answer"));
    println!(
        "{}",
        applied.since_dated.row("event: dated to applied by a replica")
    );
    println!(
        "{}",
        applied
            .since_answered(&answered)
            .row("event: write answered to applied")
    );
    println!("{}", visible.row("page: write answered to visible"));
    println!("{}", echoed.row("JetStream alone: publish to receipt"));
    println!(
        "\nAn event is dated in its transaction, before the commit is synced to disk; its write is answered after that. From
commit to applied lies between the two. Of the pages, {first_reads} were fresh on the first read; their row ends
with the whole answer of a read."
    );
    Ok(())
}

/// One write per tick; a slow one makes the next ones catch up. Answers how long writes took, and when each revision was answered.
async fn write_steadily(
    account: AccountId,
    config: &MeasureConfig,
    sources: &SourceClient,
    visible: &Visible,
    echo: &mut Echo,
) -> Result<(Latency, Vec<(Revision, Instant)>)> {
    let period = Duration::from_secs(1) / config.rate;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut latency = Latency::new();
    let mut answered = Vec::new();
    for number in 0..config.writes {
        ticks.tick().await;
        let name = format!("lab measure {number}");
        let write = async {
            let began = Instant::now();
            let revision = sources.rename_account(account, &name).await?;
            let now = Instant::now();
            latency.record(now - began);
            visible.expect(revision, now);
            answered.push((revision, now));
            Ok(())
        };
        // Half a tick later, so that neither waits for the other.
        let echo = async {
            sleep(period / 2).await;
            echo.publish().await
        };
        tokio::try_join!(write, echo)?;
    }
    Ok((latency, answered))
}
