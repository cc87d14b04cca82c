//! Random histories: whatever was recorded, replaced, deleted and begun anew, an answer is what the samples say.

use event_bus::lives::{EntityChange, EntityEvent};
use event_bus::{Incarnation, Nonce, Place};
use group_commit::{Connection, params};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use source_service::Follower as _;
use tempfile::TempDir;

use super::{MIGRATIONS, Store, histograms, samples};
use crate::error::Error;
use crate::sample::{AccountId, Batch, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
use crate::summary::{Point, Summary};
use crate::window::{Frame, Window};

const NOW: &str = "2026-03-01T10:07:30Z";
const ACCOUNTS: [AccountId; 2] = [AccountId(1), AccountId(2)];

#[derive(Debug, Clone)]
enum Step {
    Record(AccountId, Batch),
    /// The batch before it, sent again.
    Again,
    Begin(Place),
    Apply(AccountId, EntityEvent),
    /// The service ends, and begins again; perhaps on a database that never had histograms.
    Reopen {
        unpacked: bool,
    },
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn sample() -> impl Strategy<Value = (EndpointId, Sample)> {
    let now = now().as_millisecond();
    let moment = prop_oneof![
        // Few moments, so that they come again; then any of the last minutes; then of eight days.
        4 => (0..60_i64, 0..2_i64).prop_map(move |(i, later)| now - i * 7_000 + later),
        2 => now - 200_000..now + 60_000,
        3 => now - 8 * 86_400_000..now,
    ];
    let state = prop_oneof![4 => Just(State::Up), 1 => Just(State::Degraded), 2 => Just(State::Down)];
    let response = prop_oneof![0..20_i64, 0..=600_000_i64];
    (1..=3_i64, moment, state, 0..=2_i64, response).prop_map(|(endpoint, at, state, code, ms)| {
        let sample = Sample {
            at: UnixMs(at),
            state,
            status_code: StatusCode::parse(Some(code)).unwrap(),
            response_ms: ResponseMs::parse(Some(ms)).unwrap(),
        };
        (EndpointId::parse(Some(endpoint)).unwrap(), sample)
    })
}

fn batch() -> impl Strategy<Value = Batch> {
    let size = prop_oneof![1..20_usize, 300..1_000_usize];
    size.prop_flat_map(|size| proptest::collection::vec(sample(), size))
        .prop_map(|samples| samples.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let account = || prop::sample::select(&ACCOUNTS[..]);
    prop_oneof![
        8 => (account(), batch()).prop_map(|(account, batch)| Step::Record(account, batch)),
        1 => Just(Step::Again),
        1 => (0..40_u64).prop_map(|end| Step::Begin(at(end))),
        3 => (account(), event()).prop_map(|(account, event)| Step::Apply(account, event)),
        1 => any::<bool>().prop_map(|unpacked| Step::Reopen { unpacked }),
    ]
}

fn at(sequence: u64) -> Place {
    Place { stream: 1, sequence }
}

/// Anything, in any order: also what no accounts service publishes.
fn event() -> impl Strategy<Value = EntityEvent> {
    let change = prop_oneof![
        Just(EntityChange::Created),
        Just(EntityChange::Updated),
        Just(EntityChange::Deleted)
    ];
    (change, 0..3_u128, 0..3_u64, 0..40_u64).prop_map(|(change, incarnation, life, place)| EntityEvent {
        change,
        life: (life > 0).then_some(Nonce(life)),
        incarnation: Incarnation(incarnation),
        place: at(place),
    })
}

struct Scene {
    folder: TempDir,
    store: Store,
    last: Option<(AccountId, Batch)>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).await;
        Self {
            folder,
            store,
            last: None,
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Record(account, batch) => {
                self.last = Some((account, batch.clone()));
                self.record(account, batch).await;
            }
            Step::Again => {
                if let Some((account, batch)) = self.last.clone() {
                    self.record(account, batch).await;
                }
            }
            Step::Begin(end) => self.store.begin(end).await.unwrap(),
            Step::Apply(account, event) => self.store.apply(account.0, event).await.unwrap(),
            Step::Reopen { unpacked } => {
                if unpacked {
                    self.write(unpack).await;
                }
                self.store = Store::open(&self.folder.path().join("db")).await;
            }
        }
    }

    async fn record(&self, account: AccountId, batch: Batch) {
        match self.store.record(account, |_| true, batch).await {
            Ok(_) | Err(Error::AccountDeleted) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection<'_>) -> Result<T, group_commit::Error> + Send + 'static,
    ) -> T {
        self.store.database.write(job).await.unwrap()
    }

    /// Whatever is asked, the answer is what counting the samples gives.
    async fn assert_true(&self) {
        for account in ACCOUNTS {
            for window in Window::ALL {
                for later in [0, 1, 45, 2_000] {
                    let frame = Frame::holding(now() + SignedDuration::from_mins(later), window);
                    let told = self.store.summarise(account, frame).await.unwrap().endpoints;
                    let rows = self.write(move |c| rows(c, account)).await;
                    assert_eq!(
                        told,
                        naive(&rows, frame),
                        "{account:?}, {window:?}, {later} minutes later"
                    );
                }
            }
        }
        self.write(assert_packed).await;
    }
}

fn unpack(c: &Connection<'_>) -> Result<(), group_commit::Error> {
    c.batch_execute(
        "DELETE FROM histograms;
         UPDATE endpoints SET packed_until = NULL, unpacked = (SELECT count(*) FROM samples
             WHERE samples.account_id = endpoints.account_id AND samples.endpoint_id = endpoints.endpoint_id)",
    )
}

/// Few samples are left to be read one by one, and nothing is left of an endpoint without samples.
fn assert_packed(c: &Connection<'_>) -> Result<(), group_commit::Error> {
    let unpacked = "SELECT unpacked, (SELECT count(*) FROM samples WHERE samples.account_id = endpoints.account_id
             AND samples.endpoint_id = endpoints.endpoint_id AND at >= coalesce(packed_until, at)) AS counted FROM endpoints";
    c.for_each(unpacked, params![], |row| {
        let (told, counted): (i64, i64) = (row.get("unpacked")?, row.get("counted")?);
        assert_eq!(told, counted);
        assert!(told <= 32, "{told}");
        Ok(())
    })?;
    let orphans: i64 = c.query_one(
        "SELECT count(*) AS count FROM histograms LEFT JOIN endpoints USING (account_id, endpoint_id) WHERE unpacked IS NULL",
        params![],
        |row| row.get("count"),
    )?;
    assert_eq!(orphans, 0);
    Ok(())
}

fn rows(c: &Connection<'_>, account: AccountId) -> Result<Vec<(EndpointId, Sample)>, group_commit::Error> {
    c.query(
        "SELECT at, state, status_code, response_ms, endpoint_id FROM samples WHERE account_id = ?1
         ORDER BY endpoint_id, at",
        params![account.0],
        |row| {
            let endpoint = EndpointId::parse(row.get("endpoint_id")?).unwrap();
            Ok((endpoint, samples::sample_from(row)?))
        },
    )
}

/// The definition: all samples of the frame, counted and sorted.
fn naive(rows: &[(EndpointId, Sample)], frame: Frame) -> Vec<(EndpointId, Summary)> {
    rows.chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|of_endpoint| {
            // By time, as they lie in the table.
            let before = |at: UnixMs| of_endpoint.partition_point(|(_, sample)| sample.at < at);
            let inside = |from: UnixMs, to: UnixMs| -> Vec<Sample> {
                let samples = &of_endpoint[before(from)..before(to)];
                samples.iter().map(|(_, sample)| *sample).collect()
            };
            let all = inside(frame.start(), frame.end());
            let series = (0..frame.buckets()).map(|bucket| {
                let (from, to) = frame.bucket(bucket);
                let samples = inside(from, to);
                Point {
                    samples: samples.len(),
                    uptime: uptime(&samples),
                    p50: percentile(&samples, 50),
                }
            });
            let summary = Summary {
                samples: all.len(),
                uptime: uptime(&all)?,
                p50: percentile(&all, 50),
                p95: percentile(&all, 95),
                p99: percentile(&all, 99),
                last: *all.last()?,
                series: series.collect(),
            };
            Some((of_endpoint[0].0, summary))
        })
        .collect()
}

