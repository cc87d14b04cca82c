//! `lab up` as a person runs it: the program, its output, its signals. Needs the services' programs beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;
use test_support::eventually;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const ANY_PORTS: [&str; 16] = [
    "--nats-port",
    "0",
    "--accounts-port",
    "0",
    "--endpoints-port",
    "0",
    "--metrics-port",
    "0",
    "--page-port",
    "0",
    "--lab-port",
    "0",
    "--traces-port",
    "0",
    "--naive-port",
    "0",
];

/// A lab on free ports with a data folder of its own.
pub(crate) struct Lab {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Lab {
    pub(crate) fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .arg("up")
            .args(ANY_PORTS)
            .args(more)
            .arg("--data-dir")
            .arg(data_dir);
        command.current_dir(clone());
        let fetched = clone().join(".tools/nats-server");
        if std::env::vars_os().all(|(name, _)| name != "NATS_SERVER") && fetched.exists() {
            command.env("NATS_SERVER", fetched);
        }
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("the lab's program is built");
        let stdout = process.stdout.take().expect("standard output is piped");
        Self {
            process,
            lines: BufReader::new(stdout).lines(),
            said: Vec::new(),
        }
    }

    /// Reads on until the lab says something with `part` in it.
    pub(crate) async fn says(&mut self, part: &str) -> String {
        let found = timeout(Duration::from_mins(1), async {
            loop {
                let line = self.lines.next_line().await.ok().flatten();
                let Some(line) = line else {
                    panic!("the lab ended: {}", self.rest().await)
                };
                self.said.push(line.clone());
                if line.contains(part) {
                    return line;
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("the lab never says: {part}"))
    }

    /// Where something is, by the welcome.
    pub(crate) fn address(&self, word: &str) -> String {
        address(&self.said, word)
    }

    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        let stderr = self.process.stderr.as_mut().expect("standard error is piped");
        let _ = stderr.read_to_string(&mut rest).await;
        rest
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.process.id().expect("the lab runs")), signal).expect("the lab is ours");
    }

    /// The processes that it started.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let lab = self.process.id().expect("the lab runs");
        let children = fs::read_to_string(format!("/proc/{lab}/task/{lab}/children")).expect("this is Linux");
        children
            .split_whitespace()
            .map(|id| pid(id.parse().expect("a number")))
            .collect()
    }

    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let status = timeout(Duration::from_secs(30), self.process.wait())
            .await
            .expect("it ends")
            .expect("it is ours");
        (status.code(), self.rest().await)
    }
}

fn clone() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(3)
        .expect("crates are two levels down")
        .to_owned()
}

pub(crate) fn pid(id: u32) -> Pid {
    Pid::from_raw(id.cast_signed()).expect("no process is number 0")
}

/// Finds the address behind a word in the welcome, whose lines are indented.
fn address(said: &[String], word: &str) -> String {
    let welcome = said.iter().filter(|line| line.starts_with("  "));
    let mut words = welcome.flat_map(|line| line.split_whitespace());
    words
        .find(|known| *known == word)
        .and_then(|_| words.next())
        .expect("the welcome names it")
        .to_owned()
}

async fn get(url: &str) -> Value {
    let request = reqwest::Client::new()
        .get(url)
        .header("accept", "application/json");
    let answer = request.send().await.expect("the stack is up");
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.json().await.expect("JSON was asked for")
}

pub(crate) async fn gone(children: &[Pid]) {
    eventually(Duration::from_secs(10), async || {
        let living: Vec<_> = children
            .iter()
            .filter(|child| test_kill_process(**child).is_ok())
            .collect();
        if living.is_empty() {
            Ok(())
        } else {
            Err(format!("{living:?} live on"))
        }
    })
    .await;
}

/// The accounts service lists 100 at once.
const MORE_THAN_LISTED: usize = 120;

