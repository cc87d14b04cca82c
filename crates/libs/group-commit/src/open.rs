//! Opens connections with the settings that durability and snapshots depend on.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::{Error, log};

/// Prepared statements kept per connection.
const STATEMENTS: usize = 64;
/// How long a lock of another process, such as a backup, is waited for.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database's file: where it is, and which one it was at the start.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// Device and number; none as long as it was never opened.
    identity: Option<(u64, u64)>,
}

impl File {
    /// Opens the file, or makes it, and applies the migrations it has not seen.
    pub(crate) fn open(path: &Path, migrations: &[&str]) -> Result<(Self, Connection), Error> {
        let file = Self {
            path: path.to_owned(),
            identity: None,
        };
        let mut connection = file.connect()?;
        refuse_newer(&connection, migrations)?;
        prepare_to_write(&connection)?;
        migrate(&mut connection, migrations)?;
        let identity = identity(path).ok();
        Ok((Self { identity, ..file }, connection))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The one connection that writes, or, if the file is read-only, would.
    pub(crate) fn writer(&self) -> Result<Connection, Error> {
        let connection = self.connect()?;
        prepare_to_write(&connection)?;
        Ok(connection)
    }

    /// A connection that cannot write, even by mistake.
    pub(crate) fn reader(&self) -> Result<Connection, Error> {
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    /// Of the file that it was at the start: another one, restored beside our back, holds another history.
    fn connect(&self) -> Result<Connection, Error> {
        if let Some(known) = self.identity
            && identity(&self.path).is_ok_and(|now| now != known)
        {
            return Err(Error::Replaced);
        }
        let mut flags = OpenFlags::default();
        // Once known, a file that is gone is not made anew: it would be empty.
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, self.identity.is_none());
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// WAL: readers never wait for it. FULL: a commit is on disk before it returns.
fn prepare_to_write(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A log that has begun anew is cut to this at the next commit. Without it, the file stays as long as it ever was.
    connection.pragma_update(None, "journal_size_limit", log::BOUND)?;
    // macOS: without it a sync may stop in the drive's cache. Elsewhere it does nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)
}

/// Before anything is written: a newer program's tables may look like ours and mean something else.
fn refuse_newer(connection: &Connection, migrations: &[&str]) -> Result<(), Error> {
    let found = version(connection)?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    Ok(())
}

/// How many migrations the file has seen.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies what is new. `user_version` moves in the same transaction, so a crash leaves no half migration.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let seen = version(&transaction)?;
    for (version, migration) in (1_u32..)
        .zip(migrations)
        .skip_while(|(version, _)| *version <= seen)
    {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
    }
    transaction.commit()
}