fn answered(samples: &[Sample]) -> Vec<ResponseMs> {
    let answered = samples.iter().filter(|sample| sample.state != State::Down);
    answered.map(|sample| sample.response_ms).collect()
}

fn uptime(samples: &[Sample]) -> Option<f64> {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap());
    (!samples.is_empty()).then(|| count(answered(samples).len()) / count(samples.len()))
}

fn percentile(samples: &[Sample], percent: usize) -> Option<ResponseMs> {
    let mut times = answered(samples);
    times.sort_unstable();
    let rank = (percent * times.len()).div_ceil(100);
    Some(times[rank.checked_sub(1)?])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_answer_is_what_the_samples_say_whatever_came_before(
        steps in proptest::collection::vec(step(), 1..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut scene = Scene::new().await;
            for step in steps {
                scene.take(step).await;
            }
            scene.assert_true().await;
        });
    }
}

/// A database as the service left it before it had histograms.
async fn database_of_before() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = group_commit::Database::open(&folder.path().join("db"), &MIGRATIONS[..2]).unwrap();
    let now = now().as_millisecond();
    let lay = move |c: &Connection<'_>| {
        c.batch_execute("INSERT INTO accounts (account_id, revision) VALUES (1, 1), (2, 1)")?;
        c.batch_execute("INSERT INTO endpoints SELECT account_id, account_id * 5 FROM accounts")?;
        // More than are packed together at once: some in the same minutes, some with the same times, some down.
        c.execute(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
             INSERT INTO samples SELECT account_id, account_id * 5, ?1 - i * 27000,
                 CASE i * 7919 % 10 WHEN 0 THEN 'down' ELSE 'up' END, 200, i * 7919 % 900
             FROM n, accounts",
            params![now],
        )?;
        Ok::<_, group_commit::Error>(())
    };
    database.write(lay).await.unwrap();
    folder
}

