//! Reads the same page from every replica and from the naive page, side by side, and holds each against a fresh composition.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::stage::Stage;
use super::verdict::{Colour, Compositions, Revisions, Shown, Verdict};
use crate::parts::Part;
use stack::ports::url;
use stack::sources::AccountId;
use stack::supervisor::{Layer, State};
use stack::{Moment, PageClient, PageRequest, Preferences, ReadError};

/// How often the replicas are read.
const EVERY: Duration = Duration::from_millis(500);

/// For how long an answer is waited for; a replica's own deadlines are below a second.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Compositions are not traced: they would crowd out what is looked for. The flags at the end say so.
const UNTRACED: &str = "00-1ab00000000000000000000000000001-1ab0000000000001-00";

/// A replica's last answer, for the picture.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Answer {
    #[serde(flatten)]
    verdict: Verdict,
    /// Counts up, so that the browser draws each answer once.
    number: u64,
    account: AccountId,
    /// With which strategy it was asked for; the naive page has its own way.
    strategy: Option<String>,
    #[serde(flatten)]
    content: Option<Content>,
}

/// What an answer showed.
#[derive(Clone, Debug, Serialize)]
struct Content {
    name: Option<String>,
    endpoints: Option<usize>,
    /// The first endpoint, for commands that need one.
    endpoint: Option<u64>,
    samples: Option<u64>,
    revisions: Revisions,
    cache_status: String,
    trace_id: String,
    /// From the request to the last byte.
    took_ms: f64,
    /// How long before the request the moment was up to which the page is complete.
    age_ms: Option<i128>,
}

/// The replicas' last answers, by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct SideBySide {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
}

impl SideBySide {
    /// The last answer of each replica.
    pub(super) fn answers(&self) -> HashMap<String, Answer> {
        self.lock().clone()
    }

    /// Reads and compares until it is dropped. Nobody waits for anybody: one replica that hangs holds up itself alone.
    pub(super) async fn run(self, stage: Arc<Stage>) {
        let (client, composed) = (PageClient::new(PATIENCE), Composed::default());
        let readers = stage.layer(Layer::Edge).chain(stage.layer(Layer::Naive));
        let reading = join_all(readers.map(|replica| self.read(&stage, replica, &client, &composed)));
        tokio::join!(composed.go_on(&stage, &client), reading);
    }

    async fn read(&self, stage: &Stage, replica: &Part, client: &PageClient, composed: &Composed) {
        let name = &replica.program.name;
        let mut ticks = ticks();
        for number in 0.. {
            ticks.tick().await;
            let chosen = stage.chosen().clone();
            let account = chosen.account;
            let is_replica = replica.program.layer == Layer::Edge;
            let preferences = if is_replica {
                chosen.preferences()
            } else {
                Preferences::default()
            };
            let strategy = is_replica.then_some(chosen.strategy);
            let (verdict, content) = if stage.processes.state(name) == State::Running {
                let read = Read {
                    client,
                    account,
                    strategy: strategy.as_deref(),
                    preferences,
                    judges: false,
                };
                match read.of(replica).await {
                    Ok((shown, content)) => (composed.judge(account, &shown), Some(content)),
                    Err(why) => (grey(why.to_string()), None),
                }
            } else {
                (grey("is not asked".to_owned()), None)
            };
            let answer = Answer {
                verdict,
                number,
                account,
                strategy,
                content,
            };
            self.lock().insert(name.clone(), answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What fresh compositions have shown of the account that is watched.
#[derive(Debug, Default)]
struct Composed {
    seen: Mutex<(AccountId, Compositions)>,
}

impl Composed {
    async fn go_on(&self, stage: &Stage, client: &PageClient) {
        let mut ticks = ticks();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stage.performed.notified() => {}
            }
            let account = stage.chosen().account;
            let shown = compose(stage, client, account).await;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.0 != account {
                *seen = (account, Compositions::default());
            }
            seen.1.note(Timestamp::now(), shown);
        }
    }

    fn judge(&self, account: AccountId, shown: &Shown) -> Verdict {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 == account {
            seen.1.judge(shown)
        } else {
            grey("not compared yet".to_owned())
        }
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn grey(why: String) -> Verdict {
    Verdict {
        colour: Colour::Grey,
        why,
    }
}

/// A composition that no cache takes part in, by the first replica that runs.
///
/// By another strategy than the one that is shown: each has a cache and counters of its own, and what is composed to judge by
/// is neither to be left to the readers that are judged nor to be counted as theirs.
async fn compose(stage: &Stage, client: &PageClient, account: AccountId) -> Option<Shown> {
    let replica = stage
        .layer(Layer::Edge)
        .find(|replica| stage.processes.state(&replica.program.name) == State::Running)?;
    let strategy = match stage.chosen().strategy.as_str() {
        "none" => "versioned",
        _ => "none",
    };
    let read = Read {
        client,
        account,
        strategy: Some(strategy),
        preferences: Preferences {
            wait: Some(PATIENCE),
            no_cache: true,
            ..Preferences::default()
        },
        judges: true,
    };
    read.of(replica).await.ok().map(|(shown, _)| shown)
}

/// One kind of request.
#[derive(Clone, Copy)]
struct Read<'read> {
    client: &'read PageClient,
    account: AccountId,
    /// If there is one to choose.
    strategy: Option<&'read str>,
    preferences: Preferences,
    /// Whether others are held against it; then it is not traced.
    judges: bool,
}

impl Read<'_> {
    async fn of(self, replica: &Part) -> Result<(Shown, Content), ReadError> {
        let asked = Timestamp::now();
        let trace = own_trace();
        let traceparent = if self.judges { UNTRACED } else { &trace };
        let strategy = self.strategy.map(|strategy| ("cache-strategy", strategy));
        let headers: Vec<_> = strategy
            .into_iter()
            .chain([("traceparent", traceparent)])
            .collect();
        let request = PageRequest {
            account: self.account,
            preferences: self.preferences,
            headers: &headers,
            ..PageRequest::default()
        };
        let answer = self.client.read(&url(replica.port), &request).await?;
        if answer.status != 200 {
            return Err(ReadError::Refused(answer.status));
        }
        let body: Value = answer.json()?;
        let took_ms = answer.took().as_secs_f64() * 1000.0;
        let head = answer.head;
        let fresh_as_of = head.fresh_as_of.map(Moment::timestamp);
        let shown = Shown {
            revisions: head
                .versions
                .map(|version| version.map(|version| version.revision)),
            marked: head.detail().map(str::to_owned),
            etag: head.etag,
            fresh_as_of,
            asked,
            accepted: self.preferences.max_age.unwrap_or_default(),
        };
        let content = Content {
            name: body["account"]["name"].as_str().map(str::to_owned),
            endpoints: body["endpoints"]["endpoints"].as_array().map(Vec::len),
            endpoint: body["endpoints"]["endpoints"][0]["id"].as_u64(),
            samples: body["metrics"]["endpoints"]
                .as_array()
                .map(|all| all.iter().filter_map(|one| one["samples"].as_u64()).sum()),
            revisions: shown.revisions,
            cache_status: head.cache_status,
            trace_id: head.trace_id,
            took_ms,
            age_ms: fresh_as_of.map(|moment| asked.duration_since(moment).as_millis()),
        };
        Ok((shown, content))
    }
}

/// A trace that began here, so that the viewer can tell the lab's reads from its visitors'.
fn own_trace() -> String {
    // The only random numbers that the standard library has.
    let random = || RandomState::new().hash_one(());
    format!("00-{:016x}{:016x}-{:016x}-01", random(), random(), random())
}
