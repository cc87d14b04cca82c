//! All the SQL. A mutation, the bump of its revision and its announcement are one transaction (rule 1).

mod accounts;
mod endpoints;
mod histograms;
#[cfg(test)]
mod histories;
mod samples;

use std::path::Path;
use std::sync::Arc;

use event_bus::outbox;
use event_bus::{Incarnation, Version};
use group_commit::Database;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tracing::instrument;

use crate::error::StoreError;
use crate::events;
use crate::sample::{AccountId, Batch, EndpointId};
pub(crate) use crate::store::accounts::News;
use crate::store::accounts::{bump, find, hear};
use crate::store::histograms::Windows;
use crate::summary::Summary;
use crate::window::Frame;

const MIGRATIONS: &[&str] = &[
    outbox::MIGRATION,
    include_str!("../migrations/0001_samples.sql"),
    include_str!("../migrations/0002_histograms.sql"),
    outbox::CLAIMS_MIGRATION,
    include_str!("../migrations/0003_nonces.sql"),
];

/// Summaries that are made at once. Fewer than the database has readers: the relay's watermarks and the cheap
/// question "is this still current?" must never queue behind them.
const SUMMARIES: usize = 2;

/// The samples, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    summaries: Arc<Semaphore>,
}

/// What a batch changed.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) version: Version,
    /// How many samples are new or different.
    pub(crate) samples: usize,
}

/// The summaries of an account's endpoints, and the version they are of: read in one snapshot.
#[derive(Debug)]
pub(crate) struct Summarised {
    pub(crate) version: Version,
    pub(crate) endpoints: Vec<(EndpointId, Summary)>,
}

impl Store {
    pub(crate) async fn open(path: &Path, renew_incarnation: bool) -> Result<Self, StoreError> {
        let database = Database::open(path, MIGRATIONS)?;
        if renew_incarnation {
            database
                .write(|c| outbox::renew_incarnation(c).map_err(StoreError::from))
                .await?;
        }
        pack(&database).await?;
        Ok(Self {
            database,
            summaries: Arc::new(Semaphore::new(SUMMARIES)),
        })
    }

    pub(crate) fn database(&self) -> Database {
        self.database.clone()
    }

    /// Records all samples of the batch, or none; none if the version that the account's have is not `wanted`: of two who
    /// want the same one, one finds another.
    #[instrument(skip_all)]
    pub(crate) async fn record(
        &self,
        account: AccountId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
        batch: Batch,
    ) -> Result<Recorded, StoreError> {
        self.database
            .write(move |c| record(c, account, wanted, &batch))
            .await
    }

    /// The account's version alone; touches no sample.
    #[instrument(skip_all)]
    pub(crate) async fn version(&self, account: AccountId) -> Result<Version, StoreError> {
        let known = self.database.read(move |c| find(c, account)).await?;
        Ok(known.version)
    }

    /// From the histograms and the samples that are not packed: exactly what all samples would give.
    #[instrument(skip_all)]
    pub(crate) async fn summarise(&self, account: AccountId, frame: Frame) -> Result<Summarised, StoreError> {
        let permit = self.summaries.clone().acquire_owned().await;
        self.database
            .read(move |c| {
                // Moved in here: a caller who goes away leaves the work running, and with it the permit taken.
                let _permit = permit;
                summarise(c, account, frame)
            })
            .await
    }

    /// Takes in what the accounts service, in this incarnation, said of the account. What that deletes is gone at once
    /// for its readers, and in bounded steps on disk.
    ///
    /// May be repeated: it announces once, and goes on deleting where a crash left off.
    #[instrument(skip_all)]
    pub(crate) async fn hear_account(
        &self,
        account: AccountId,
        news: News,
        incarnation: Incarnation,
    ) -> Result<(), StoreError> {
        let step = move |c: &Connection| hear(c, account, news, incarnation);
        while self.database.write(step).await? {}
        Ok(())
    }
}

/// In bounded steps; after a crash it goes on where it was.
async fn pack(database: &Database) -> Result<(), StoreError> {
    let unpacked = database.read(|c| histograms::unpacked(c)).await?;
    if !unpacked.is_empty() {
        tracing::info!(
            endpoints = unpacked.len(),
            "the samples that are there are packed"
        );
    }
    for (account, endpoint) in unpacked {
        let step = move |c: &Connection| histograms::pack_more(c, account, endpoint);
        while database.write(step).await? {}
    }
    Ok(())
}