async fn assert_true_after_opening(folder: TempDir) {
    let store = Store::open(&folder.path().join("db")).await;
    let mut scene = Scene {
        folder,
        store,
        last: None,
    };
    scene.assert_true().await;
    let at = UnixMs(now().as_millisecond());
    let known = scene.write(move |c| rows(c, ACCOUNTS[0])).await;
    let (endpoint, last) = *known.last().unwrap();
    assert_eq!(last.at, at);
    let corrected = Sample {
        response_ms: ResponseMs::parse(Some(600_000)).unwrap(),
        ..last
    };
    let batch = [(endpoint, corrected)].into_iter().collect();
    scene.take(Step::Record(ACCOUNTS[0], batch)).await;
    scene.assert_true().await;
}

#[tokio::test]
async fn a_database_from_before_the_histograms_is_given_them() {
    assert_true_after_opening(database_of_before().await).await;
}

#[tokio::test]
async fn a_start_that_was_interrupted_goes_on_where_it_was() {
    let folder = database_of_before().await;
    let database = group_commit::Database::open(&folder.path().join("db"), MIGRATIONS).unwrap();
    let unpacked = database.read(histograms::unpacked).await.unwrap();
    assert_eq!(unpacked.len(), 2);
    let (account, endpoint) = unpacked[0];
    let step = move |c: &Connection<'_>| histograms::pack_more(c, account, endpoint);
    assert!(database.write(step).await.unwrap(), "there is more");
    drop(database);
    assert_true_after_opening(folder).await;
}
