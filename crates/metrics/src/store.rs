//! All the SQL. A mutation, the bump of its revision and its announcement are one transaction (rule 1).

mod accounts;

use std::path::Path;
use std::sync::Arc;

use event_bus::outbox;
use event_bus::{Incarnation, Version};
use group_commit::Database;
use rusqlite::{Connection, Row, params};
use tokio::sync::Semaphore;
use tracing::instrument;

use crate::error::StoreError;
use crate::events;
use crate::sample::{AccountId, Batch, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
pub(crate) use crate::store::accounts::News;
use crate::store::accounts::{bump, find, hear};
use crate::summary::{Summary, Tally};
use crate::window::Frame;

const MIGRATIONS: &[&str] = &[outbox::MIGRATION, include_str!("../migrations/0001_samples.sql")];

/// Endpoints of one account, so that an answer has an end.
const ENDPOINT_LIMIT: i64 = 500;
/// Summaries that are made at once. Fewer than the database has readers: the relay's watermarks and the cheap
/// question "is this still current?" must never queue behind them.
const SUMMARIES: usize = 2;

const WINDOW_OF_ENDPOINT: &str = "SELECT at, state, status_code, response_ms FROM samples
     WHERE account_id = ?1 AND endpoint_id = ?2 AND at >= ?3 AND at < ?4";

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
        Ok(Self {
            database,
            summaries: Arc::new(Semaphore::new(SUMMARIES)),
        })
    }

    pub(crate) fn database(&self) -> Database {
        self.database.clone()
    }

    /// Records all samples of the batch, or none.
    #[instrument(skip_all)]
    pub(crate) async fn record(&self, account: AccountId, batch: Batch) -> Result<Recorded, StoreError> {
        self.database.write(move |c| record(c, account, &batch)).await
    }

    /// The account's version alone; touches no sample.
    #[instrument(skip_all)]
    pub(crate) async fn version(&self, account: AccountId) -> Result<Version, StoreError> {
        let known = self.database.read(move |c| find(c, account)).await?;
        Ok(known.version)
    }

    /// Reads every sample of the frame. Slow, and honest about it.
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

fn record(c: &Connection, account: AccountId, batch: &Batch) -> Result<Recorded, StoreError> {
    let known = find(c, account)?;
    if known.deleted {
        return Err(StoreError::AccountDeleted);
    }
    let samples = upsert(c, account, batch)?;
    if samples == 0 {
        return Ok(Recorded {
            version: known.version,
            samples,
        });
    }
    enrol_endpoints(c, account, batch)?;
    // Also for samples too old for every window: the clock that says so is not the reader's, and may be set back.
    let version = Version {
        revision: bump(c, account)?,
        ..known.version
    };
    outbox::announce(c, &events::recorded(account, version.revision, samples))?;
    Ok(Recorded { version, samples })
}

/// Answers how many samples are new or different. The last one of an endpoint and moment wins, so that a batch that is
/// sent again, after an answer that was lost, counts nothing twice.
fn upsert(c: &Connection, account: AccountId, batch: &Batch) -> Result<usize, StoreError> {
    let mut statement = c.prepare_cached(
        "INSERT INTO samples (account_id, endpoint_id, at, state, status_code, response_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET state = excluded.state, status_code = excluded.status_code,
                                   response_ms = excluded.response_ms
         WHERE (state, status_code, response_ms)
            IS NOT (excluded.state, excluded.status_code, excluded.response_ms)",
    )?;
    let mut changed = 0;
    for (endpoint, sample) in batch.samples() {
        changed += statement.execute(params![
            account.0,
            endpoint.get(),
            sample.at.0,
            sample.state.as_str(),
            sample.status_code.get(),
            sample.response_ms.get(),
        ])?;
    }
    Ok(changed)
}

fn enrol_endpoints(c: &Connection, account: AccountId, batch: &Batch) -> Result<(), StoreError> {
    let mut statement =
        c.prepare_cached("INSERT OR IGNORE INTO endpoints (account_id, endpoint_id) VALUES (?1, ?2)")?;
    for (endpoint, _) in batch.samples() {
        statement.execute([account.0, endpoint.get()])?;
    }
    let count: i64 = c
        .prepare_cached("SELECT count(*) FROM endpoints WHERE account_id = ?1")?
        .query_row([account.0], |row| row.get(0))?;
    // The error undoes what was inserted above.
    if count > ENDPOINT_LIMIT {
        return Err(StoreError::TooManyEndpoints);
    }
    Ok(())
}

fn summarise(c: &Connection, account: AccountId, frame: Frame) -> Result<Summarised, StoreError> {
    let known = find(c, account)?;
    let mut endpoints = Vec::new();
    for endpoint in enrolled(c, account)? {
        let summary = summarise_endpoint(c, account, endpoint, frame)?;
        endpoints.extend(summary.map(|summary| (endpoint, summary)));
    }
    Ok(Summarised {
        version: known.version,
        endpoints,
    })
}

/// None for a deleted account, whatever the sweep has not come to yet.
fn enrolled(c: &Connection, account: AccountId) -> Result<Vec<EndpointId>, StoreError> {
    let endpoints = c
        .prepare_cached("SELECT endpoint_id FROM endpoints WHERE account_id = ?1 ORDER BY endpoint_id")?
        .query_map([account.0], |row| {
            Ok(EndpointId::parse(row.get(0)?).expect("only positive ids are stored"))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(endpoints)
}

fn summarise_endpoint(
    c: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    frame: Frame,
) -> Result<Option<Summary>, StoreError> {
    let mut statement = c.prepare_cached(WINDOW_OF_ENDPOINT)?;
    let mut rows = statement.query([account.0, endpoint.get(), frame.start().0, frame.end().0])?;
    let mut tally = Tally::new(frame);
    while let Some(row) = rows.next()? {
        tally.add(sample_from(row)?);
    }
    Ok(tally.finish())
}

/// By position, not by name: this runs a million times for one answer.
fn sample_from(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        at: UnixMs(row.get(0)?),
        state: State::parse(row.get_ref(1)?.as_str().ok()).expect("only valid states are stored"),
        status_code: StatusCode::parse(row.get(2)?).expect("only valid codes are stored"),
        response_ms: ResponseMs::parse(row.get(3)?).expect("only valid times are stored"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
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
    async fn a_window_is_one_range_of_the_table() {
        let (store, _folder) = store().await;
        let explain = |c: &Connection| {
            c.prepare(&format!("EXPLAIN QUERY PLAN {WINDOW_OF_ENDPOINT}"))?
                .query_map([1, 1, 1, 1], |row| row.get::<_, String>("detail"))?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let plan = store
            .database
            .read(move |c| explain(c).map_err(StoreError::from))
            .await
            .unwrap();
        assert_eq!(
            plan,
            ["SEARCH samples USING PRIMARY KEY (account_id=? AND endpoint_id=? AND at>? AND at<?)"]
        );
    }
}
