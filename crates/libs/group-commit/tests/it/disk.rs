//! Disks that are full or read-only, and databases that somebody else has locked: what a write is told, and that writes go on by
//! themselves once the cause is gone.

use std::time::Duration;

use futures::future::join_all;
use group_commit::{Database, Error, params};
use rusqlite::Connection;
use test_support::{Disk, eventually};

use crate::{SCHEMA, count, hold_the_writer, insert};

const SOON: Duration = Duration::from_secs(20);

async fn is_writable_soon(database: &Database) {
    eventually(SOON, async || database.writable()).await;
}

#[tokio::test]
async fn a_lock_of_another_process_is_named_and_ends_without_a_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.db");
    let database = Database::open(&path, SCHEMA).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let told = insert(&database, 1).await;
    assert!(matches!(told, Err(Error::Locked(_))), "{told:?}");
    assert!(matches!(database.writable(), Err(Error::Locked(_))));
    // The next ones do not wait for as long again.
    let before = std::time::Instant::now();
    assert!(insert(&database, 1).await.is_err());
    assert!(
        before.elapsed() < Duration::from_secs(3),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(count(&database).await, 0, "it can be read meanwhile");
    foreign.execute_batch("ROLLBACK").unwrap();
    is_writable_soon(&database).await;
    insert(&database, 1).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_named_to_every_write_and_ends_without_one() {
    let disk = Disk::of_kib(2048);
    let database = Database::open(&disk.path("notes.db"), SCHEMA).unwrap();
    insert(&database, 1).await.unwrap();
    disk.fill();
    // The log has room left for some.
    let told = eventually(SOON, async || match insert(&database, a_number()).await {
        Ok(()) => Err("there was room"),
        Err(error) => Ok(error),
    })
    .await;
    assert!(matches!(told, Error::Full(_)), "{told:?}");
    assert!(matches!(database.writable(), Err(Error::Full(_))));
    let release = hold_the_writer(&database).await;
    let mut group = join_all((0..3).map(|_| insert(&database, a_number())));
    assert!(futures::poll!(&mut group).is_pending(), "all three are queued");
    drop(release);
    for told in group.await {
        assert!(matches!(told, Err(Error::Full(_))), "{told:?}");
    }
    disk.make_room();
    is_writable_soon(&database).await;
    insert(&database, 2).await.unwrap();
}

/// A number that no other call gives.
fn a_number() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn a_limit_of_the_file_is_named_to_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("notes.db"), SCHEMA).unwrap();
    let limited = database.write(|c| {
        c.query_one("PRAGMA max_page_count = 2", params![], |row| {
            row.get::<i64>("max_page_count")
        })
    });
    assert_eq!(limited.await.unwrap(), 2);
    let release = hold_the_writer(&database).await;
    let many = database.write(|c| {
        let numbers =
            "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 10000) SELECT n FROM g";
        c.execute(&format!("INSERT INTO notes {numbers}"), params![])
    });
    let mut group = Box::pin(async { tokio::join!(many, insert(&database, -1)) });
    assert!(futures::poll!(&mut group).is_pending(), "both are queued");
    drop(release);
    let (many, one) = group.await;
    assert!(matches!(many, Err(Error::Full(_))), "{many:?}");
    // Whether it undoes the group or the job alone is SQLite's choice.
    assert!(matches!(one, Ok(()) | Err(Error::Full(_))), "{one:?}");
    assert!(matches!(database.writable(), Err(Error::Full(_))));
}

#[tokio::test]
async fn a_database_opened_on_a_read_only_disk_is_read_and_is_written_once_the_disk_may_be() {
    let disk = Disk::of_kib(4096);
    let path = disk.path("notes.db");
    // Its log stays there, as after a kill: SQLite reads such a file where it can make none.
    let database = Database::open(&path, SCHEMA).unwrap();
    insert(&database, 1).await.unwrap();
    for end in ["db", "db-wal", "db-shm"] {
        std::fs::copy(path.with_extension(end), disk.path("copy.db").with_extension(end)).unwrap();
    }
    drop(database);
    disk.make_read_only().await;

    let database = Database::open(&disk.path("copy.db"), SCHEMA).unwrap();
    assert!(
        matches!(database.writable(), Err(Error::ReadOnly(_))),
        "before any write"
    );
    let told = insert(&database, 2).await;
    assert!(matches!(told, Err(Error::ReadOnly(_))), "{told:?}");
    assert_eq!(count(&database).await, 1);
    disk.make_writable();
    is_writable_soon(&database).await;
    insert(&database, 2).await.unwrap();
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn a_file_that_was_replaced_meanwhile_is_not_taken_for_the_old_one() {
    let disk = Disk::of_kib(4096);
    let path = disk.path("notes.db");
    let database = Database::open(&path, SCHEMA).unwrap();
    insert(&database, 1).await.unwrap();
    for end in ["db", "db-wal", "db-shm"] {
        std::fs::copy(path.with_extension(end), disk.path("copy.db").with_extension(end)).unwrap();
    }
    drop(database);
    disk.make_read_only().await;
    let database = Database::open(&disk.path("copy.db"), SCHEMA).unwrap();
    assert!(database.writable().is_err());
    disk.make_writable();
    // Within the second until it is tried again.
    std::fs::rename(disk.path("copy.db"), disk.path("aside.db")).unwrap();
    std::fs::copy(disk.path("aside.db"), disk.path("copy.db")).unwrap();
    eventually(SOON, async || match database.writable() {
        Err(Error::Replaced) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(matches!(
        insert(&database, 2).await,
        Err(Error::Replaced | Error::ReadOnly(_))
    ));
}
