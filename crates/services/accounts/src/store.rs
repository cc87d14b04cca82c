//! All the SQL. A mutation, the bump of its revision and its announcement are one transaction (rule 1).

use event_bus::outbox::{self, Announcement};
use event_bus::{Incarnation, Nonce, Version};
use group_commit::{Connection, Database, Row, params};
use jiff::Timestamp;
use tracing::instrument;

use crate::account::{Account, AccountChange, AccountId, Description, Name, NewAccount};
use crate::error::Error;
use crate::events;

pub(crate) const MIGRATIONS: &[&str] = &[
    outbox::MIGRATION,
    include_str!("../migrations/0001_accounts.sql"),
    outbox::CLAIMS_MIGRATION,
    include_str!("../migrations/0002_nonces.sql"),
    outbox::TRACESTATE_MIGRATION,
];

/// The accounts, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
}

/// What the database has for an id: an absence has a version too (rule 14).
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) version: Version,
    pub(crate) account: Option<Account>,
}

/// An account as a mutation left it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) incarnation: Incarnation,
    pub(crate) account: Account,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    #[instrument(skip_all)]
    pub(crate) async fn create_account(&self, new: NewAccount) -> Result<Stored, Error> {
        self.database.write(move |c| create(c, &new)).await
    }

    /// Reads the account and the version it has in one snapshot.
    #[instrument(skip_all)]
    pub(crate) async fn find_account(&self, id: AccountId) -> Result<Found, Error> {
        self.database.read(move |c| find(c, id)).await
    }

    /// At most `limit` accounts whose id is above `after`.
    #[instrument(skip_all)]
    pub(crate) async fn list_accounts(&self, after: AccountId, limit: u32) -> Result<Vec<Account>, Error> {
        self.database.read(move |c| list(c, after, limit)).await
    }

    /// Changes the account if `wanted` accepts its version. This is checked in the transaction of the change: of two writers that
    /// name one version, the second gets `VersionMismatch`.
    #[instrument(skip_all)]
    pub(crate) async fn change_account(
        &self,
        id: AccountId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
        change: AccountChange,
    ) -> Result<Stored, Error> {
        self.database
            .write(move |c| self::change(c, id, wanted, change))
            .await
    }

    /// Deletes the account under the same condition.
    #[instrument(skip_all)]
    pub(crate) async fn delete_account(
        &self,
        id: AccountId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
    ) -> Result<Version, Error> {
        self.database.write(move |c| delete(c, id, wanted)).await
    }
}

fn create(c: &Connection<'_>, new: &NewAccount) -> Result<Stored, Error> {
    let account = c.query_one(
        "INSERT INTO accounts (revision, nonce, life, name, description, created_at, updated_at)
         VALUES (1, ?1, ?1, ?2, ?3, ?4, ?4) RETURNING *",
        params![
            Nonce::draw(),
            new.name.as_str(),
            new.description.as_str(),
            now_text()
        ],
        account_from,
    )?;
    announced(c, account, events::created)
}

fn change(
    c: &Connection<'_>,
    id: AccountId,
    wanted: impl FnOnce(Version) -> bool,
    change: AccountChange,
) -> Result<Stored, Error> {
    let stored = existing_at(c, id, wanted)?;
    let Some(changed) = stored.account.changed(change, Nonce::draw(), Timestamp::now()) else {
        return Ok(stored);
    };
    c.execute(
        "UPDATE accounts SET revision = ?2, nonce = ?3, name = ?4, description = ?5, updated_at = ?6 WHERE id = ?1",
        params![
            id.0,
            changed.revision,
            changed.nonce,
            changed.name.as_str(),
            changed.description.as_str(),
            format!("{:.3}", changed.updated_at),
        ],
    )?;
    announced(c, changed, events::updated)
}

