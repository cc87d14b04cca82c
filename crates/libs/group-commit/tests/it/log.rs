//! The write-ahead log beside a reader that nobody asked: a backup, or a shell that was left open.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use group_commit::{Database, params};
use rusqlite::Connection;

const MIB: u64 = 1024 * 1024;
const BOUND: u64 = 64 * MIB;
const SCHEMA: &[&str] = &["CREATE TABLE blobs (n INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT"];

fn log_size(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

/// Overwrites one row, so that only the log grows.
async fn write_mib(database: &Database, count: u64) {
    for _ in 0..count {
        let written = database.write(|c| {
            c.execute(
                "INSERT OR REPLACE INTO blobs VALUES (1, randomblob(1048576))",
                params![],
            )
        });
        assert_eq!(written.await.unwrap(), 1);
    }
}

/// Another connection with a snapshot, which is let go when it is dropped.
fn foreign_reader(path: &Path) -> Connection {
    let reader = Connection::open(path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM blobs").unwrap();
    reader
}

async fn is_short_soon(path: &Path) {
    test_support::eventually(Duration::from_secs(20), async || {
        let size = log_size(path);
        if size <= BOUND {
            Ok(())
        } else {
            Err(format!("the log has {} MiB", size / MIB))
        }
    })
    .await;
}

#[tokio::test]
async fn the_log_is_given_back_once_a_foreign_reader_is_gone_also_if_no_write_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blobs.db");
    let database = Database::open(&path, SCHEMA).unwrap();
    write_mib(&database, 1).await;
    let reader = foreign_reader(&path);
    write_mib(&database, 100).await;
    assert!(
        log_size(&path) > 100 * MIB,
        "SQLite cannot begin the log anew beside a reader of it"
    );
    drop(reader);
    is_short_soon(&path).await;
}

#[tokio::test]
async fn the_log_is_given_back_once_a_foreign_reader_is_gone_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blobs.db");
    let database = Database::open(&path, SCHEMA).unwrap();
    write_mib(&database, 1).await;
    let reader = foreign_reader(&path);
    write_mib(&database, 100).await;
    drop(reader);
    let load = async {
        loop {
            write_mib(&database, 1).await;
        }
    };
    tokio::select! {
        () = load => {}
        () = is_short_soon(&path) => {}
    }
}

#[tokio::test]
async fn a_log_that_an_earlier_process_left_is_cut_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("blobs.db"), folder.path().join("copy.db"));
    let database = Database::open(&path, SCHEMA).unwrap();
    write_mib(&database, 1).await;
    let _reader = foreign_reader(&path);
    write_mib(&database, 70).await;
    // As a kill leaves it.
    for end in ["db", "db-wal"] {
        std::fs::copy(path.with_extension(end), copy.with_extension(end)).unwrap();
    }
    assert!(log_size(&copy) > BOUND);
    let _database = Database::open(&copy, SCHEMA).unwrap();
    is_short_soon(&copy).await;
}

/// The lines that this test binary logs.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was said of this database's log.
fn said(path: &Path) -> Vec<String> {
    let log = path.with_extension("db-wal").display().to_string();
    let lines = LINES.lock().unwrap();
    lines.iter().filter(|line| line.contains(&log)).cloned().collect()
}

#[tokio::test]
async fn a_foreign_reader_that_makes_the_log_long_is_told_once_and_its_end_too() {
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Lines);
    tracing::subscriber::set_global_default(lines.finish()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blobs.db");
    let database = Database::open(&path, SCHEMA).unwrap();
    write_mib(&database, 1).await;
    let reader = foreign_reader(&path);
    write_mib(&database, 260).await;
    let told = async || {
        let said = said(&path);
        if said.is_empty() {
            Err("nothing was said")
        } else {
            Ok(said)
        }
    };
    let told = test_support::eventually(Duration::from_secs(20), told).await;
    assert!(
        told[0].contains("WARN") && told[0].contains("end whatever reads the database"),
        "{told:?}"
    );
    // Time for two more looks, which must not say it again.
    for _ in 0..2 {
        write_mib(&database, 1).await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert_eq!(said(&path), told, "it is said once");
    drop(reader);
    is_short_soon(&path).await;
    test_support::eventually(Duration::from_secs(20), async || match &*said(&path) {
        [_, over] if over.contains("is short again") => Ok(()),
        said => Err(format!("{said:?}")),
    })
    .await;
}
