//! What precedes a measurement: every page is read once, so that what is measured is a cache in use.

use std::time::Duration;

use anyhow::{Result, bail};
use futures::stream::{self, StreamExt as _};
use tokio::time::sleep;

use crate::client::Client;
use crate::scrape::own_cpu_time;
use crate::strategy::Strategy;

/// How many pages are read at once.
const AT_ONCE: usize = 16;

/// How often a page is asked for until it is given up.
const TRIES: u32 = 10;

/// How long a stack that is too busy for a page is left alone.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// By how many reads it is found out what one costs.
const PROBE_READS: u32 = 400;

/// Reads the pages of these accounts by these strategies, and says how many it has read.
pub async fn read_each_once(
    client: &Client,
    pages: Vec<(Strategy, u64)>,
    counted: impl Fn(usize),
) -> Result<()> {
    let reads = pages
        .into_iter()
        .map(|(strategy, account)| read_once(client, strategy, account));
    let mut read = stream::iter(reads).buffer_unordered(AT_ONCE).enumerate();
    while let Some((number, outcome)) = read.next().await {
        outcome?;
        counted(number + 1);
    }
    Ok(())
}

/// The CPU time that a read of this page costs the generator, once its connections are open; `None` if the system does not tell.
pub async fn cost_of_a_read(client: &Client, strategy: Strategy, account: u64) -> Result<Option<Duration>> {
    let read = async |count| read_each_once(client, vec![(strategy, account); count], |_| {}).await;
    read(AT_ONCE).await?;
    let before = own_cpu_time();
    read(PROBE_READS as usize).await?;
    let spent = own_cpu_time().zip(before);
    Ok(spent.map(|(after, before)| after.saturating_sub(before) / PROBE_READS))
}

async fn read_once(client: &Client, strategy: Strategy, account: u64) -> Result<()> {
    let mut failed = 0;
    while let Err(failure) = client.read(account, strategy.into()).await {
        failed += 1;
        if failed == TRIES {
            bail!(
                "before the measurement, a page could not be read by {strategy}, {failed} times in a row: {failure}"
            );
        }
        sleep(TRY_AGAIN_AFTER).await;
    }
    Ok(())
}
