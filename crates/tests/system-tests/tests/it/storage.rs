//! What a source answers, and what its operator reads, while its database cannot be written: its disk is full or read-only, or
//! somebody else has locked it.

use std::path::Path;
use std::time::Duration;

use reqwest::{Response, StatusCode, header};
use rusqlite::Connection;
use serde_json::{Value, json};
use stack::{Process, program};
use test_support::{Disk, eventually};

const SOON: Duration = Duration::from_secs(20);

/// Each source, and a write that it takes.
fn sources() -> [(&'static str, &'static str, Value); 3] {
    let sample = json!({ "endpoint_id": 1, "state": "up", "status_code": 200, "response_ms": 12 });
    let endpoint = json!({ "name": "home", "url": "https://example.org/" });
    [
        ("accounts", "/accounts", json!({ "name": "a" })),
        ("endpoints", "/accounts/1/endpoints", endpoint),
        ("metrics", "/accounts/1/samples", json!({ "samples": [sample] })),
    ]
}

/// Without a broker: it takes writes all the same.
fn arguments(database: &Path) -> Vec<String> {
    let database = database.display().to_string();
    ["--nats-url", "nats://127.0.0.1:1", "--database", &database]
        .map(str::to_owned)
        .to_vec()
}

async fn write(service: &Process, path: &str, body: &Value) -> Response {
    let request = reqwest::Client::new().post(service.url(path)).json(body);
    request.send().await.unwrap()
}

async fn is_written_soon(service: &Process, path: &str, body: &Value) {
    eventually(SOON, async || match write(service, path, body).await.status() {
        StatusCode::CREATED => Ok(()),
        other => Err(other),
    })
    .await;
}

/// What the problem says, after a look at what no client must be told.
async fn problem(response: Response, folder: &Path) -> Value {
    let text = response.text().await.unwrap();
    assert!(!text.contains(&folder.display().to_string()), "{text}");
    assert!(!text.contains(".db"), "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn readiness(service: &Process) -> (StatusCode, String) {
    let response = reqwest::get(service.url("/readyz")).await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// Warnings and errors about the database or about requests, by message.
fn complaints(service: &Process) -> Vec<String> {
    let log = service.log().into_iter().filter(|line| line["level"] != "INFO");
    let messages = log.map(|line| line["message"].as_str().unwrap_or_default().to_owned());
    messages
        .filter(|message| message.contains("database") || message.contains("request"))
        .collect()
}

fn is_said_once(service: &Process, what: &str) {
    let complaints = complaints(service);
    assert!(
        matches!(&*complaints, [one] if one.contains(what)),
        "not once {what:?}, but {complaints:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_503_to_a_writer_and_says_why_and_readers_are_answered() {
    for (name, path, body) in sources() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        let service = Process::start(name, arguments(&database)).await;
        let foreign = Connection::open(&database).unwrap();
        foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..5 {
            let refused = write(&service, path, &body).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
            assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
            assert_eq!(
                problem(refused, folder.path()).await["type"],
                "/problems/database-locked"
            );
        }
        let (status, said) = readiness(&service).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            said.contains("writes are refused: another process has locked the database"),
            "{said}"
        );
        is_said_once(&service, "end the process that holds the database's lock");
        foreign.execute_batch("ROLLBACK").unwrap();
        is_written_soon(&service, path, &body).await;
        assert!(!readiness(&service).await.1.contains("writes are refused"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_507_and_writes_are_taken_again_once_there_is_room() {
    for (name, path, body) in sources() {
        let disk = Disk::of_kib(4096);
        let service = Process::start(name, arguments(&disk.path("source.db"))).await;
        is_written_soon(&service, path, &body).await;
        disk.fill();
        let refused = eventually(SOON, async || match write(&service, path, &body).await {
            response if response.status().is_success() => Err("there was room"),
            response => Ok(response),
        })
        .await;
        assert_eq!(refused.status(), StatusCode::INSUFFICIENT_STORAGE, "{name}");
        assert_eq!(
            problem(refused, disk.folder()).await["type"],
            "/problems/disk-full"
        );
        for _ in 0..20 {
            write(&service, path, &body).await;
        }
        assert!(
            readiness(&service)
                .await
                .1
                .contains("writes are refused: the disk is full")
        );
        is_said_once(&service, "make room on the database's disk");
        disk.make_room();
        is_written_soon(&service, path, &body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_started_on_a_read_only_disk_says_so_and_writes_once_the_disk_is_writable() {
    for (name, path, body) in sources() {
        let disk = Disk::of_kib(8192);
        let mut service = Process::start(name, arguments(&disk.path("source.db"))).await;
        is_written_soon(&service, path, &body).await;
        service.kill().await;
        disk.make_read_only().await;
        service.restart(|_| {}).await;
        let (status, said) = readiness(&service).await;
        assert_eq!(status, StatusCode::OK, "it answers reads");
        assert!(
            said.contains("writes are refused: the database is read-only"),
            "{said}"
        );
        for _ in 0..5 {
            let refused = write(&service, path, &body).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
            assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
            assert_eq!(
                problem(refused, disk.folder()).await["type"],
                "/problems/database-read-only"
            );
        }
        is_said_once(&service, "make the database's disk, folder and files writable");
        disk.make_writable();
        is_written_soon(&service, path, &body).await;
        assert!(!readiness(&service).await.1.contains("writes are refused"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_ends_the_program_with_both_versions() {
    for (name, ..) in sources() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("source.db");
        let newer = Connection::open(&database).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        let output = tokio::process::Command::new(program(name))
            .args(arguments(&database))
            .args(["--listen", "127.0.0.1:0"])
            .output();
        let output = output.await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name}");
        assert!(
            said.contains("the database is at version 99"),
            "{name} said {said}"
        );
        assert!(
            said.contains("start the newer program again"),
            "{name} said {said}"
        );
    }
}
