//! The endpoints that an account has samples of, and how far each one's histogram reaches.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use crate::sample::{AccountId, EndpointId, UnixMs};
use group_commit::Error;

/// Endpoints of one account, so that an answer has an end.
const ENDPOINT_LIMIT: i64 = 500;

/// How far an endpoint's histogram reaches. Of one without samples: nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packed {
    /// The histogram has the samples before this moment, all of them and no others.
    pub(super) until: Option<UnixMs>,
    /// How many there are from there on.
    pub(super) unpacked: usize,
}

impl Packed {
    pub(super) fn holds(self, at: UnixMs) -> bool {
        self.until.is_some_and(|until| at < until)
    }
}

/// The endpoints of an account, to be changed.
pub(super) struct Endpoints<'c> {
    account: AccountId,
    find: CachedStatement<'c>,
    put: CachedStatement<'c>,
}

impl<'c> Endpoints<'c> {
    pub(super) fn prepare(c: &'c Connection, account: AccountId) -> Result<Self, Error> {
        Ok(Self {
            account,
            find: c.prepare_cached(
                "SELECT packed_until, unpacked FROM endpoints WHERE account_id = ?1 AND endpoint_id = ?2",
            )?,
            put: c.prepare_cached(
                "REPLACE INTO endpoints (account_id, endpoint_id, packed_until, unpacked) VALUES (?1, ?2, ?3, ?4)",
            )?,
        })
    }

    /// None: it has no samples yet.
    pub(super) fn find(&mut self, endpoint: EndpointId) -> Result<Option<Packed>, Error> {
        let found = self
            .find
            .query_row([self.account.0, endpoint.get()], |row| {
                Ok(Packed {
                    until: row.get::<_, Option<_>>(0)?.map(UnixMs),
                    unpacked: row.get(1)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    pub(super) fn put(&mut self, endpoint: EndpointId, packed: Packed) -> Result<(), Error> {
        let until = packed.until.map(|until| until.0);
        self.put
            .execute(params![self.account.0, endpoint.get(), until, packed.unpacked])?;
        Ok(())
    }
}

/// Whether the account has samples.
pub(super) fn are_there(c: &Connection, account: AccountId) -> Result<bool, Error> {
    Ok(
        c.prepare_cached("SELECT EXISTS (SELECT 1 FROM endpoints WHERE account_id = ?1)")?
            .query_row([account.0], |row| row.get(0))?,
    )
}

/// Whether the account has samples of more endpoints than it may have.
pub(super) fn are_too_many(c: &Connection, account: AccountId) -> Result<bool, Error> {
    let count: i64 = c
        .prepare_cached("SELECT count(*) FROM endpoints WHERE account_id = ?1")?
        .query_row([account.0], |row| row.get(0))?;
    Ok(count > ENDPOINT_LIMIT)
}

/// The endpoints, of all accounts, with more samples than so many that are not packed.
pub(super) fn with_more_unpacked(c: &Connection, than: usize) -> Result<Vec<(AccountId, EndpointId)>, Error> {
    let endpoints = c
        .prepare("SELECT account_id, endpoint_id FROM endpoints WHERE unpacked > ?1")?
        .query_map([than], |row| {
            let endpoint = EndpointId::parse(row.get(1)?).expect("only positive ids are stored");
            Ok((AccountId(row.get(0)?), endpoint))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(endpoints)
}
