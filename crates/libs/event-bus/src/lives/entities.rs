//! The rows of a service's table of entities: their versions, and whose their data is.

use group_commit::{Connection, Database, Error, params};

use super::{Effect, Owner, Past, Stamp};
use crate::{Nonce, Place, Version, outbox};

/// The table with one row per entity of the other source. Besides its key it has the columns `revision` and `nonce`, of the
/// data that the service keeps for the entity, and those of an [`Owner`].
#[derive(Debug, Clone, Copy)]
pub struct Entities {
    /// The table's name.
    pub table: &'static str,
    /// The column with the entity's id.
    pub key: &'static str,
}

/// What is known of an entity; of one without a row, revision 0 and nothing else (rule 14).
#[derive(Debug)]
pub struct Known {
    /// Of the data that the service keeps for it.
    pub version: Version,
    /// Whose that data is.
    pub owner: Owner,
}

impl Entities {
    /// Reads what is known of the entity.
    pub fn known(self, c: &Connection<'_>, id: i64) -> Result<Known, Error> {
        let Self { table, key } = self;
        let row = c.query_opt(
            &format!("SELECT * FROM {table} WHERE {key} = ?1"),
            params![id],
            |row| Ok((row.get("revision")?, row.get("nonce")?, Owner::from_row(row)?)),
        )?;
        let (revision, nonce, owner) = row.unwrap_or_default();
        let version = Version {
            incarnation: outbox::incarnation(c)?,
            revision,
            nonce,
        };
        Ok(Known { version, owner })
    }

    /// Gives the entity's data its next version, which the current mutation makes.
    pub fn bump(self, c: &Connection<'_>, id: i64) -> Result<Version, Error> {
        let Self { table, key } = self;
        let nonce = Nonce::draw();
        let revision = c.query_one(
            &format!(
                "INSERT INTO {table} ({key}, revision, nonce) VALUES (?1, 1, ?2)
                 ON CONFLICT ({key}) DO UPDATE SET revision = {table}.revision + 1, nonce = ?2 RETURNING revision"
            ),
            params![id, nonce],
            |row| row.get("revision"),
        )?;
        Ok(Version {
            incarnation: outbox::incarnation(c)?,
            revision,
            nonce,
        })
    }

    /// Notes, of an entity that gets the first of its data now, up to where the stream is past.
    pub fn stamp(self, c: &Connection<'_>, id: i64, past: Option<Place>) -> Result<(), Error> {
        // Not yet subscribed. A stamp of before holds for what comes later, too.
        let Some(past) = past else { return Ok(()) };
        let Self { table, key } = self;
        let past = Stamp::of(c, past)?;
        c.execute(
            &format!("UPDATE {table} SET past_stream = ?2, past_place = ?3 WHERE {key} = ?1"),
            params![id, past.stream, past.place],
        )?;
        Ok(())
    }

    /// The same for all entities without an event so far whose data is older than the subscription.
    fn stamp_all(self, c: &Connection<'_>, past: Place) -> Result<(), Error> {
        let past = Stamp::of(c, past)?;
        c.execute(
            &format!(
                "UPDATE {} SET past_stream = ?1, past_place = ?2 WHERE heard_in IS NULL AND past_stream IS NULL",
                self.table
            ),
            params![past.stream, past.place],
        )?;
        Ok(())
    }

    /// Stores what an event changes, once the service has deleted what it must.
    pub fn apply(self, c: &Connection<'_>, id: i64, effect: Effect) -> Result<(), Error> {
        let Self { table, key } = self;
        c.execute(
            &format!(
                "INSERT INTO {table} ({key}, revision, deleted, life, heard_in) VALUES (?1, 0, ?2, ?3, ?4)
                 ON CONFLICT ({key}) DO UPDATE SET deleted = ?2, life = ?3, heard_in = ?4
                     WHERE ({table}.deleted, {table}.life, {table}.heard_in) IS DISTINCT FROM (?2, ?3, ?4)"
            ),
            params![id, effect.deleted, effect.life, effect.heard_in],
        )?;
        Ok(())
    }

    /// Marks the entity as ended while its data is deleted: it leaves no data, and no stamp.
    pub fn end(self, c: &Connection<'_>, id: i64) -> Result<(), Error> {
        let Self { table, key } = self;
        c.execute(
            &format!(
                "UPDATE {table} SET deleted = 1, past_stream = NULL, past_place = NULL WHERE {key} = ?1"
            ),
            params![id],
        )?;
        Ok(())
    }

    /// Takes note that everything the other source published up to `place` is past, where a subscription begins.
    pub async fn begin(self, database: &Database, past: &Past, place: Place) -> Result<(), Error> {
        // First, so that what is written meanwhile has a stamp of its own.
        if !past.begin(place) {
            return Ok(());
        }
        let stamped = database.write(move |c| self.stamp_all(c, place));
        let stamped = stamped.await;
        if stamped.is_err() {
            past.clear();
        }
        stamped
    }
}
