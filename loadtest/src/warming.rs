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
const PROBE_READS: usize = 300;

/// Below so many reads, what they cost is mostly the opening of connections.
const ENOUGH_READS: u32 = 100;

/// Reads the pages of these accounts by these strategies, and says how many it has read; answers the CPU time that a read costs the
/// generator, if there were enough to tell.
pub async fn read_each_once(
    client: &Client,
    pages: Vec<(Strategy, u64)>,
    counted: impl Fn(usize),
) -> Result<Option<Duration>> {
    let (before, count) = (own_cpu_time(), u32::try_from(pages.len()).unwrap_or(u32::MAX));
    let reads = pages
        .into_iter()
        .map(|(strategy, account)| read_once(client, strategy, account));
    let mut read = stream::iter(reads).buffer_unordered(AT_ONCE).enumerate();
    while let Some((number, outcome)) = read.next().await {
        outcome?;
        counted(number + 1);
    }
    let spent = own_cpu_time()
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok(spent.filter(|_| count >= ENOUGH_READS).map(|spent| spent / count))
}

/// The CPU time that a read of this page costs the generator; `None` if it cannot be known.
pub async fn cost_of_a_read(client: &Client, strategy: Strategy, account: u64) -> Result<Option<Duration>> {
    read_each_once(client, vec![(strategy, account); PROBE_READS], |_| {}).await
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