fn delete(c: &Connection<'_>, id: AccountId, wanted: impl FnOnce(Version) -> bool) -> Result<Version, Error> {
    let Stored { incarnation, account } = existing_at(c, id, wanted)?;
    let version = Version {
        incarnation,
        revision: account.revision + 1,
        nonce: Nonce::draw(),
    };
    c.execute(
        "UPDATE accounts SET revision = ?2, nonce = ?3, deleted = 1, name = '', description = '' WHERE id = ?1",
        params![id.0, version.revision, version.nonce],
    )?;
    outbox::announce(
        c,
        &events::deleted(id, account.life, version.revision, version.nonce),
    )?;
    Ok(version)
}

/// Writes the event of a change into the outbox, in the transaction of the change.
fn announced(
    c: &Connection<'_>,
    account: Account,
    announcement: impl Fn(&Account) -> Announcement<'static>,
) -> Result<Stored, Error> {
    outbox::announce(c, &announcement(&account))?;
    Ok(Stored {
        incarnation: outbox::incarnation(c)?,
        account,
    })
}

fn find(c: &Connection<'_>, id: AccountId) -> Result<Found, Error> {
    let incarnation = outbox::incarnation(c)?;
    let row: Option<(u64, Nonce, Option<Account>)> =
        c.query_opt("SELECT * FROM accounts WHERE id = ?1", params![id.0], |row| {
            let account = if row.get("deleted")? {
                None
            } else {
                Some(account_from(row)?)
            };
            Ok((row.get("revision")?, row.get("nonce")?, account))
        })?;
    let (revision, nonce, account) = row.unwrap_or_default();
    Ok(Found {
        version: Version {
            incarnation,
            revision,
            nonce,
        },
        account,
    })
}

/// The account, if it exists and `wanted` accepts its version. A missing account is 404, whatever the preconditions say (RFC
/// 9110, 13.2.1).
fn existing_at(
    c: &Connection<'_>,
    id: AccountId,
    wanted: impl FnOnce(Version) -> bool,
) -> Result<Stored, Error> {
    let Found { version, account } = find(c, id)?;
    let account = account.ok_or(Error::NoSuchAccount(version))?;
    if !wanted(version) {
        return Err(Error::VersionMismatch(version));
    }
    Ok(Stored {
        incarnation: version.incarnation,
        account,
    })
}

fn list(c: &Connection<'_>, after: AccountId, limit: u32) -> Result<Vec<Account>, Error> {
    Ok(c.query(
        "SELECT * FROM accounts WHERE id > ?1 AND deleted = 0 ORDER BY id LIMIT ?2",
        params![after.0, limit],
        account_from,
    )?)
}

/// Announces the last change of every account, also of deleted ones, for services that missed it.
pub(crate) fn everything(
    c: &Connection<'_>,
    announce: &mut dyn FnMut(&Announcement<'_>) -> Result<(), group_commit::Error>,
) -> Result<(), group_commit::Error> {
    c.for_each("SELECT * FROM accounts ORDER BY id", params![], |row| {
        let announcement = if row.get("deleted")? {
            events::deleted(
                AccountId(row.get("id")?),
                row.get("life")?,
                row.get("revision")?,
                row.get("nonce")?,
            )
        } else {
            events::updated(&account_from(row)?)
        };
        announce(&announcement)
    })
}

fn account_from(row: &Row<'_>) -> Result<Account, group_commit::Error> {
    Ok(Account {
        id: AccountId(row.get("id")?),
        revision: row.get("revision")?,
        nonce: row.get("nonce")?,
        life: row.get("life")?,
        name: Name::stored(row.get("name")?),
        description: Description::stored(row.get("description")?),
        created_at: time_from(row, "created_at")?,
        updated_at: time_from(row, "updated_at")?,
    })
}

fn time_from(row: &Row<'_>, column: &str) -> Result<Timestamp, group_commit::Error> {
    Ok(row
        .get::<String>(column)?
        .parse()
        .expect("only RFC 3339 is stored"))
}

fn now_text() -> String {
    format!("{:.3}", Timestamp::now())
}