fn record(
    c: &Connection,
    account: AccountId,
    wanted: impl FnOnce(Version) -> bool,
    batch: &Batch,
) -> Result<Recorded, StoreError> {
    let known = find(c, account)?;
    // First: what would be refused without a condition is refused as without (RFC 9110, 13.2.1).
    if known.deleted {
        return Err(StoreError::AccountDeleted);
    }
    if !wanted(known.version) {
        return Err(StoreError::VersionMismatch(known.version));
    }
    let stored = samples::put(c, account, batch)?;
    let samples = stored.len();
    if samples == 0 {
        return Ok(Recorded {
            version: known.version,
            samples,
        });
    }
    histograms::follow(c, account, &stored)?;
    endpoints::refuse_too_many(c, account)?;
    // Also for samples too old for every window: the clock that says so is not the reader's, and may be set back.
    let version = bump(c, account)?;
    outbox::announce(c, &events::recorded(account, version, samples))?;
    Ok(Recorded { version, samples })
}

fn summarise(c: &Connection, account: AccountId, frame: Frame) -> Result<Summarised, StoreError> {
    let known = find(c, account)?;
    let mut windows = Windows::prepare(c, account, frame)?;
    let mut endpoints = Vec::new();
    for endpoint in samples::newest(c, account, frame)? {
        let summary = windows.tally(&endpoint)?.finish(endpoint.sample);
        endpoints.push((endpoint.id, summary));
    }
    Ok(Summarised {
        version: known.version,
        endpoints,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use rusqlite::params_from_iter;
    use tokio::time::timeout;

    use super::*;
    use crate::window::Window;

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db"), false).await.unwrap();
        (store, folder)
    }

    #[tokio::test]
    async fn summaries_wait_for_each_other_and_nothing_else_waits_for_them() {
        let (store, _folder) = store().await;
        let (account, frame) = (AccountId(7), Frame::holding(Timestamp::now(), Window::Hour));
        let all = u32::try_from(SUMMARIES).unwrap();
        let under_way = store.summaries.acquire_many(all).await.unwrap();
        let mut one_more = std::pin::pin!(store.summarise(account, frame));
        let waited = timeout(Duration::from_millis(50), &mut one_more).await;
        assert!(waited.is_err(), "it waits");
        store.version(account).await.unwrap();
        drop(under_way);
        one_more.await.unwrap();
    }

    /// The index is the table: were it not, or were the key in another order, this would say SCAN or lose a bound.
    #[tokio::test]
    async fn a_window_is_one_range_of_each_table() {
        let (store, _folder) = store().await;
        let explain = |sql, parameters: &'static [i64]| {
            let explain = move |c: &Connection| {
                c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?
                    .query_map(params_from_iter(parameters), |row| row.get::<_, String>("detail"))?
                    .collect::<rusqlite::Result<Vec<_>>>()
            };
            store.database.read(move |c| explain(c).map_err(StoreError::from))
        };
        assert_eq!(
            explain(histograms::CHUNKS_OF_WINDOW, &[1; 4]).await.unwrap(),
            [
                "SEARCH histograms USING PRIMARY KEY (account_id=? AND endpoint_id=? AND first>? AND first<?)",
                "SCALAR SUBQUERY 1",
                "SEARCH histograms USING PRIMARY KEY (account_id=? AND endpoint_id=? AND first<?)",
            ]
        );
        assert_eq!(
            explain(histograms::SAMPLES_OF_WINDOW, &[1; 4]).await.unwrap(),
            ["SEARCH samples USING PRIMARY KEY (account_id=? AND endpoint_id=? AND at>? AND at<?)"]
        );
        assert_eq!(
            explain(samples::NEWEST_OF_WINDOW, &[1; 3]).await.unwrap(),
            [
                "SEARCH endpoints USING PRIMARY KEY (account_id=?)",
                "SEARCH samples USING PRIMARY KEY (account_id=? AND endpoint_id=? AND at=?)",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH samples USING PRIMARY KEY (account_id=? AND endpoint_id=? AND at>? AND at<?)",
            ]
        );
    }
}
