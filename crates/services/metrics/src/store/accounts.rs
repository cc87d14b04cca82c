//! What is known of accounts: their versions, and what their events said.
//!
//! What an event of the accounts service changes: [`event_bus::lives`].

use event_bus::lives::{Entities, EntityEvent};
use event_bus::outbox;
use group_commit::{Connection, params};

use crate::error::Error;
use crate::events;
use crate::sample::AccountId;

/// Samples deleted in one transaction: other writers wait for that many at most.
const SWEEP_LIMIT: u32 = 10_000;
/// The same of chunks of histograms, each of which is some tens of samples long on disk.
const CHUNK_SWEEP_LIMIT: u32 = 1_000;

/// The table of accounts.
pub(super) const ACCOUNTS: Entities = Entities {
    table: "accounts",
    key: "account_id",
};

/// Applies an event of the accounts service. Deletes the samples of an account that has ended, or of another account that had
/// this id: after a reset of the accounts service, its ids begin again at 1. Returns whether there is more to delete; then it
/// must be called again.
pub(super) fn apply(c: &Connection<'_>, account: AccountId, event: &EntityEvent) -> Result<bool, Error> {
    let Some(effect) = ACCOUNTS.known(c, account.0)?.owner.apply(c, event)? else {
        return Ok(false);
    };
    let more = effect.forget && forget(c, account)?;
    // Another account waits until the last old sample is gone: new samples would be deleted with the old ones.
    if !more || effect.deleted {
        ACCOUNTS.apply(c, account.0, effect)?;
    }
    Ok(more)
}

/// One revision and one event for the whole deletion: with its endpoints' rows gone, nothing of it is answered any more.
fn forget(c: &Connection<'_>, account: AccountId) -> Result<bool, Error> {
    let removed = c.execute("DELETE FROM endpoints WHERE account_id = ?1", params![account.0])?;
    ACCOUNTS.end(c, account.0)?;
    // An account that had none is answered as before, so nothing is bumped; but it is remembered.
    if removed > 0 {
        let version = ACCOUNTS.bump(c, account.0)?;
        outbox::announce(c, &events::deleted(account, version))?;
    }
    sweep(c, account)
}

/// Deletes a stretch of what nobody can see any more: of the samples, and with the last of them of the histograms. False
/// when it was the last.
fn sweep(c: &Connection<'_>, account: AccountId) -> Result<bool, Error> {
    Ok(sweep_table(c, account, "samples", "at", SWEEP_LIMIT)?
        || sweep_table(c, account, "histograms", "first", CHUNK_SWEEP_LIMIT)?)
}

/// Of a table whose key is the account, the endpoint, and this column.
fn sweep_table(
    c: &Connection<'_>,
    account: AccountId,
    table: &str,
    column: &str,
    limit: u32,
) -> Result<bool, Error> {
    let rest: Option<(i64, i64)> = c.query_opt(
        &format!(
            "SELECT endpoint_id, {column} FROM {table} WHERE account_id = ?1
             ORDER BY endpoint_id, {column} LIMIT 1 OFFSET ?2"
        ),
        params![account.0, limit],
        |row| Ok((row.get("endpoint_id")?, row.get(column)?)),
    )?;
    // Without a rest, everything lies before the largest key there can be.
    let (endpoint, end) = rest.unwrap_or((i64::MAX, i64::MAX));
    c.execute(
        &format!("DELETE FROM {table} WHERE account_id = ?1 AND (endpoint_id, {column}) < (?2, ?3)"),
        params![account.0, endpoint, end],
    )?;
    Ok(rest.is_some())
}
