//! The recording, done again: each step as the request that it would be, and what must be true after it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stack::{Source, Stack};

use super::readers::Answer;
use super::recording::{Edit, Kind, Recording, Sample, Step, What};
use super::shown;

/// One replay into one stack.
pub(super) struct Replay<'a> {
    stack: &'a Stack,
    accounts: HashMap<String, Account>,
    pub(super) truth: Truth,
    pub(super) tally: Tally,
}

struct Account {
    id: u64,
    /// By how many seconds its recording moves, so that its newest check is now.
    shift: i64,
    /// By name, those that there are.
    endpoints: BTreeMap<String, u64>,
    /// By name, also those that there were: the last round of an endpoint may end after its removal.
    known: HashMap<String, u64>,
    /// Of what is no `http`.
    refused: HashSet<String>,
}

/// What was done, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) samples: u64,
    pub(super) rounds: u64,
    pub(super) edits: u64,
    /// Of these, those that changed nothing that the service knows, such as how an endpoint is checked.
    pub(super) edits_of_nothing: u64,
    edits_refused: u64,
    samples_refused: u64,
    /// Samples of an endpoint that was not yet on the list.
    samples_early: u64,
}

/// What the services acknowledged, by account.
#[derive(Default)]
pub(super) struct Truth {
    /// The list of endpoints at each revision.
    lists: HashMap<(u64, u64), Vec<u64>>,
    /// Revisions of endpoints and of metrics with the moment at which they were known to be committed, in their order.
    acknowledged: [HashMap<u64, Vec<(Timestamp, u64)>>; 2],
}

/// Dates are rounded down to a millisecond.
const ROUNDING: SignedDuration = SignedDuration::from_millis(1);
const ENDPOINTS: usize = 0;
const METRICS: usize = 1;

impl<'a> Replay<'a> {
    /// Creates the accounts, without endpoints.
    pub(super) async fn start(stack: &'a Stack, recording: &Recording) -> Self {
        let now = Timestamp::now().as_second();
        let mut replay = Self {
            stack,
            accounts: HashMap::new(),
            truth: Truth::default(),
            tally: Tally::default(),
        };
        for (name, newest) in recording.accounts() {
            let id = stack.create_account(&name).await;
            replay.truth.lists.insert((id, 0), Vec::new());
            let account = Account {
                id,
                shift: now - newest,
                endpoints: BTreeMap::new(),
                known: HashMap::new(),
                refused: HashSet::new(),
            };
            replay.accounts.insert(name, account);
        }
        replay
    }

    /// The accounts' ids, in order.
    pub(super) fn accounts(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.accounts.values().map(|account| account.id).collect();
        ids.sort_unstable();
        ids
    }

    pub(super) async fn play(&mut self, step: &Step) {
        match &step.what {
            What::Edit(edit) => self.edit(&step.account, edit).await,
            What::Round(samples) => self.record(&step.account, samples).await,
        }
    }

    async fn edit(&mut self, account: &str, edit: &Edit) {
        let account = self.accounts.get_mut(account).unwrap();
        let list = self.stack.sources[Source::Endpoints].url(&format!("/accounts/{}/endpoints", account.id));
        let there = account.endpoints.get(&edit.name).copied();
        let request = match (edit.event, there) {
            (Kind::Removed, None) => {
                assert!(
                    account.refused.contains(&edit.name),
                    "{} was never there",
                    edit.name
                );
                self.tally.edits_refused += 1;
                return;
            }
            (Kind::Removed, Some(id)) => self.stack.request(Method::DELETE, format!("{list}/{id}")),
            (Kind::Changed, Some(id)) => {
                let change = json!({ "url": edit.url });
                self.stack
                    .request(Method::PATCH, format!("{list}/{id}"))
                    .json(&change)
            }
            (Kind::Added | Kind::Changed, _) => {
                let new = json!({ "name": edit.name, "url": edit.url });
                self.stack.request(Method::POST, list).json(&new)
            }
        };
        let answer = request.send().await.unwrap();
        if answer.status() == 422 {
            account.refused.insert(edit.name.clone());
            self.tally.edits_refused += 1;
            return;
        }
        let now = Timestamp::now();
        let revision = revision(&answer);
        match (edit.event, there) {
            (Kind::Removed, _) => {
                assert_eq!(answer.status(), 204);
                account.endpoints.remove(&edit.name);
            }
            (_, Some(_)) => assert_eq!(answer.status(), 200),
            (_, None) => {
                let body: Value = answer.json().await.unwrap();
                let id = body["id"].as_u64().unwrap();
                account.endpoints.insert(edit.name.clone(), id);
                account.known.insert(edit.name.clone(), id);
            }
        }
        let mut ids: Vec<u64> = account.endpoints.values().copied().collect();
        ids.sort_unstable();
        let id = account.id;
        self.tally.edits += 1;
        let before = self.truth.lists.insert((id, revision), ids);
        self.tally.edits_of_nothing += u64::from(before.is_some());
        self.truth.acknowledge(ENDPOINTS, id, now, revision);
        if let (Kind::Removed, Some(removed)) = (edit.event, there) {
            self.check_removed(id, removed, revision).await;
        }
    }

