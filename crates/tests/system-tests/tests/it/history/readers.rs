//! Those who read while it happens, some of them with a wait, or with an age that they accept (rules 26 and 27).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use serde_json::{Value, json};
use stack::{Preferences, Random, Stack, Window, one_of, random};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{WINDOWS, shown};

/// How many read at once.
const READERS: usize = 4;
/// What they prefer follows from it.
const SEED: u64 = 17;
/// In milliseconds, and in seconds. Most readers say neither.
const WAITS: [Option<u64>; 10] = [
    None,
    None,
    None,
    None,
    None,
    Some(0),
    Some(10),
    Some(50),
    Some(200),
    Some(900),
];
const AGES: [Option<u64>; 6] = [None, None, None, Some(1), Some(5), Some(30)];
const ONLY_IF_CACHED: [bool; 8] = [true, false, false, false, false, false, false, false];

/// The readers: each reads when it is told to, and none waits for the writer.
pub(super) struct Readers {
    orders: Vec<mpsc::UnboundedSender<(u64, Window)>>,
    accounts: Vec<u64>,
    tasks: Vec<JoinHandle<Vec<Answer>>>,
}

/// What one of them got.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) account: u64,
    window: Window,
    pub(super) fresh_as_of: Timestamp,
    /// Whether a fragment was missing or stale, and said so.
    pub(super) marked: bool,
    /// The revision of the list, and the ids on it.
    pub(super) endpoints: (u64, Vec<u64>),
    pub(super) metrics: u64,
    /// When it was asked for.
    pub(super) sent: Timestamp,
    pub(super) preferences: Preferences,
}

/// What some reader asks for besides the page.
fn draw(random: &mut Random) -> Preferences {
    Preferences {
        wait: one_of(&WAITS, random).map(Duration::from_millis),
        max_age: one_of(&AGES, random).map(Duration::from_secs),
        only_if_cached: one_of(&ONLY_IF_CACHED, random),
        no_cache: false,
    }
}

impl Answer {
    /// How old the page may be if it is not marked (I3). One that waited for a load may be two seconds old.
    pub(super) fn oldest(&self) -> Duration {
        let accepted = self.preferences.max_age.unwrap_or_default();
        accepted.max(Duration::from_secs(2))
    }
}

impl Readers {
    pub(super) fn start(stack: &Stack, accounts: &[u64]) -> Self {
        let url = stack.pages[0].url("/accounts");
        let (mut orders, mut tasks) = (Vec::new(), Vec::new());
        for reader in 0..READERS {
            let (sender, receiver) = mpsc::unbounded_channel();
            orders.push(sender);
            let random = random(SEED, reader as u64);
            tasks.push(tokio::spawn(read(url.clone(), receiver, random)));
        }
        Self {
            orders,
            accounts: accounts.to_vec(),
            tasks,
        }
    }

    /// Has one reader read one page: all accounts in turn, of the windows mostly the one that the page opens with.
    pub(super) fn read_one(&self, number: usize) {
        let account = self.accounts[number % self.accounts.len()];
        let turn = number / self.accounts.len();
        let window = match turn % 4 {
            0 => WINDOWS[0],
            1 => WINDOWS[2],
            _ => WINDOWS[1],
        };
        let order = self.orders[turn % READERS].send((account, window));
        order.expect("a reader reads until it is told no more");
    }

    /// What they got, once they have read all that they were told to.
    pub(super) async fn finish(self) -> Vec<Answer> {
        drop(self.orders);
        let mut seen = Vec::new();
        for task in self.tasks {
            let answers = task.await.unwrap();
            check_never_back(&answers);
            seen.extend(answers);
        }
        seen
    }
}

async fn read(
    url: String,
    mut orders: mpsc::UnboundedReceiver<(u64, Window)>,
    mut random: Random,
) -> Vec<Answer> {
    let client = Client::new();
    let mut answers = Vec::new();
    while let Some((account, window)) = orders.recv().await {
        let url = format!("{url}/{account}?window={}", window.name());
        let mut request = client.get(url).header("accept", "application/json");
        let preferences = draw(&mut random);
        for (name, value) in preferences.headers() {
            request = request.header(name, value);
        }
        let sent = Timestamp::now();
        let answer = request.send().await.unwrap();
        if preferences.only_if_cached && answer.status() == 504 {
            continue; // it is not in memory, or not fresh enough
        }
        assert_eq!(answer.status(), 200);
        let applied = answer.headers().get("preference-applied");
        let applied = applied.map(|applied| applied.to_str().unwrap());
        assert!(applied.is_none() || applied == preferences.prefer().as_deref());
        let fresh_as_of = answer.headers()["fresh-as-of"].to_str().unwrap();
        let fresh_as_of = fresh_as_of.parse().unwrap();
        let page: Value = answer.json().await.unwrap();
        let marked = page["missing"] != json!([]) || page["stale"] != json!([]);
        // A fragment that is missing shows nothing that could be wrong.
        if page["missing"] == json!([]) {
            answers.push(Answer {
                account,
                window,
                fresh_as_of,
                marked,
                endpoints: shown(&page),
                metrics: page["metrics"]["revision"].as_u64().unwrap(),
                sent,
                preferences,
            });
        }
    }
    answers
}

/// For one reader no page goes back in time, but in a marked stale answer.
fn check_never_back(answers: &[Answer]) {
    let mut latest: HashMap<(u64, Window), (u64, u64)> = HashMap::new();
    for answer in answers.iter().filter(|answer| !answer.marked) {
        let now = (answer.endpoints.0, answer.metrics);
        let before = latest.insert((answer.account, answer.window), now);
        let (endpoints, metrics) = before.unwrap_or_default();
        assert!(
            now.0 >= endpoints && now.1 >= metrics,
            "{answer:?} after {before:?}"
        );
    }
}
