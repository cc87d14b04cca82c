//! All the SQL. A mutation, the bump of its revision and its announcement are one transaction (rule 1).

mod accounts;
mod endpoints;
mod histograms;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod lives;
mod samples;

use std::sync::Arc;

use event_bus::lives::{EntityEvent, Known, Past};
use event_bus::outbox;
use event_bus::{Nonce, Place, Version};
use group_commit::{Connection, Database};
use source_service::Follower;
use tokio::sync::Semaphore;
use tracing::instrument;

use crate::error::Error;
use crate::events;
use crate::sample::{AccountId, Batch, EndpointId};
use crate::store::accounts::ACCOUNTS;
use crate::store::histograms::Windows;
use crate::summary::Summary;
use crate::window::Frame;

pub(crate) const MIGRATIONS: &[&str] = &[
    outbox::MIGRATION,
    include_str!("../migrations/0001_samples.sql"),
    include_str!("../migrations/0002_histograms.sql"),
    outbox::CLAIMS_MIGRATION,
    include_str!("../migrations/0003_nonces.sql"),
    include_str!("../migrations/0004_lives.sql"),
    outbox::TRACESTATE_MIGRATION,
];

/// Summaries that are made at once. Fewer than the database has readers: the relay's watermarks and the cheap
/// question "is this still current?" must never queue behind them.
const SUMMARIES: usize = 2;

/// The samples, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    summaries: Arc<Semaphore>,
    /// Of the accounts' stream.
    past: Past,
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
    pub(crate) life: Option<Nonce>,
    pub(crate) endpoints: Vec<(EndpointId, Summary)>,
}

impl Store {
    /// Packs what an older version left unpacked, before anybody reads.
    pub(crate) async fn new(database: Database) -> Result<Self, group_commit::Error> {
        pack(&database).await?;
        Ok(Self {
            database,
            summaries: Arc::new(Semaphore::new(SUMMARIES)),
            past: Past::default(),
        })
    }

    /// Records all samples of the batch, or none; none if the version that the account's have is not `wanted`: of two who
    /// want the same one, one finds another.
    #[instrument(skip_all)]
    pub(crate) async fn record(
        &self,
        account: AccountId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
        batch: Batch,
    ) -> Result<Recorded, Error> {
        let past = self.past.place();
        self.database
            .write(move |c| record(c, account, wanted, &batch, past))
            .await
    }

    /// The account's version and life; touches no sample.
    #[instrument(skip_all)]
    pub(crate) async fn known(&self, account: AccountId) -> Result<Known, Error> {
        self.database
            .read(move |c| Ok(ACCOUNTS.known(c, account.0)?))
            .await
    }

    /// From the histograms and the samples that are not packed: exactly what all samples would give.
    #[instrument(skip_all)]
    pub(crate) async fn summarise(&self, account: AccountId, frame: Frame) -> Result<Summarised, Error> {
        let permit = self.summaries.clone().acquire_owned().await;
        self.database
            .read(move |c| {
                // Moved in here: a caller who goes away leaves the work running, and with it the permit taken.
                let _permit = permit;
                summarise(c, account, frame)
            })
            .await
    }
}

impl Follower for Store {
    type Error = Error;

    #[instrument(skip_all)]
    async fn begin(&self, place: Place) -> Result<(), Error> {
        Ok(ACCOUNTS.begin(&self.database, &self.past, place).await?)
    }

    /// Deleted data disappears for readers at once, and from disk in bounded steps.
    ///
    /// May be repeated: it announces once, and goes on deleting where a crash left off.
    #[instrument(skip_all)]
    async fn apply(&self, account: i64, event: EntityEvent) -> Result<(), Error> {
        self.past.pass(event.place);
        let step = move |c: &Connection<'_>| accounts::apply(c, AccountId(account), &event);
        while self.database.write(step).await? {}
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    async fn open(path: &std::path::Path) -> Self {
        let database = Database::open(path, MIGRATIONS).unwrap();
        Self::new(database).await.unwrap()
    }
}

/// In bounded steps; after a crash it goes on where it was.
async fn pack(database: &Database) -> Result<(), group_commit::Error> {
    let unpacked = database.read(histograms::unpacked).await?;
    if !unpacked.is_empty() {
        tracing::info!(
            endpoints = unpacked.len(),
            "packing the samples that an older version left unpacked"
        );
    }
    for (account, endpoint) in unpacked {
        let step = move |c: &Connection<'_>| histograms::pack_more(c, account, endpoint);
        while database.write(step).await? {}
    }
    Ok(())
}

fn record(
    c: &Connection<'_>,
    account: AccountId,
    wanted: impl FnOnce(Version) -> bool,
    batch: &Batch,
    past: Option<Place>,
) -> Result<Recorded, Error> {
    let known = ACCOUNTS.known(c, account.0)?;
    // First: what would be refused without a condition is refused as without (RFC 9110, 13.2.1).
    if known.owner.deleted {
        return Err(Error::AccountDeleted);
    }
    if !wanted(known.version) {
        return Err(Error::version_mismatch(known.version));
    }
    let first = !endpoints::are_there(c, account)?;
    let stored = samples::put(c, account, batch)?;
    let samples = stored.len();
    if samples == 0 {
        return Ok(Recorded {
            version: known.version,
            samples,
        });
    }
    histograms::follow(c, account, &stored)?;
    if endpoints::are_too_many(c, account)? {
        return Err(Error::TooManyEndpoints);
    }
    // Also for samples too old for every window: the clock that says so is not the reader's, and may be set back.
    let version = ACCOUNTS.bump(c, account.0)?;
    if first {
        ACCOUNTS.stamp(c, account.0, past)?;
    }
    outbox::announce(c, &events::recorded(account, version, samples))?;
    Ok(Recorded { version, samples })
}

fn summarise(c: &Connection<'_>, account: AccountId, frame: Frame) -> Result<Summarised, Error> {
    let known = ACCOUNTS.known(c, account.0)?;
    let mut windows = Windows::prepare(c, account, frame)?;
    let mut endpoints = Vec::new();
    for endpoint in samples::newest(c, account, frame)? {
        let summary = windows.tally(&endpoint)?.finish(endpoint.sample);
        endpoints.push((endpoint.id, summary));
    }
    Ok(Summarised {
        version: known.version,
        life: known.owner.life(),
        endpoints,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use group_commit::Parameter;
    use jiff::Timestamp;
    use tokio::time::timeout;

    use super::*;
    use crate::window::Window;

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).await;
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
        store.known(account).await.unwrap();
        drop(under_way);
        one_more.await.unwrap();
    }

    /// The index is the table: were it not, or were the key in another order, this would say SCAN or lose a bound.
    #[tokio::test]
    async fn a_window_is_one_range_of_each_table() {
        let (store, _folder) = store().await;
        let explain = |sql, parameters: &'static [i64]| {
            let explain = move |c: &Connection<'_>| {
                let parameters: Vec<_> = parameters.iter().map(|number| number as &dyn Parameter).collect();
                c.query(&format!("EXPLAIN QUERY PLAN {sql}"), &parameters, |row| {
                    row.get::<String>("detail")
                })
            };
            store.database.read(explain)
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
