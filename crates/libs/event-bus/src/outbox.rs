//! The outbox: what a mutation announces is written where the mutation is, and published from there.
//!
//! A service cannot commit to its database and publish to a broker in one step; whichever it does first, a crash in
//! between loses the other. So the event is a row in the mutation's own transaction, and the [`Relay`](crate::Relay)
//! publishes rows until they are acknowledged (rules 1 and 2).

mod relation;

use std::collections::{BTreeMap, HashMap, HashSet};

use group_commit::{Connection, Database, Error, FromValue, Parameter, Value, params};
use jiff::Timestamp;
use serde_json::value::RawValue;

pub(crate) use self::relation::{Count, Relation, has_claimed, relation, store_claim};
use crate::incarnation::Nonce;
use crate::{Claim, Incarnation};

/// The tables, as the first migration of a source's database.
pub const MIGRATION: &str = include_str!("../migrations/outbox.sql");

/// What a relay needs to know its own history again; a later migration of every source's database.
pub const CLAIMS_MIGRATION: &str = include_str!("../migrations/claims.sql");

/// Where a row keeps what its writer's callers say of the trace; a later migration of every source's database.
pub const TRACESTATE_MIGRATION: &str = include_str!("../migrations/tracestate.sql");

/// The headers that a row keeps, each in the column of its name.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A fragment above this is not carried; its readers ask the source.
const FRAGMENT_LIMIT: usize = 64 * 1024;

/// What a mutation announces.
#[derive(Debug)]
pub struct Announcement<'a> {
    /// The event's type, such as `com.example.shop.updated.v1`.
    pub kind: &'a str,
    /// What it is about; the last token of the subject, so no dots, spaces or wildcards.
    pub entity: i64,
    /// The entity's revision after the mutation.
    pub revision: u64,
    /// The nonce of the mutation, which is kept with the revision.
    pub nonce: Nonce,
    /// The body: a JSON object.
    pub data: serde_json::Value,
    /// The entity's new state as the source would answer it, made inside the mutation's transaction. It is carried byte for
    /// byte, so that the page gets what `GET` would answer.
    pub fragment: Option<Box<RawValue>>,
}

/// Writes the announcement into the caller's transaction, with the next sequence and what the caller says of its trace.
pub fn announce(transaction: &Connection<'_>, announcement: &Announcement<'_>) -> Result<(), Error> {
    let fragment = announcement.fragment.as_ref().map(|fragment| fragment.get());
    let sequence: u64 = transaction.query_one(
        "UPDATE outbox_state SET sequence = sequence + 1, nonce = ?1 RETURNING sequence",
        params![announcement.nonce],
        |row| row.get("sequence"),
    )?;
    let mut trace = HashMap::new();
    telemetry::inject_current(&mut trace);
    transaction.execute(
        "INSERT INTO outbox (sequence, kind, entity, revision, nonce, time, data, fragment, traceparent,
             tracestate) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            sequence,
            announcement.kind,
            announcement.entity.to_string(),
            announcement.revision,
            announcement.nonce,
            format!("{:.6}", Timestamp::now()),
            announcement.data.to_string(),
            fragment.filter(|text| text.len() < FRAGMENT_LIMIT),
            trace.get(TRACEPARENT),
            trace.get(TRACESTATE),
        ],
    )?;
    Ok(())
}

/// Announces the last change of every entity that the database has or had.
pub type Everything =
    fn(&Connection<'_>, &mut dyn FnMut(&Announcement<'_>) -> Result<(), Error>) -> Result<(), Error>;

