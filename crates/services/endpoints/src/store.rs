//! All the SQL. A mutation, the bump of its account's revision and its announcement are one transaction (rule 1).

mod accounts;
#[cfg(test)]
mod lives;

use event_bus::lives::{EntityEvent, Past};
use event_bus::outbox::{self, Announcement};
use event_bus::{Nonce, Place, Version};
use group_commit::{Connection, Database, Row, params};
use jiff::Timestamp;
use source_service::Follower;
use tracing::instrument;

use crate::endpoint::{
    AccountId, ENDPOINTS_PER_ACCOUNT, Endpoint, EndpointChange, EndpointId, EndpointList, EndpointUrl, Name,
    NewEndpoint,
};
use crate::error::Error;
use crate::events;
use crate::store::accounts::ACCOUNTS;

pub(crate) const MIGRATIONS: &[&str] = &[
    outbox::MIGRATION,
    include_str!("../migrations/0001_endpoints.sql"),
    outbox::CLAIMS_MIGRATION,
    include_str!("../migrations/0002_nonces.sql"),
    include_str!("../migrations/0003_lives.sql"),
    outbox::TRACESTATE_MIGRATION,
];

/// The endpoints, on disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    /// Of the accounts' stream.
    past: Past,
}

/// What a reader of the list gets.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) version: Version,
    /// Of the account that it is of, where that is known.
    pub(crate) life: Option<Nonce>,
    /// None: the reader does not need it.
    pub(crate) list: Option<EndpointList>,
}

/// An endpoint, and the version of the list it is in.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) endpoint: Endpoint,
}

impl Store {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            past: Past::default(),
        }
    }

    /// Reads an account's version and its endpoints in one snapshot; not the endpoints if those of this version are `unneeded`.
    #[instrument(skip_all)]
    pub(crate) async fn list_endpoints(
        &self,
        account: AccountId,
        unneeded: impl FnOnce(Version) -> bool + Send + 'static,
    ) -> Result<Listed, Error> {
        self.database
            .read(move |c| list_unless(c, account, unneeded))
            .await
    }

    #[instrument(skip_all)]
    pub(crate) async fn find_endpoint(&self, account: AccountId, id: EndpointId) -> Result<Stored, Error> {
        self.database.read(move |c| find(c, account, id)).await
    }

    /// Adds the endpoint if the version that the account's list has is `wanted`: of two who want the same one, one finds
    /// another.
    #[instrument(skip_all)]
    pub(crate) async fn add_endpoint(
        &self,
        account: AccountId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
        new: NewEndpoint,
    ) -> Result<Stored, Error> {
        let past = self.past.place();
        self.database
            .write(move |c| add(c, account, wanted, &new, past))
            .await
    }

    /// Changes the endpoint if the version that its list has is `wanted`.
    #[instrument(skip_all)]
    pub(crate) async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
        change: EndpointChange,
    ) -> Result<Stored, Error> {
        self.database
            .write(move |c| self::change(c, account, id, wanted, change))
            .await
    }

    /// Removes the endpoint if the version that its list has is `wanted`.
    #[instrument(skip_all)]
    pub(crate) async fn remove_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        wanted: impl FnOnce(Version) -> bool + Send + 'static,
    ) -> Result<Version, Error> {
        self.database.write(move |c| remove(c, account, id, wanted)).await
    }
}

impl Follower for Store {
    type Error = Error;

    #[instrument(skip_all)]
    async fn begin(&self, place: Place) -> Result<(), Error> {
        Ok(ACCOUNTS.begin(&self.database, &self.past, place).await?)
    }

    #[instrument(skip_all)]
    async fn apply(&self, account: i64, event: EntityEvent) -> Result<(), Error> {
        self.past.pass(event.place);
        self.database
            .write(move |c| accounts::apply(c, AccountId(account), &event))
            .await
    }
}

fn list_unless(
    c: &Connection<'_>,
    account: AccountId,
    unneeded: impl FnOnce(Version) -> bool,
) -> Result<Listed, Error> {
    let known = ACCOUNTS.known(c, account.0)?;
    let (version, life) = (known.version, known.owner.life());
    let list = if unneeded(version) {
        None
    } else {
        Some(list(c, account, version, life)?)
    };
    Ok(Listed { version, life, list })
}

