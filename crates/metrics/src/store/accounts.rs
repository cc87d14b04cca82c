//! What is known of accounts: their revisions, and what the accounts service said of them.
//!
//! An account is told from others that had its id by its life, the nonce of its creation. What the accounts service says comes
//! late, again, and out of order, so that what counts is said in the incarnation that begins last in the stream; what is said in
//! one before it changes nothing. Within an incarnation an account ends once, and an id is never given out again. And a word
//! deletes only what may have been written before it was published.

use event_bus::outbox;
use event_bus::{Incarnation, Nonce, Place, Version};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::places::{Begun, Spot};
use crate::error::StoreError;
use crate::events;
use crate::sample::AccountId;

/// Samples deleted in one transaction: other writers wait for that many at most.
const SWEEP_LIMIT: u32 = 10_000;
/// The same of chunks of histograms, each of which is some tens of samples long on disk.
const CHUNK_SWEEP_LIMIT: u32 = 1_000;

/// What the accounts service said of an account, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) account: AccountId,
    pub(crate) news: News,
    /// Whose life; none from a program, or of an account, of before lives were told apart.
    pub(crate) life: Option<Nonce>,
    /// Of the accounts service's database.
    pub(crate) incarnation: Incarnation,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Created,
    Updated,
    Deleted,
}

/// What is known about an account: an absence has a version too (rule 14).
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) version: Version,
    pub(super) deleted: bool,
    life: Option<Nonce>,
    /// The number of the accounts' incarnation that the last word was of; none while nothing was heard of it.
    heard_in: Option<i64>,
    /// Up to where the stream was past when the first of the data was written.
    past: Option<Spot>,
}

pub(super) fn find(c: &Connection, account: AccountId) -> Result<Known, StoreError> {
    let incarnation = outbox::incarnation(c)?;
    let known = c
        .prepare_cached("SELECT * FROM accounts WHERE account_id = ?1")?
        .query_row([account.0], |row| Known::from_row(row, incarnation))
        .optional()?;
    Ok(known.unwrap_or_else(|| Known::nothing(incarnation)))
}

impl Known {
    fn nothing(incarnation: Incarnation) -> Self {
        Self {
            version: Version {
                incarnation,
                revision: 0,
                nonce: Nonce::default(),
            },
            deleted: false,
            life: None,
            heard_in: None,
            past: None,
        }
    }

    fn from_row(row: &Row<'_>, incarnation: Incarnation) -> rusqlite::Result<Self> {
        let life = row.get("life")?;
        Ok(Self {
            version: Version {
                incarnation,
                revision: row.get("revision")?,
                nonce: row.get("nonce")?,
            },
            deleted: row.get("deleted")?,
            life: (life != Nonce::default()).then_some(life),
            heard_in: row.get("heard_in")?,
            past: Spot::from_row(row, "past_stream", "past_place")?,
        })
    }

    /// Whose the data is, if that is known.
    pub(crate) fn life(&self) -> Option<Nonce> {
        self.life.filter(|_| !self.is_orphaned())
    }

    /// The account had ended when the data was written; it is that of the next one. A deletion leaves no data, and no place.
    fn is_orphaned(&self) -> bool {
        self.deleted && self.past.is_some()
    }

    /// Whether the word is of an incarnation that had ended when the last word was said.
    fn is_ahead_of(&self, c: &Connection, said_in: Begun) -> Result<bool, StoreError> {
        match self.heard_in {
            Some(heard) if heard != said_in.number => Ok(said_in.is_before(Begun::numbered(c, heard)?)),
            _ => Ok(false),
        }
    }

    /// Whether the word is of the account that is known. Where a life is not known, the incarnation decides: within one, an id
    /// is never given out again, and an update without a creation is of the account of before, restored from a backup.
    fn is_of(&self, word: &Word, said_in: Begun) -> bool {
        match (self.life, word.life) {
            (Some(known), Some(said)) => known == said,
            _ => self.heard_in == Some(said_in.number) || word.news == News::Updated,
        }
    }
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
    let past = Spot::of(c, past)?;
    c.prepare_cached("UPDATE accounts SET past_stream = ?2, past_place = ?3 WHERE account_id = ?1")?
        .execute([account.0, past.stream, past.place])?;
    Ok(())
}

/// The same for all accounts of which nothing was heard and that got data before there was a subscription.
pub(super) fn stamp_unheard(c: &Connection, past: Place) -> Result<(), StoreError> {
    let past = Spot::of(c, past)?;
    c.prepare_cached(
        "UPDATE accounts SET past_stream = ?1, past_place = ?2 WHERE heard_in IS NULL AND past_stream IS NULL",
    )?
    .execute([past.stream, past.place])?;
    Ok(())
}

/// Deletes what a deleted account had, or what another account had under this id: once the accounts service was reset,
/// its ids begin again at 1. Answers whether there is more to delete; then it is to be called again.
pub(super) fn hear(c: &Connection, word: &Word) -> Result<bool, StoreError> {
    let spot = Spot::of(c, word.place)?;
    let said_in = Begun::heard(c, word.incarnation, spot)?;
    let known = find(c, word.account)?;
    if known.is_ahead_of(c, said_in)? {
        return Ok(false);
    }
    let same = known.is_of(word, said_in);
    let repeated = known.heard_in == Some(said_in.number);
    // Mutations overtake events: what was written after the word is not what it is about.
    let kept = known.heard_in.is_none() || known.is_orphaned() || known.past.is_some_and(|past| spot <= past);
    let heard = |deleted| Heard {
        said_in,
        life: word.life.or(known.life.filter(|_| same)),
        deleted,
    };
    match word.news {
        News::Deleted => {
            let kept = known.past.is_some_and(|past| spot <= past) || (same && known.is_orphaned());
            let more = !kept && forget(c, word.account)?;
            note(c, word.account, heard(true))?;
            Ok(more)
        }
        // It may have overtaken the creation that another account begins with: of a life that is not told, that would be missed.
        News::Updated
            if same && !repeated && word.life.is_none() && known.heard_in.is_some() && !known.deleted =>
        {
            Ok(false)
        }
        // Within an incarnation the dead stay dead. In another one it was restored from a backup.
        _ if same => note(c, word.account, heard(known.deleted && repeated)).map(|()| false),
        _ => {
            let more = !kept && forget(c, word.account)?;
            // Refused until the last old sample is gone: new ones would be deleted with them.
            if !more {
                note(c, word.account, heard(false))?;
            }
            Ok(more)
        }
    }
}

/// What a word that counts leaves to be known.
#[derive(Debug, Clone, Copy)]
struct Heard {
    said_in: Begun,
    life: Option<Nonce>,
    deleted: bool,
}

fn note(c: &Connection, account: AccountId, heard: Heard) -> Result<(), StoreError> {
    c.prepare_cached(
        "INSERT INTO accounts (account_id, revision, deleted, life, heard_in) VALUES (?1, 0, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET deleted = ?2, life = ?3, heard_in = ?4
             WHERE (deleted, life, heard_in) IS NOT (?2, ?3, ?4)",
    )?
    .execute(params![
        account.0,
        heard.deleted,
        heard.life.unwrap_or_default(),
        heard.said_in.number,
    ])?;
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
