//! What is known of accounts: their revisions, and what the accounts service said of them.

use event_bus::outbox;
use event_bus::{Incarnation, Nonce, Version};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::events;
use crate::sample::AccountId;

/// Samples deleted in one transaction: other writers wait for that many at most.
const SWEEP_LIMIT: u32 = 10_000;
/// The same of chunks of histograms, each of which is some tens of samples long on disk.
const CHUNK_SWEEP_LIMIT: u32 = 1_000;

/// What the accounts service said of an account.
#[derive(Debug, Clone, Copy)]
pub(crate) enum News {
    Created,
    Updated,
    Deleted,
}

/// What is known about an account: an absence has a version too (rule 14).
pub(super) struct Known {
    pub(super) version: Version,
    pub(super) deleted: bool,
    /// The number of the accounts' incarnation in which its id means this account; none while nothing was heard of it.
    heard_in: Option<i64>,
}

pub(super) fn find(c: &Connection, account: AccountId) -> Result<Known, StoreError> {
    let incarnation = outbox::incarnation(c)?;
    let row = c
        .prepare_cached("SELECT revision, nonce, deleted, heard_in FROM accounts WHERE account_id = ?1")?
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
pub(super) fn bump(c: &Connection, account: AccountId) -> Result<Version, StoreError> {
    let nonce = Nonce::draw();
    let revision = c
        .prepare_cached(
            "INSERT INTO accounts (account_id, revision, nonce) VALUES (?1, 1, ?2)
             ON CONFLICT DO UPDATE SET revision = revision + 1, nonce = ?2 RETURNING revision",
        )?
        .query_row(params![account.0, nonce], |row| row.get(0))?;
    Ok(Version {
        incarnation: outbox::incarnation(c)?,
        revision,
        nonce,
    })
}

/// Deletes what a deleted account had, or what another account had under this id: once the accounts service was reset,
/// its ids begin again at 1. Answers whether there is more to delete; then it is to be called again.
pub(super) fn hear(
    c: &Connection,
    account: AccountId,
    news: News,
    incarnation: Incarnation,
) -> Result<bool, StoreError> {
    let current = number_of(c, incarnation)?;
    let known = find(c, account)?;
    match (news, known.heard_in) {
        // A late word of an incarnation that has ended: the id is another account's now.
        (_, Some(heard)) if current < heard => Ok(false),
        (News::Deleted, _) => forget(c, account, current),
        // Mutations overtake events: what is here already is the account's own.
        (_, None) => adopt(c, account, current).map(|()| false),
        // Within an incarnation an id is never given out again: a repeat, which must not revive the dead.
        (_, Some(heard)) if current == heard => Ok(false),
        // Without a creation it is the account of before, restored from a backup: alive again, if it was deleted since.
        (News::Updated, _) if !known.deleted => Ok(false),
        (_, Some(heard)) => {
            let more = forget(c, account, heard)?;
            // Refused until the last old sample is gone: new ones would be deleted with them.
            if !more {
                adopt(c, account, current)?;
            }
            Ok(more)
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
        "INSERT INTO accounts (account_id, revision, heard_in) VALUES (?1, 0, ?2)
         ON CONFLICT DO UPDATE SET deleted = 0, heard_in = ?2",
    )?
    .execute([account.0, heard_in])?;
    Ok(())
}

/// One revision and one event for the whole deletion: with its endpoints' rows gone, nothing of it is answered any more.
fn forget(c: &Connection, account: AccountId, heard_in: i64) -> Result<bool, StoreError> {
    let removed = c
        .prepare_cached("DELETE FROM endpoints WHERE account_id = ?1")?
        .execute([account.0])?;
    c.prepare_cached(
        "INSERT INTO accounts (account_id, revision, deleted, heard_in) VALUES (?1, 0, 1, ?2)
         ON CONFLICT DO UPDATE SET deleted = 1, heard_in = ?2",
    )?
    .execute([account.0, heard_in])?;
    // An account that had none is answered as before, so nothing is bumped; but it is remembered.
    if removed > 0 {
        let version = bump(c, account)?;
        outbox::announce(c, &events::deleted(account, version))?;
    }
    sweep(c, account)
}

/// Deletes a stretch of what nobody can see any more: of the samples, and with the last of them of the histograms. False
/// when it was the last.
fn sweep(c: &Connection, account: AccountId) -> Result<bool, StoreError> {
    Ok(sweep_table(c, account, "samples", "at", SWEEP_LIMIT)?
        || sweep_table(c, account, "histograms", "first", CHUNK_SWEEP_LIMIT)?)
}

/// Of a table whose key is the account, the endpoint, and this column.
fn sweep_table(
    c: &Connection,
    account: AccountId,
    table: &str,
    column: &str,
    limit: u32,
) -> Result<bool, StoreError> {
    let rest: Option<(i64, i64)> = c
        .prepare_cached(&format!(
            "SELECT endpoint_id, {column} FROM {table} WHERE account_id = ?1
             ORDER BY endpoint_id, {column} LIMIT 1 OFFSET ?2"
        ))?
        .query_row(params![account.0, limit], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Without a rest, everything lies before the largest key there can be.
    let (endpoint, end) = rest.unwrap_or((i64::MAX, i64::MAX));
    c.prepare_cached(&format!(
        "DELETE FROM {table} WHERE account_id = ?1 AND (endpoint_id, {column}) < (?2, ?3)"
    ))?
    .execute([account.0, endpoint, end])?;
    Ok(rest.is_some())
}
