//! The program as a person calls it: what it says, keeps, and ends with.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use loadtest::results::{Outcome, Results};
use loadtest::stack::{Stack, StackOptions, Which};
use loadtest::verdict;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stack::{Source, eventually};

use crate::fixture;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    command
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Keeps results in a folder; answers their file.
fn keep(results: &Results, folder: &Path) -> String {
    let path = folder.join("results.json");
    std::fs::write(&path, serde_json::to_string(results).unwrap()).unwrap();
    path.display().to_string()
}

#[test]
fn a_wrong_call_is_told_apart_from_a_verdict() {
    let wrong = run(&["--rounds", "none"]);
    assert_eq!(wrong.status.code(), Some(2), "as all programs here");
    assert!(
        text(&wrong.stderr).contains("--rounds"),
        "{}",
        text(&wrong.stderr)
    );
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("capacity"));
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.json").display().to_string();
    let out = folder.path().display().to_string();
    for arguments in [
        vec!["report", &missing],
        vec!["--baseline", &missing, "--out", &out],
        vec!["--traces", &missing, "--out", &out],
    ] {
        let failed = run(&arguments);
        assert_eq!(failed.status.code(), Some(69), "{arguments:?}");
        let said = text(&failed.stderr);
        assert!(said.contains("none.json"), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}

#[test]
fn a_kept_run_is_told_again_with_its_verdict_as_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let good = fixture::compare();
    let mut bad = good.clone();
    bad.strategies[3].total.mismatches = 1;
    let mut late = good.clone();
    late.strategies[3].total.late_us.p99 = 26_000;
    for (results, status, word) in [(good, 0, "pass"), (bad, 1, "FAIL"), (late, 3, "undecided")] {
        let path = keep(&results, folder.path());
        let told = run(&["report", &path]);
        assert_eq!(told.status.code(), Some(status), "{}", text(&told.stderr));
        assert!(
            text(&told.stdout).contains(&format!("Verdict: {word}")),
            "{}",
            text(&told.stdout)
        );
        let report = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(report.contains("</html>"));
    }
    let again = run(&[
        "report",
        &folder.path().join("results.json").display().to_string(),
    ]);
    assert!(
        text(&again.stderr).contains("replaced"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn a_baseline_is_compared_with_and_an_incomparable_one_changes_no_verdict() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let now = keep(&fixture::compare(), one.path());
    let then = keep(&fixture::seeded(8), other.path());
    let compared = run(&["report", &now, "--baseline", &then]);
    assert_eq!(compared.status.code(), Some(0));
    assert!(
        text(&compared.stdout).contains("ratios to none"),
        "{}",
        text(&compared.stdout)
    );

    let mut slower = fixture::seeded(8);
    slower.setup.rate_per_second *= 2.0;
    let then = keep(&slower, other.path());
    let compared = run(&["report", &now, "--baseline", &then]);
    assert_eq!(verdict::of(&fixture::compare()).outcome, Outcome::Pass);
    assert_eq!(compared.status.code(), Some(0));
    assert!(text(&compared.stdout).contains("No comparison with the baseline"));
}

#[tokio::test]
async fn an_interrupted_run_leaves_no_process_and_no_results() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["--own-stack", "--accounts", "5", "--turn-seconds", "60", "--out"]);
    let running = command
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = running.spawn().unwrap();
    let pid = running.id();
    let within = std::time::Duration::from_mins(1);
    let stack = eventually(within, async || match children(pid) {
        all if all.len() == 5 => Ok(all),
        some => Err(format!("{} children", some.len())),
    });
    let stack = stack.await;
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output());
    let ended = ended.await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("stopping"));
    assert_eq!(text(&ended.stdout), "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    eventually(within, async || {
        let still = stack.iter().filter(|process| alive(**process)).count();
        if still == 0 {
            Ok(())
        } else {
            Err(format!("{still} are alive"))
        }
    })
    .await;
}

/// The flags that name a stack.
fn addresses(stack: &Stack) -> Vec<String> {
    let services = stack.addresses.services();
    services
        .map(|(name, root)| format!("--{name}-url={root}"))
        .collect()
}

/// How many accounts there are in a stack.
async fn accounts(stack: &Stack) -> usize {
    let url = format!("{}/accounts", stack.addresses.sources[Source::Accounts]);
    let listed: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    listed["accounts"].as_array().unwrap().len()
}

#[tokio::test]
async fn another_program_reads_progress_and_results_as_lines_of_json() {
    let stack = Stack::find(&Which::Own, &StackOptions::default()).await.unwrap();
    let mut command = program();
    command
        .args(["--quick", "--json", "--rounds", "1"])
        .args(addresses(&stack));
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let ended = ended.await.unwrap();
    assert_eq!(
        ended.status.code(),
        Some(3),
        "too few answers: {}",
        text(&ended.stderr)
    );
    assert_eq!(text(&ended.stderr), "");
    let lines: Vec<Value> = text(&ended.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, progress) = lines.split_last().unwrap();
    assert!(
        progress
            .iter()
            .all(|line| line["done"].as_u64() <= line["of"].as_u64())
    );
    assert!(
        progress
            .iter()
            .any(|line| line["step"] == "round 1 of 1, prepopulate")
    );
    let results: Results = serde_json::from_value(last["results"].clone()).unwrap();
    assert_eq!((results.strategies.len(), results.setup.accounts), (5, 1));
    let none = &results.strategy("none").unwrap().total;
    assert_eq!(none.upstream_per_page(), Some(3.0));
    assert_eq!(none.probes, 0, "changes are not looked for");
    assert_eq!(accounts(&stack).await, 0, "nothing is left");
}

#[tokio::test]
async fn an_interrupted_run_takes_its_accounts_out_of_a_stack_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::find(&Which::Own, &StackOptions::default()).await.unwrap();
    let mut command = program();
    command.args(["--accounts", "2", "--turn-seconds", "60", "--out"]);
    let command = command.arg(folder.path()).args(addresses(&stack));
    let running = command.stderr(Stdio::piped()).spawn().unwrap();
    let within = std::time::Duration::from_mins(1);
    let all_made = async || match accounts(&stack).await {
        15 => Ok(()),
        some => Err(some),
    };
    eventually(within, all_made).await;
    kill_process(
        Pid::from_raw(running.id().try_into().unwrap()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    let ended = tokio::task::spawn_blocking(|| running.wait_with_output());
    let ended = ended.await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{}", text(&ended.stderr));
    assert_eq!(accounts(&stack).await, 0);
}

/// The broker, three sources and the page.
fn children(of: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{of}/task"));
    let listed = tasks.into_iter().flatten().flatten().map(|task| {
        let listed = std::fs::read_to_string(task.path().join("children"));
        listed.unwrap_or_default()
    });
    let listed: Vec<_> = listed.collect();
    let numbers = listed.iter().flat_map(|line| line.split_whitespace());
    numbers.map(|number| number.parse().unwrap()).collect()
}

/// Whether it runs: one that has ended may stay in the table until its new parent looks.
fn alive(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