    /// Once the event of a removal is applied, no page has the endpoint.
    async fn check_removed(&self, account: u64, endpoint: u64, removal: u64) {
        self.until_applied_everywhere(Source::Endpoints, self.tally.edits - self.tally.edits_of_nothing)
            .await;
        let page = self.stack.page(0, account).await;
        let (revision, ids) = shown(&page.body);
        assert!(
            revision >= removal && !ids.contains(&endpoint),
            "{endpoint} was removed at {removal} and is on {}",
            page.body
        );
    }

    async fn record(&mut self, account: &str, samples: &[Sample]) {
        let account = &self.accounts[account];
        let mut batch = Vec::new();
        for sample in samples {
            match account.known.get(&sample.name) {
                Some(id) => batch.push(sample_json(*id, account.shift, sample)),
                None if account.refused.contains(&sample.name) => self.tally.samples_refused += 1,
                None => self.tally.samples_early += 1,
            }
        }
        if batch.is_empty() {
            return;
        }
        let url = self.stack.sources[Source::Metrics].url(&format!("/accounts/{}/samples", account.id));
        self.tally.samples += batch.len() as u64;
        self.tally.rounds += 1;
        let request = self.stack.request(Method::POST, url);
        let answer = self.stack.send(request.json(&json!({ "samples": batch }))).await;
        let now = Timestamp::now();
        self.truth
            .acknowledge(METRICS, account.id, now, revision(&answer));
    }

    /// Waits until the page service has applied everything.
    pub(super) async fn until_applied(&self) {
        self.until_applied_everywhere(Source::Endpoints, self.tally.edits - self.tally.edits_of_nothing)
            .await;
        self.until_applied_everywhere(Source::Metrics, self.tally.rounds)
            .await;
    }

    async fn until_applied_everywhere(&self, source: Source, events: u64) {
        if let Some(before) = events.checked_sub(1) {
            self.stack.until_applied(0, source, before).await;
        }
    }

    /// Everything that was recorded was done, or could not be for a reason that is known.
    pub(super) fn check_taken(&self, recording: &Recording) {
        let tally = &self.tally;
        assert_eq!((tally.edits, tally.edits_refused), (139, 37), "{tally:?}");
        let samples = (tally.samples, tally.samples_refused, tally.samples_early);
        if recording.samples() == 23_916 {
            assert_eq!(samples, (16_778, 7_130, 8), "{tally:?}");
        }
        let of_all = samples.0 + samples.1 + samples.2;
        assert_eq!(of_all, recording.samples() as u64, "{tally:?}");
    }

    /// The names that were on an account's list and are not any more.
    pub(super) fn removed_names(&self, account: u64) -> Vec<String> {
        let account = self.accounts.values().find(|known| known.id == account);
        let account = account.unwrap();
        let names = account.known.keys();
        names
            .filter(|name| !account.endpoints.contains_key(*name))
            .cloned()
            .collect()
    }
}

impl Truth {
    fn acknowledge(&mut self, source: usize, account: u64, at: Timestamp, revision: u64) {
        let known = &mut self.acknowledged[source];
        known.entry(account).or_default().push((at, revision));
    }

    /// The list of an account's endpoints as it is now, with its revision.
    pub(super) fn latest(&self, account: u64) -> (u64, Vec<u64>) {
        let lists = self.lists.iter().filter(|((of, _), _)| *of == account);
        let latest = lists.max_by_key(|((_, revision), _)| *revision);
        let ((_, revision), ids) = latest.unwrap();
        (*revision, ids.clone())
    }

    /// Every answer showed a list that existed. No answer lacked what was acknowledged before its `Fresh-As-Of`. That was not older
    /// than its reader accepts, unless the answer was marked.
    pub(super) fn check(&self, seen: &[Answer]) {
        for answer in seen {
            let expected = self.lists.get(&(answer.account, answer.endpoints.0));
            assert_eq!(Some(&answer.endpoints.1), expected, "{answer:?}");
            let age = answer.sent.duration_since(answer.fresh_as_of);
            let limit = SignedDuration::try_from(answer.oldest()).unwrap() + ROUNDING;
            assert!(answer.marked || age <= limit, "{answer:?}");
            for (source, shown) in [(ENDPOINTS, answer.endpoints.0), (METRICS, answer.metrics)] {
                let known = self.acknowledged[source].get(&answer.account);
                let known = known.map(Vec::as_slice).unwrap_or_default();
                let before = known.partition_point(|(at, _)| *at < answer.fresh_as_of);
                let least = before.checked_sub(1).map_or(0, |last| known[last].1);
                assert!(shown >= least, "{shown} is older than {least}: {answer:?}");
            }
        }
    }
}

fn sample_json(endpoint: u64, shift: i64, sample: &Sample) -> Value {
    let found = sample.found;
    let at = Timestamp::from_second(found.unix_time + shift).unwrap();
    json!({
        "endpoint_id": endpoint, "at": at.to_string(), "state": found.state,
        "status_code": found.status_code, "response_ms": found.response_ms,
    })
}

/// The revision that a mutation's answer names in its token.
fn revision(answer: &Response) -> u64 {
    let token = answer.headers()["consistency-token"].to_str().unwrap();
    let (_, state) = token.split_once('=').unwrap();
    let (revision, _nonce) = state.split_once('-').unwrap();
    revision.parse().unwrap()
}
