//! The endpoints that an account has samples of, and how far each one's histogram reaches.

use crate::sample::{AccountId, EndpointId, UnixMs};
use group_commit::{Connection, Error, Row, Statement, params};

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
    pub(super) fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            until: row.get::<Option<_>>("packed_until")?.map(UnixMs),
            unpacked: row.get("unpacked")?,
        })
    }

    pub(super) fn holds(self, at: UnixMs) -> bool {
        self.until.is_some_and(|until| at < until)
    }
}

/// The endpoints of an account, to be changed.
pub(super) struct Endpoints<'c> {
    account: AccountId,
    find: Statement<'c>,
    put: Statement<'c>,
}

impl<'c> Endpoints<'c> {
    pub(super) fn prepare(c: &Connection<'c>, account: AccountId) -> Result<Self, Error> {
        Ok(Self {
            account,
            find: c.prepare(
                "SELECT packed_until, unpacked FROM endpoints WHERE account_id = ?1 AND endpoint_id = ?2",
            )?,
            put: c.prepare(
                "INSERT INTO endpoints (account_id, endpoint_id, packed_until, unpacked) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account_id, endpoint_id) DO UPDATE
                 SET packed_until = excluded.packed_until, unpacked = excluded.unpacked",
            )?,
        })
    }

    /// None: it has no samples yet.
    pub(super) fn find(&mut self, endpoint: EndpointId) -> Result<Option<Packed>, Error> {
        self.find
            .query_opt(params![self.account.0, endpoint.get()], Packed::from_row)
    }

    pub(super) fn put(&mut self, endpoint: EndpointId, packed: Packed) -> Result<(), Error> {
        let until = packed.until.map(|until| until.0);
        self.put
            .execute(params![self.account.0, endpoint.get(), until, packed.unpacked])?;
        Ok(())
    }
}

/// Whether the account has samples.
pub(super) fn are_there(c: &Connection<'_>, account: AccountId) -> Result<bool, Error> {
    c.query_one(
        "SELECT EXISTS (SELECT 1 FROM endpoints WHERE account_id = ?1) AS found",
        params![account.0],
        |row| row.get("found"),
    )
}

/// Whether the account has samples of more endpoints than it may have.
pub(super) fn are_too_many(c: &Connection<'_>, account: AccountId) -> Result<bool, Error> {
    let count: i64 = c.query_one(
        "SELECT count(*) AS count FROM endpoints WHERE account_id = ?1",
        params![account.0],
        |row| row.get("count"),
    )?;
    Ok(count > ENDPOINT_LIMIT)
}

/// The endpoints, of all accounts, with more samples than so many that are not packed.
pub(super) fn with_more_unpacked(
    c: &Connection<'_>,
    than: usize,
) -> Result<Vec<(AccountId, EndpointId)>, Error> {
    c.query(
        "SELECT account_id, endpoint_id FROM endpoints WHERE unpacked > ?1",
        params![than],
        |row| {
            let endpoint = EndpointId::parse(row.get("endpoint_id")?).expect("only positive ids are stored");
            Ok((AccountId(row.get("account_id")?), endpoint))
        },
    )
}
