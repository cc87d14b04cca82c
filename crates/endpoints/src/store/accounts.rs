//! What is known of accounts: their revisions, and what the accounts service said of them.

use event_bus::outbox;
use event_bus::{Incarnation, Nonce, Version};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::endpoint::AccountId;
use crate::error::StoreError;
use crate::events;

/// What the accounts service said of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
    Created,
    Updated,
    Deleted,
}

/// What is known of an account; of one never heard of, revision 0 (rule 14).
pub(super) struct Known {
    pub(super) version: Version,
    pub(super) deleted: bool,
    /// The number of the accounts' incarnation in which its id means this account; none while nothing was heard of it.
    heard_in: Option<i64>,
}

pub(super) fn known(c: &Connection, account: AccountId) -> Result<Known, StoreError> {
    let incarnation = outbox::incarnation(c)?;
    let row = c
        .prepare_cached("SELECT revision, nonce, deleted, heard_in FROM accounts WHERE id = ?1")?
        .query_row([account.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (revision, nonce, deleted, heard_in) = row.unwrap_or_default();
    Ok(Known {
        version: Version {
            incarnation,
            revision,
            nonce,
        },
        deleted,
        heard_in,
    })
}

/// The version that the current mutation gives the account.
pub(super) fn bumped(c: &Connection, account: AccountId) -> Result<Version, StoreError> {
    let nonce = Nonce::draw();
    let revision = c
        .prepare_cached(
            "INSERT INTO accounts (id, revision, nonce) VALUES (?1, 1, ?2)
             ON CONFLICT (id) DO UPDATE SET revision = revision + 1, nonce = ?2 RETURNING revision",
        )?
        .query_row(params![account.0, nonce], |row| row.get(0))?;
    Ok(Version {
        incarnation: outbox::incarnation(c)?,
        revision,
        nonce,
    })
}

/// Deletes what a deleted account had, or what another account had under this id: once the accounts service was reset,
/// its ids begin again at 1.
pub(super) fn hear(
    c: &Connection,
    account: AccountId,
    news: News,
    incarnation: Incarnation,
) -> Result<(), StoreError> {
    let current = number_of(c, incarnation)?;
    let known = known(c, account)?;
    match (news, known.heard_in) {
        // A late word of an incarnation that has ended: the id is another account's now.
        (_, Some(heard)) if current < heard => Ok(()),
        (News::Deleted, _) => forget(c, account, current),
        // Mutations overtake events: what is here already is the account's own.
        (_, None) => adopt(c, account, current),
        // Within an incarnation an id is never given out again: a repeat, which must not revive the dead.
        (_, Some(heard)) if current == heard => Ok(()),
        // Without a creation it is the account of before, restored from a backup: alive again, if it was deleted since.
        (News::Updated, _) if !known.deleted => Ok(()),
        (_, Some(heard)) => {
            forget(c, account, heard)?;
            adopt(c, account, current)
        }
    }
}

/// The later an incarnation was first heard, the higher its number.
fn number_of(c: &Connection, incarnation: Incarnation) -> Result<i64, StoreError> {
    let incarnation = incarnation.to_string();
    c.prepare_cached("INSERT OR IGNORE INTO incarnations_heard (incarnation) VALUES (?1)")?
        .execute([&incarnation])?;
    Ok(
        c.prepare_cached("SELECT number FROM incarnations_heard WHERE incarnation = ?1")?
            .query_row([&incarnation], |row| row.get(0))?,
    )
}

/// From now on the account is alive, and its id means it, in this incarnation.
fn adopt(c: &Connection, account: AccountId, heard_in: i64) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO accounts (id, revision, heard_in) VALUES (?1, 0, ?2)
         ON CONFLICT (id) DO UPDATE SET deleted = 0, heard_in = ?2",
    )?
    .execute([account.0, heard_in])?;
    Ok(())
}

fn forget(c: &Connection, account: AccountId, heard_in: i64) -> Result<(), StoreError> {
    let removed = c
        .prepare_cached("DELETE FROM endpoints WHERE account_id = ?1")?
        .execute([account.0])?;
    c.prepare_cached(
        "INSERT INTO accounts (id, revision, deleted, heard_in) VALUES (?1, 0, 1, ?2)
         ON CONFLICT (id) DO UPDATE SET deleted = 1, heard_in = ?2",
    )?
    .execute([account.0, heard_in])?;
    // An account that had none is answered as before, so nothing is bumped; but it is remembered.
    if removed > 0 {
        let version = bumped(c, account)?;
        outbox::announce(c, &events::deleted(account, version))?;
    }
    Ok(())
}
