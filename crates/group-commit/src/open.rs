//! Opens connections with the settings that durability and snapshots rest on.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 64;
/// How long a lock of another process, such as a backup, is waited for.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The one connection that writes. WAL: readers never wait for it. FULL: a commit is on disk before it returns.
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // macOS: without it a sync may stop in the drive's cache. Elsewhere it does nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// A connection that cannot write, even by mistake.
pub(crate) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Applies what is new. `user_version` moves in the same transaction, so a crash leaves no half migration.
pub(crate) fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let seen: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (version, migration) in (1_u32..)
        .zip(migrations)
        .skip_while(|(version, _)| *version <= seen)
    {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()
}
