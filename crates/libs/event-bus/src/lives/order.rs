//! The order of events and of incarnations: by their place in the stream, not by when they arrived.

use group_commit::{Connection, Error, Row, params};

use crate::{Incarnation, Place};

/// A [`Place`] that also compares with places in earlier streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// The number of the stream: the later it was first seen, the higher.
    pub(super) stream: i64,
    /// The sequence in the stream.
    pub(super) place: i64,
}

impl Stamp {
    /// Gives the stream a number if it has none.
    pub(super) fn of(c: &Connection<'_>, place: Place) -> Result<Self, Error> {
        c.execute(
            "INSERT INTO streams_heard (created) VALUES (?1) ON CONFLICT DO NOTHING",
            params![place.stream],
        )?;
        let stream = c.query_one(
            "SELECT number FROM streams_heard WHERE created = ?1",
            params![place.stream],
            |row| row.get("number"),
        )?;
        Ok(Self {
            stream,
            place: i64::try_from(place.sequence).unwrap_or(i64::MAX),
        })
    }

    /// From two columns that are NULL together.
    pub(super) fn from_row(row: &Row<'_>, stream: &str, place: &str) -> Result<Option<Self>, Error> {
        let (stream, place): (Option<i64>, Option<i64>) = (row.get(stream)?, row.get(place)?);
        Ok(stream.zip(place).map(|(stream, place)| Self { stream, place }))
    }
}

/// An incarnation of the source's database, and where it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) number: i64,
    /// None: it was received by a version that did not keep places.
    first: Option<Stamp>,
}

impl Begun {
    /// The incarnation of an event at this place. If a replay brings an event from further back, the incarnation begins there.
    pub(super) fn seen(c: &Connection<'_>, incarnation: Incarnation, at: Stamp) -> Result<Self, Error> {
        let incarnation = incarnation.to_string();
        c.execute(
            "INSERT INTO incarnations_heard (incarnation) VALUES (?1) ON CONFLICT DO NOTHING",
            params![incarnation],
        )?;
        c.execute(
            "UPDATE incarnations_heard SET stream = ?2, place = ?3
             WHERE incarnation = ?1 AND (stream IS NULL OR (stream, place) > (?2, ?3))",
            params![incarnation, at.stream, at.place],
        )?;
        c.query_one(
            "SELECT number, stream, place FROM incarnations_heard WHERE incarnation = ?1",
            params![incarnation],
            Self::from_row,
        )
    }

    pub(super) fn numbered(c: &Connection<'_>, number: i64) -> Result<Self, Error> {
        c.query_one(
            "SELECT number, stream, place FROM incarnations_heard WHERE number = ?1",
            params![number],
            Self::from_row,
        )
    }

    /// Whether this one had ended when the other began.
    pub(super) fn is_before(self, other: Self) -> bool {
        match (self.first, other.first) {
            (Some(first), Some(others)) => first < others,
            _ => self.number < other.number,
        }
    }

    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            number: row.get("number")?,
            first: Stamp::from_row(row, "stream", "place")?,
        })
    }
}
