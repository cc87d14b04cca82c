use std::future::pending;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use stack::supervisor::{Layer, Program, Supervisor};
use test_support::eventually;

use crate::capture::Captured;

fn shell(name: &str, layer: Layer, script: &str) -> Program {
    Program {
        name: name.to_owned(),
        path: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        layer,
    }
}

fn lives(pid: &str) -> bool {
    let pid = pid
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .expect("the child printed a process's number");
    test_kill_process(pid).is_ok()
}

#[tokio::test]
async fn a_child_that_dies_is_named_with_its_status_and_last_lines() {
    let (console, _) = Captured::console();
    let mut supervisor = Supervisor::new(console);
    supervisor
        .processes
        .start(&shell("steady", Layer::Source, "sleep 1000"))
        .unwrap();
    supervisor
        .processes
        .start(&shell(
            "brittle",
            Layer::Source,
            "echo out; echo last words >&2; exit 7",
        ))
        .unwrap();
    let message = supervisor
        .unless_one_dies(pending::<()>())
        .await
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("brittle died (exit status: 7)"), "{message}");
    assert!(
        message.contains("last words") && message.contains("out"),
        "{message}"
    );
    supervisor.processes.stop().await;
}

#[tokio::test]
async fn a_child_that_is_never_ready_is_named_with_its_last_lines() {
    let (console, output) = Captured::console();
    let mut supervisor = Supervisor::new(console);
    supervisor
        .processes
        .start(&shell("slow", Layer::Source, "echo still thinking; sleep 1000"))
        .unwrap();
    output.lines_of("slow", 1).await;
    let waited = supervisor
        .until_ready("slow", Duration::from_millis(1), pending())
        .await;
    let message = waited.unwrap_err().to_string();
    assert!(
        message.contains("slow was not ready") && message.contains("still thinking"),
        "{message}"
    );
    supervisor.processes.stop().await;
}

#[tokio::test]
async fn stopping_leaves_nothing_behind_not_even_what_children_started() {
    let (console, output) = Captured::console();
    let supervisor = Supervisor::new(console);
    supervisor
        .processes
        .start(&shell(
            "parent",
            Layer::Source,
            "sleep 1000 & echo $!; echo $$; wait",
        ))
        .unwrap();
    let pids = output.lines_of("parent", 2).await;
    assert!(pids.iter().all(|pid| lives(pid)));
    supervisor.processes.stop().await;
    // The grandchild is the system's to reap; as a zombie it may still have its number for a moment.
    eventually(Duration::from_secs(10), async || {
        let living: Vec<_> = pids.iter().filter(|pid| lives(pid)).collect();
        if living.is_empty() {
            Ok(())
        } else {
            Err(format!("{living:?} live on"))
        }
    })
    .await;
}

#[tokio::test]
async fn readers_end_before_the_sources_and_those_before_the_broker() {
    let (console, output) = Captured::console();
    let supervisor = Supervisor::new(console);
    // Each takes a moment to end, so that ending them all at once would mix the order.
    for (name, layer, seconds) in [
        ("a", Layer::Broker, 0.0),
        ("b", Layer::Source, 0.1),
        ("c", Layer::Edge, 0.2),
    ] {
        let script = format!(
            "trap 'sleep {seconds}; echo {name} ended; exit' TERM; echo ready; while :; do sleep 0.01; done"
        );
        supervisor
            .processes
            .start(&Program {
                name: "all".to_owned(),
                ..shell(name, layer, &script)
            })
            .unwrap();
    }
    output.lines_of("all", 3).await;
    supervisor.processes.stop().await;
    let said = output.said_by("all");
    let ends: Vec<_> = said.iter().filter(|line| line.ends_with("ended")).collect();
    assert_eq!(ends, ["c ended", "b ended", "a ended"]);
}

#[tokio::test]
async fn a_child_that_does_not_listen_is_killed() {
    let (console, output) = Captured::console();
    let supervisor = Supervisor::new(console);
    supervisor
        .processes
        .start(&shell(
            "deaf",
            Layer::Source,
            "trap '' TERM; echo $$; while :; do sleep 0.01; done",
        ))
        .unwrap();
    let pids = output.lines_of("deaf", 1).await;
    supervisor.processes.hurry().cancel(); // or five seconds
    supervisor.processes.stop().await;
    assert!(!lives(&pids[0]));
}