/// Announces everything again, except changes that wait in the outbox anyway. So repeating this does not make the outbox grow.
pub(crate) async fn announce_again(
    database: &Database,
    acknowledged: Option<Acknowledged>,
    everything: Everything,
) -> Result<(), Error> {
    database
        .write(move |transaction| {
            // What the broker acknowledged is not on the stream any more.
            if let Some(acknowledged) = acknowledged {
                delete_acknowledged(transaction, acknowledged)?;
            }
            let mut waiting: HashSet<(String, u64)> = HashSet::new();
            transaction.for_each("SELECT entity, revision FROM outbox", params![], |row| {
                waiting.insert((row.get("entity")?, row.get("revision")?));
                Ok(())
            })?;
            everything(transaction, &mut |announcement| {
                if waiting.contains(&(announcement.entity.to_string(), announcement.revision)) {
                    return Ok(());
                }
                announce(transaction, announcement)
            })
        })
        .await
}

/// The incarnation of this database.
pub fn incarnation(connection: &Connection<'_>) -> Result<Incarnation, Error> {
    connection.query_one("SELECT incarnation FROM outbox_state", params![], |row| {
        row.get("incarnation")
    })
}

/// Gives the database a new incarnation, as after a restore from a backup: what was announced since the backup is
/// gone from here, and everything that others know of it is void. Announcements not yet published are renumbered.
pub fn renew_incarnation(transaction: &Connection<'_>) -> Result<(), Error> {
    let before_first: Option<u64> = transaction.query_one(
        "SELECT min(sequence) - 1 AS before_first FROM outbox",
        params![],
        |row| row.get("before_first"),
    )?;
    // In one pass from below no two rows meet: sequences are contiguous, and each moves down by the same step.
    transaction.execute(
        "UPDATE outbox SET sequence = sequence - ?1",
        params![before_first.unwrap_or(0)],
    )?;
    transaction.execute(
        "UPDATE outbox_state SET incarnation = lower(hex(randomblob(16))),
         sequence = (SELECT coalesce(max(sequence), 0) FROM outbox),
         nonce = (SELECT coalesce((SELECT nonce FROM outbox ORDER BY sequence DESC LIMIT 1), 0))",
        params![],
    )?;
    transaction.execute("UPDATE claims SET former = 1", params![])?;
    Ok(())
}

/// A row that waits to be published.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) sequence: u64,
    pub(crate) kind: String,
    pub(crate) entity: String,
    pub(crate) revision: u64,
    pub(crate) nonce: Nonce,
    pub(crate) time: String,
    pub(crate) data: String,
    pub(crate) fragment: Option<String>,
    /// What the writer said of its trace, as headers.
    pub(crate) trace: Option<HashMap<String, String>>,
}

/// Everything up to here, of this incarnation, is on the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) incarnation: Incarnation,
    pub(crate) through: u64,
}

/// The oldest rows and the counter, of one moment (rule 3).
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) incarnation: Incarnation,
    /// The last sequence given out, from the table: a number kept in memory would miss what a crash undid.
    pub(crate) sequence: u64,
    /// The nonce of that sequence.
    pub(crate) nonce: Nonce,
    pub(crate) rows: Vec<Pending>,
}

pub(crate) async fn pending_after(
    database: &Database,
    acknowledged: Option<Acknowledged>,
    limit: usize,
) -> Result<Snapshot, Error> {
    database
        .read(move |transaction| snapshot(transaction, acknowledged, limit))
        .await
}

fn snapshot(
    transaction: &Connection<'_>,
    acknowledged: Option<Acknowledged>,
    limit: usize,
) -> Result<Snapshot, Error> {
    let (incarnation, sequence, nonce) = transaction.query_one(
        "SELECT incarnation, sequence, nonce FROM outbox_state",
        params![],
        |row| Ok((row.get("incarnation")?, row.get("sequence")?, row.get("nonce")?)),
    )?;
    let ours = acknowledged.filter(|acknowledged| acknowledged.incarnation == incarnation);
    let after = ours.map_or(0, |acknowledged| acknowledged.through);
    let rows = transaction.query(
        "SELECT sequence, kind, entity, revision, nonce, time, data, fragment, traceparent, tracestate
         FROM outbox WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
        params![after, limit],
        |row| {
            Ok(Pending {
                sequence: row.get("sequence")?,
                kind: row.get("kind")?,
                entity: row.get("entity")?,
                revision: row.get("revision")?,
                nonce: row.get("nonce")?,
                time: row.get("time")?,
                data: row.get("data")?,
                fragment: row.get("fragment")?,
                trace: trace_of(row.get("traceparent")?, row.get("tracestate")?),
            })
        },
    )?;
    Ok(Snapshot {
        incarnation,
        sequence,
        nonce,
        rows,
    })
}