#[tokio::test]
async fn the_stack_comes_up_with_real_data_and_ctrl_c_leaves_nothing_behind() {
    let data = TempDir::new().unwrap();
    let mut lab = Lab::start(data.path(), &["--replay-speed", "0"]);
    lab.says("seeded 7 accounts, 65 endpoints and 16786 real samples")
        .await;
    lab.says("nats://127.0.0.1").await;
    let accounts = get(&format!("{}/accounts", address(&lab.said, "accounts"))).await;
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 7);
    let page = get(&format!("{}/accounts/1", address(&lab.said, "page"))).await;
    assert_eq!(page["account"]["name"], "HagiCode-org/upptime");
    // As a load test that was killed outright leaves them, more than one list shows; and one of somebody's own, last.
    let client = reqwest::Client::new();
    let left_behind = std::iter::repeat_n("Of a load test: change 3.", MORE_THAN_LISTED);
    for description in left_behind.chain([""]) {
        let created = client
            .post(format!("{}/accounts", address(&lab.said, "accounts")))
            .json(&serde_json::json!({"name": "HagiCode-org/upptime 1", "description": description}))
            .send();
        assert_eq!(created.await.unwrap().status(), 201);
    }
    let children = lab.children();
    assert_eq!(
        children.len(),
        7,
        "a broker, the viewer of traces, three sources, two replicas"
    );

    lab.signal(Signal::INT);
    let (code, stderr) = lab.ended().await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    gone(&children).await;

    // The second time the data is there already.
    let mut again = Lab::start(data.path(), &["--replicas", "1"]);
    again.says("replaying the recorded samples at 300 times").await;
    assert!(
        !again.said.iter().any(|line| line.contains("seeded")),
        "{:#?}",
        again.said
    );
    let accounts = get(&format!("{}/accounts", address(&again.said, "accounts"))).await;
    assert_eq!(accounts["accounts"].as_array().unwrap().len(), 8, "{accounts}");
    again.signal(Signal::TERM);
    assert_eq!(again.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_seeding_that_was_cut_off_is_done_again() {
    let data = TempDir::new().unwrap();
    fs::write(data.path().join("seed.json"), r#"{"state":"started"}"#).unwrap();
    fs::write(data.path().join("accounts.db"), "half of a database").unwrap();
    let mut lab = Lab::start(data.path(), &["--replay-speed", "0"]);
    lab.says("the last seeding was interrupted").await;
    lab.says("seeded 7 accounts").await;
    lab.signal(Signal::INT);
    assert_eq!(lab.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_child_that_dies_takes_the_stack_down_and_is_named() {
    let data = TempDir::new().unwrap();
    let mut lab = Lab::start(data.path(), &["--replay-speed", "0", "--replicas", "1"]);
    lab.says("Everything is up").await;
    let children = lab.children();
    kill_process(children[3], Signal::KILL).unwrap();
    let (code, stderr) = lab.ended().await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("endpoints died (signal: 9"), "{stderr}");
    gone(&children).await;
}

#[tokio::test]
async fn a_lab_that_is_killed_outright_takes_its_children_along() {
    let data = TempDir::new().unwrap();
    let mut lab = Lab::start(data.path(), &["--replay-speed", "0", "--replicas", "1"]);
    lab.says("Everything is up").await;
    let children = lab.children();
    lab.signal(Signal::KILL);
    lab.ended().await;
    gone(&children).await;
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_starts() {
    let data = TempDir::new().unwrap();
    let empty = TempDir::new().unwrap();
    let nothing = empty.path().to_str().unwrap();
    let no_server = empty.path().join("nats-server");
    let cases = [
        (["--programs", nothing], "build all with scripts/up"),
        (
            ["--nats-server", no_server.to_str().unwrap()],
            "scripts/fetch-nats-server",
        ),
        (["--data", nothing], "--data"),
    ];
    for (setting, way_out) in cases {
        let (code, stderr) = Lab::start(data.path(), &setting).ended().await;
        assert_eq!(code, Some(1));
        assert!(stderr.contains(way_out), "{setting:?}: {stderr}");
        assert!(!data.path().join("nats").exists(), "no broker was started");
    }
}
