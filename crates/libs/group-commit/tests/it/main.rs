//! What callers rely on: durability in groups, isolation of failures, snapshots.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod disk;
mod log;
mod opening;

use std::sync::Arc;

use futures::future::join_all;
use group_commit::{Connection, Database, Error, params};
use tempfile::TempDir;

const SCHEMA: &[&str] = &["CREATE TABLE notes (n INTEGER PRIMARY KEY) STRICT"];

fn database() -> (Database, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Database::open(&folder.path().join("notes.db"), SCHEMA).unwrap(),
        folder,
    )
}

async fn insert(database: &Database, n: i64) -> Result<(), Error> {
    database
        .write(move |c| c.execute("INSERT INTO notes VALUES (?1)", params![n]).map(drop))
        .await
}

async fn count(database: &Database) -> i64 {
    database
        .read(|c| c.query_one("SELECT count(*) AS n FROM notes", params![], |row| row.get("n")))
        .await
        .unwrap()
}

/// Holds the writer thread inside a job until the returned sender is dropped.
async fn hold_the_writer(database: &Database) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (started, starting) = tokio::sync::oneshot::channel();
    let database = database.clone();
    tokio::spawn(async move {
        database
            .write(move |_| {
                let _ = started.send(());
                let _ = held.recv();
                Ok::<_, Error>(())
            })
            .await
    });
    starting.await.unwrap();
    release
}

#[tokio::test]
async fn writes_that_wait_together_share_a_commit_and_a_failing_one_undoes_only_itself() {
    let (database, _folder) = database();
    let release = hold_the_writer(&database).await;
    let before = *database.commits().borrow();
    let mut writes = join_all([1, 2, 2, 3].map(|n| insert(&database, n)));
    assert!(futures::poll!(&mut writes).is_pending(), "all four are queued");
    drop(release);
    let failed = writes.await.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 1, "the second 2 breaks the primary key, the others stand");
    assert_eq!(count(&database).await, 3);
    assert_eq!(
        *database.commits().borrow() - before,
        2,
        "the held job's commit, and one for all four"
    );
}

#[tokio::test]
async fn a_panicking_job_is_undone_and_the_next_one_runs() {
    let (database, _folder) = database();
    let result: Result<(), Error> = database
        .write(|c| {
            c.execute("INSERT INTO notes VALUES (1)", params![])?;
            panic!("a bug in a job");
        })
        .await;
    assert!(matches!(result, Err(Error::Unfinished)));
    insert(&database, 2).await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn a_read_sees_one_moment_even_while_writes_go_on() {
    let (database, _folder) = database();
    insert(&database, 1).await.unwrap();
    let (first_done, continue_after) = (
        Arc::new(tokio::sync::Notify::new()),
        std::sync::mpsc::channel::<()>(),
    );
    let (go, wait) = continue_after;
    let signal = first_done.clone();
    let reader = database.clone();
    let both = tokio::spawn(async move {
        reader
            .read(move |c| {
                let one = |c: &Connection<'_>| {
                    c.query_one("SELECT count(*) AS n FROM notes", params![], |row| {
                        row.get::<i64>("n")
                    })
                };
                let before = one(c)?;
                signal.notify_one();
                let _ = wait.recv();
                Ok::<_, Error>((before, one(c)?))
            })
            .await
    });
    first_done.notified().await;
    insert(&database, 2).await.unwrap();
    go.send(()).unwrap();
    assert_eq!(both.await.unwrap().unwrap(), (1, 1));
    assert_eq!(count(&database).await, 2, "the next read sees it");
}

#[tokio::test]
async fn more_writes_than_the_queue_holds_are_refused_and_none_of_the_accepted_is_lost() {
    let (database, _folder) = database();
    let release = hold_the_writer(&database).await;
    let mut writes = join_all((0..1100).map(|n| insert(&database, n)));
    assert!(
        futures::poll!(&mut writes).is_pending(),
        "as many as fit are queued"
    );
    drop(release);
    let results = writes.await;
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let refused = results
        .iter()
        .filter(|result| matches!(result, Err(Error::Overloaded)))
        .count();
    assert_eq!(refused, 1100 - 1024);
    assert_eq!(usize::try_from(count(&database).await).unwrap(), accepted);
}

#[tokio::test]
async fn migrations_run_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let first = "CREATE TABLE a (n INTEGER) STRICT";
    drop(Database::open(&path, &[first]).unwrap());
    let database = Database::open(&path, &[first, "CREATE TABLE b (n INTEGER) STRICT"]).unwrap();
    let tables: i64 = database
        .read(|c| {
            c.query_one(
                "SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('a', 'b')",
                params![],
                |row| row.get("n"),
            )
        })
        .await
        .unwrap();
    assert_eq!(tables, 2);
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_everyone_in_its_group_and_leaves_nothing() {
    let (database, _folder) = database();
    // A deferred foreign key is checked at the commit: the job itself succeeds.
    let child = "CREATE TABLE child (n INTEGER REFERENCES notes (n) DEFERRABLE INITIALLY DEFERRED) STRICT";
    database.write(|c| c.batch_execute(child)).await.unwrap();
    let release = hold_the_writer(&database).await;
    let orphan = database.write(|c| c.execute("INSERT INTO child VALUES (99)", params![]));
    // What this one sees is never committed, so that its refusal must not be told.
    let refused = database.write(|_| Err::<(), _>(Told::Refusal));
    let mut group = Box::pin(async { tokio::join!(orphan, refused, insert(&database, 1)) });
    assert!(futures::poll!(&mut group).is_pending(), "all three are queued");
    drop(release);
    let (orphan, refused, innocent) = group.await;
    assert!(matches!(orphan, Err(Error::Sqlite(_))), "{orphan:?}");
    assert_eq!(refused, Err(Told::Failure));
    assert!(innocent.is_err());
    assert_eq!(count(&database).await, 0);
    insert(&database, 1).await.unwrap();
    assert_eq!(count(&database).await, 1, "the next group is a new one");
}

/// A caller's own refusal, or the database's failure.
#[derive(Debug, PartialEq, thiserror::Error)]
enum Told {
    #[error("the job refused")]
    Refusal,
    #[error("the database failed")]
    Failure,
}

impl From<Error> for Told {
    fn from(_: Error) -> Self {
        Self::Failure
    }
}