fn trace_of(traceparent: Option<String>, tracestate: Option<String>) -> Option<HashMap<String, String>> {
    let mut trace = HashMap::from([(TRACEPARENT.to_owned(), traceparent?)]);
    trace.extend(tracestate.map(|state| (TRACESTATE.to_owned(), state)));
    Some(trace)
}

/// Forgets what the broker has acknowledged.
pub(crate) async fn forget(database: &Database, acknowledged: Acknowledged) -> Result<(), Error> {
    database
        .write(move |transaction| delete_acknowledged(transaction, acknowledged))
        .await
}

fn delete_acknowledged(transaction: &Connection<'_>, acknowledged: Acknowledged) -> Result<(), Error> {
    let Acknowledged { incarnation, through } = acknowledged;
    transaction.execute(
        "DELETE FROM outbox WHERE sequence <= ?1
         AND (SELECT incarnation FROM outbox_state) = ?2",
        params![through, incarnation.to_string()],
    )?;
    Ok(())
}

impl Pending {
    /// The event's body: the data, and the fragment in it under `fragment` where one is carried.
    pub(crate) fn body(&self, carry: bool) -> String {
        let fragment = self.fragment.as_deref().filter(|_| carry);
        let parsed = fragment.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        let data = serde_json::from_str::<BTreeMap<String, &RawValue>>(&self.data).ok();
        let (Some(fragment), Some(mut body)) = (parsed, data) else {
            return self.data.clone();
        };
        body.insert("fragment".to_owned(), fragment);
        serde_json::to_string(&body).expect("texts that were JSON are JSON again")
    }
}

impl FromValue for Incarnation {
    fn from_value(value: Value<'_>) -> Option<Self> {
        String::from_value(value)?.parse().ok()
    }
}

/// Integers of a database are signed; the bits are the same.
impl Parameter for Nonce {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Integer(self.0.cast_signed()))
    }
}

impl FromValue for Nonce {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| Self(number.cast_unsigned()))
    }
}

impl Parameter for Claim {
    fn value(&self) -> Result<Value<'_>, Error> {
        Ok(Value::Integer(self.0.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: fn(i64, u64) -> Announcement<'static> = |entity, revision| Announcement {
        kind: "test.changed.v1",
        entity,
        revision,
        nonce: Nonce(1),
        data: serde_json::json!({}),
        fragment: None,
    };

    fn two(
        _: &Connection<'_>,
        announce: &mut dyn FnMut(&Announcement<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        announce(&CHANGE(1, 1))?;
        announce(&CHANGE(2, 5))
    }

    async fn waiting(database: &Database) -> Vec<(u64, String, u64)> {
        let rows = pending_after(database, None, 10).await.unwrap().rows;
        rows.into_iter()
            .map(|row| (row.sequence, row.entity, row.revision))
            .collect()
    }

    #[tokio::test]
    async fn what_waits_is_not_announced_again_and_what_is_acknowledged_is() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(
            &folder.path().join("db"),
            &[MIGRATION, CLAIMS_MIGRATION, TRACESTATE_MIGRATION],
        )
        .unwrap();
        let write = |c: &Connection<'_>| {
            announce(c, &CHANGE(1, 1))?;
            announce(c, &CHANGE(2, 5))
        };
        database.write(write).await.unwrap();
        let acknowledged = Acknowledged {
            incarnation: database.read(incarnation).await.unwrap(),
            through: 1,
        };
        for _ in 0..2 {
            announce_again(&database, Some(acknowledged), two).await.unwrap();
            let expected = [(2, "2".to_owned(), 5), (3, "1".to_owned(), 1)];
            assert_eq!(waiting(&database).await, expected);
        }
    }
}
