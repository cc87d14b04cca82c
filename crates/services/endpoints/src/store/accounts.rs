//! What is known of accounts: their revisions, and what the accounts service said of them.
//!
//! What an event of the accounts service changes: [`event_bus::lives`].

use event_bus::lives::{Effect, EntityEvent, Owner, Stamp};
use event_bus::outbox;
use event_bus::{Nonce, Place, Version};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::endpoint::AccountId;
use crate::error::StoreError;
use crate::events;

/// What is known of an account; of one never heard of, revision 0 (rule 14).
#[derive(Debug)]
pub(super) struct Known {
    pub(super) version: Version,
    pub(super) owner: Owner,
}

pub(super) fn known(c: &Connection, account: AccountId) -> Result<Known, StoreError> {
    let row = c
        .prepare_cached("SELECT * FROM accounts WHERE id = ?1")?
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

/// Notes, of an account that gets the first of its data now, up to where the stream is past.
pub(super) fn stamp(c: &Connection, account: AccountId, past: Option<Place>) -> Result<(), StoreError> {
    // Not yet subscribed. A stamp of before holds for what comes later, too.
    let Some(past) = past else { return Ok(()) };
    let past = Stamp::of(c, past)?;
    c.prepare_cached("UPDATE accounts SET past_stream = ?2, past_place = ?3 WHERE id = ?1")?
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

/// Takes in an event of the accounts service. Deletes the endpoints of an account that has ended, or of another account that had
/// this id: after a reset of the accounts service, its ids begin again at 1.
pub(super) fn hear(c: &Connection, account: AccountId, event: &EntityEvent) -> Result<(), StoreError> {
    let Some(effect) = known(c, account)?.owner.apply(c, event)? else {
        return Ok(());
    };
    if effect.forget {
        forget(c, account)?;
    }
    note(c, account, effect)
}

fn note(c: &Connection, account: AccountId, effect: Effect) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO accounts (id, revision, deleted, life, heard_in) VALUES (?1, 0, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET deleted = ?2, life = ?3, heard_in = ?4
             WHERE (deleted, life, heard_in) IS NOT (?2, ?3, ?4)",
    )?
    .execute(params![account.0, effect.deleted, effect.life, effect.heard_in])?;
    Ok(())
}

fn forget(c: &Connection, account: AccountId) -> Result<(), StoreError> {
    let removed = c
        .prepare_cached("DELETE FROM endpoints WHERE account_id = ?1")?
        .execute([account.0])?;
    c.prepare_cached("UPDATE accounts SET deleted = 1, past_stream = NULL, past_place = NULL WHERE id = ?1")?
        .execute([account.0])?;
    // An account that had none is answered as before, so nothing is bumped; but it is remembered.
    if removed > 0 {
        let version = bumped(c, account)?;
        outbox::announce(c, &events::deleted(account, version))?;
    }
    Ok(())
}
