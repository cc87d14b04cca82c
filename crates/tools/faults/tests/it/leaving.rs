//! The program as its user has it: what it says, and that it takes everything along that it started.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The processes that have this one among their ancestors, by number.
fn descendants(of: u32) -> Vec<u32> {
    let parent = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        line.trim().parse::<u32>().ok()
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent(*id) == Some(of)).collect()
}

#[tokio::test]
async fn whoever_stops_it_finds_no_process_left_behind() {
    let _turn = crate::one_at_a_time().await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_faults"))
        .args(["--pace", "short", "--seed", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("seed 1:"), "{first}");
    let begun = lines.find(|line| line.as_ref().is_ok_and(|line| line == "round 0"));
    assert!(begun.is_some(), "it begins");
    let started = descendants(program.id());
    assert!(
        started.len() >= 7,
        "a broker, three sources, three pages: {started:?}"
    );

    let stop = ["-INT", &program.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(stop).status().unwrap().success());
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert_eq!(rest.last().map(String::as_str), Some("stopped before its end"));
    assert_eq!(program.wait().unwrap().code(), Some(130));
    stack::eventually(Duration::from_secs(20), async || {
        let left: Vec<_> = started.iter().filter(|id| runs(**id)).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?} are still there"))
        }
    })
    .await;
}

/// A process that has ended and was not waited for is gone, but for its number.
fn runs(id: u32) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}
