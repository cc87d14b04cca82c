//! What is known of accounts: their revisions, and what the accounts service said of them.
//!
//! What an event of the accounts service changes: [`event_bus::lives`].

use event_bus::lives::{Effect, EntityEvent, Owner, Stamp};
use event_bus::outbox;
use event_bus::{Nonce, Place, Version};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::StoreError;
use crate::events;
use crate::sample::AccountId;

/// Samples deleted in one transaction: other writers wait for that many at most.
const SWEEP_LIMIT: u32 = 10_000;
/// The same of chunks of histograms, each of which is some tens of samples long on disk.
const CHUNK_SWEEP_LIMIT: u32 = 1_000;

/// What is known about an account: an absence has a version too (rule 14).
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) version: Version,
    pub(crate) owner: Owner,
}

pub(super) fn find(c: &Connection, account: AccountId) -> Result<Known, StoreError> {
    let row = c
        .prepare_cached("SELECT * FROM accounts WHERE account_id = ?1")?
        .query_row([account.0], |row| {
            Ok((row.get("revision")?, row.get("nonce")?, Owner::from_row(row)?))
        })
        .optional()?;
    let (revision, nonce, owner) = row.unwrap_or_default();
    let version = Version {
        incarnation: outbox::incarnation(c)?,
        revision,
        nonce,
    };
    Ok(Known { version, owner })
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

/// Notes, of an account that gets the first of its data now, up to where the stream is past.
pub(super) fn stamp(c: &Connection, account: AccountId, past: Option<Place>) -> Result<(), StoreError> {
    // Not yet subscribed. A stamp of before holds for what comes later, too.
    let Some(past) = past else { return Ok(()) };
    let past = Stamp::of(c, past)?;
    c.prepare_cached("UPDATE accounts SET past_stream = ?2, past_place = ?3 WHERE account_id = ?1")?
        .execute([account.0, past.stream, past.place])?;
    Ok(())
}

/// The same for all accounts of which nothing was heard and that got data before there was a subscription.
pub(super) fn stamp_unheard(c: &Connection, past: Place) -> Result<(), StoreError> {
    let past = Stamp::of(c, past)?;
    c.prepare_cached(
        "UPDATE accounts SET past_stream = ?1, past_place = ?2 WHERE heard_in IS NULL AND past_stream IS NULL",
    )?
    .execute([past.stream, past.place])?;
    Ok(())
}

/// Takes in an event of the accounts service. Deletes the samples of an account that has ended, or of another account that had
/// this id: after a reset of the accounts service, its ids begin again at 1. Returns whether there is more to delete; then it
/// must be called again.
pub(super) fn hear(c: &Connection, account: AccountId, event: &EntityEvent) -> Result<bool, StoreError> {
    let Some(effect) = find(c, account)?.owner.apply(c, event)? else {
        return Ok(false);
    };
    let more = effect.forget && forget(c, account)?;
    // Another account waits until the last old sample is gone: new samples would be deleted with the old ones.
    if !more || effect.deleted {
        note(c, account, effect)?;
    }
    Ok(more)
}

fn note(c: &Connection, account: AccountId, effect: Effect) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO accounts (account_id, revision, deleted, life, heard_in) VALUES (?1, 0, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET deleted = ?2, life = ?3, heard_in = ?4
             WHERE (deleted, life, heard_in) IS NOT (?2, ?3, ?4)",
    )?
    .execute(params![account.0, effect.deleted, effect.life, effect.heard_in])?;
    Ok(())
}

/// One revision and one event for the whole deletion: with its endpoints' rows gone, nothing of it is answered any more.
fn forget(c: &Connection, account: AccountId) -> Result<bool, StoreError> {
    let removed = c
        .prepare_cached("DELETE FROM endpoints WHERE account_id = ?1")?
        .execute([account.0])?;
    c.prepare_cached(
        "UPDATE accounts SET deleted = 1, past_stream = NULL, past_place = NULL WHERE account_id = ?1",
    )?
    .execute([account.0])?;
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