fn add(
    c: &Connection<'_>,
    account: AccountId,
    wanted: impl FnOnce(Version) -> bool,
    new: &NewEndpoint,
    past: Option<Place>,
) -> Result<Stored, Error> {
    let known = ACCOUNTS.known(c, account.0)?;
    if known.owner.deleted {
        return Err(Error::AccountDeleted);
    }
    let count = count(c, account)?;
    if count >= ENDPOINTS_PER_ACCOUNT {
        return Err(Error::TooManyEndpoints);
    }
    refuse_unless(wanted, known.version)?;
    let version = ACCOUNTS.bump(c, account.0)?;
    if count == 0 {
        ACCOUNTS.stamp(c, account.0, past)?;
    }
    let endpoint = c.query_one(
        "INSERT INTO endpoints (account_id, name, url, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?4) RETURNING *",
        params![account.0, new.name.as_str(), new.url.as_str(), now_text()],
        endpoint_from,
    )?;
    announce(c, &endpoint, version, events::added)?;
    Ok(Stored { version, endpoint })
}

fn change(
    c: &Connection<'_>,
    account: AccountId,
    id: EndpointId,
    wanted: impl FnOnce(Version) -> bool,
    change: EndpointChange,
) -> Result<Stored, Error> {
    let found = find(c, account, id)?;
    refuse_unless(wanted, found.version)?;
    let Some(endpoint) = found.endpoint.changed(change, Timestamp::now()) else {
        return Ok(found);
    };
    let version = ACCOUNTS.bump(c, account.0)?;
    c.execute(
        "UPDATE endpoints SET name = ?2, url = ?3, updated_at = ?4 WHERE id = ?1",
        params![
            id.0,
            endpoint.name.as_str(),
            endpoint.url.as_str(),
            format!("{:.3}", endpoint.updated_at),
        ],
    )?;
    announce(c, &endpoint, version, events::changed)?;
    Ok(Stored { version, endpoint })
}

fn remove(
    c: &Connection<'_>,
    account: AccountId,
    id: EndpointId,
    wanted: impl FnOnce(Version) -> bool,
) -> Result<Version, Error> {
    let Stored { version, endpoint } = find(c, account, id)?;
    refuse_unless(wanted, version)?;
    let version = ACCOUNTS.bump(c, account.0)?;
    c.execute("DELETE FROM endpoints WHERE id = ?1", params![id.0])?;
    announce(c, &endpoint, version, events::removed)?;
    Ok(version)
}

/// Asked last: what would be refused without a condition is refused as without (RFC 9110, 13.2.1).
fn refuse_unless(wanted: impl FnOnce(Version) -> bool, version: Version) -> Result<(), Error> {
    if wanted(version) {
        Ok(())
    } else {
        Err(Error::VersionMismatch(version))
    }
}

/// Announces what happened to `endpoint`, with the account's list as it now is.
fn announce(
    c: &Connection<'_>,
    endpoint: &Endpoint,
    version: Version,
    event: impl Fn(EndpointId, &EndpointList) -> Announcement<'static>,
) -> Result<(), Error> {
    let life = ACCOUNTS.known(c, endpoint.account_id.0)?.owner.life();
    let list = list(c, endpoint.account_id, version, life)?;
    Ok(outbox::announce(c, &event(endpoint.id, &list))?)
}

fn find(c: &Connection<'_>, account: AccountId, id: EndpointId) -> Result<Stored, Error> {
    let version = ACCOUNTS.known(c, account.0)?.version;
    let endpoint = c
        .query_opt(
            "SELECT * FROM endpoints WHERE id = ?1 AND account_id = ?2",
            params![id.0, account.0],
            endpoint_from,
        )?
        .ok_or(Error::NoSuchEndpoint(version))?;
    Ok(Stored { version, endpoint })
}

fn list(
    c: &Connection<'_>,
    account: AccountId,
    version: Version,
    life: Option<Nonce>,
) -> Result<EndpointList, Error> {
    let endpoints = c.query(
        "SELECT * FROM endpoints WHERE account_id = ?1 ORDER BY id",
        params![account.0],
        endpoint_from,
    )?;
    Ok(EndpointList {
        account_id: account,
        life,
        version,
        endpoints,
    })
}

fn count(c: &Connection<'_>, account: AccountId) -> Result<u64, Error> {
    Ok(c.query_one(
        "SELECT count(*) AS count FROM endpoints WHERE account_id = ?1",
        params![account.0],
        |row| row.get("count"),
    )?)
}

fn endpoint_from(row: &Row<'_>) -> Result<Endpoint, group_commit::Error> {
    Ok(Endpoint {
        id: EndpointId(row.get("id")?),
        account_id: AccountId(row.get("account_id")?),
        name: Name::stored(row.get("name")?),
        url: EndpointUrl::stored(row.get("url")?),
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
