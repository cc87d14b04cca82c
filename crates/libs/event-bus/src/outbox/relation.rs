//! What this database claimed, and how what the stream says last relates to it.

use group_commit::{Connection, Database, Error, params};

use super::{Acknowledged, Snapshot, snapshot};
use crate::claim::Claim;
use crate::incarnation::{Incarnation, Nonce};

/// Claims kept: more than a database mints in the life of a stream's messages. The oldest are forgotten.
const CLAIMS_KEPT: u32 = 10_000;

/// Stores a claim before it is published: what was published and not stored would be taken for another database's.
pub(crate) async fn store_claim(database: &Database, claim: Claim) -> Result<(), Error> {
    database
        .write(move |transaction| {
            transaction.execute("INSERT INTO claims (claim) VALUES (?1)", params![claim])?;
            transaction.execute(
                "DELETE FROM claims WHERE number <= (SELECT max(number) FROM claims) - ?1",
                params![CLAIMS_KEPT],
            )?;
            Ok(())
        })
        .await
}

/// Counts of another's word: how far a publisher of an incarnation had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) incarnation: Incarnation,
    pub(crate) sequence: u64,
    /// Of that sequence; none if it was not said.
    pub(crate) nonce: Option<Nonce>,
}

/// How what the stream says last relates to this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relation {
    /// The claim was minted by this database.
    pub(crate) own: bool,
    /// This database's history has what was counted. What was counted under one of its former incarnations is void, and
    /// nothing of it is missed.
    pub(crate) has_the_count: bool,
    /// The stream counts fewer changes than it acknowledged to this database: it was deleted, or lost its end.
    pub(crate) stream_lost_some: bool,
}

/// Whether this database ever claimed its source.
pub(crate) async fn has_claimed(database: &Database) -> Result<bool, Error> {
    let any = "SELECT EXISTS (SELECT 1 FROM claims) AS found";
    database
        .read(move |transaction| transaction.query_one(any, params![], |row| row.get("found")))
        .await
}

/// Compares the last words on the stream with this database: who claims, and what was counted.
pub(crate) async fn relation(
    database: &Database,
    claim: Option<Claim>,
    counts: Vec<Count>,
    acknowledged: Option<Acknowledged>,
) -> Result<Relation, Error> {
    database
        .read(move |transaction| relate(transaction, claim, &counts, acknowledged))
        .await
}

fn relate(
    transaction: &Connection<'_>,
    claim: Option<Claim>,
    counts: &[Count],
    acknowledged: Option<Acknowledged>,
) -> Result<Relation, Error> {
    let here = snapshot(transaction, acknowledged, 1)?;
    let published = here
        .rows
        .first()
        .map_or(here.sequence, |waiting| waiting.sequence - 1);
    let of_here = counts
        .iter()
        .filter(|count| count.incarnation == here.incarnation);
    let counted = of_here.map(|count| count.sequence).max().unwrap_or(0);
    let former: Option<bool> = transaction.query_opt(
        "SELECT former FROM claims WHERE claim = ?1",
        params![claim],
        |row| row.get("former"),
    )?;
    // A program of before claims were minted stated none.
    let unclaimed = claim.is_none() && counts.iter().all(|count| count.incarnation == here.incarnation);
    let mut has_the_count = true;
    for &count in counts {
        has_the_count &= former == Some(true) || has(transaction, &here, count)?;
    }
    Ok(Relation {
        own: former.is_some() || unclaimed,
        has_the_count,
        stream_lost_some: counted < published,
    })
}

/// Whether a sequence was given out by this very history.
fn has(transaction: &Connection<'_>, here: &Snapshot, count: Count) -> Result<bool, Error> {
    if count.incarnation != here.incarnation || count.sequence > here.sequence {
        return Ok(false);
    }
    // What is not acknowledged is still in the outbox: a sequence that is neither there nor the last one was published by
    // this very history.
    let pending: Option<Nonce> = transaction.query_opt(
        "SELECT nonce FROM outbox WHERE sequence = ?1",
        params![count.sequence],
        |row| row.get("nonce"),
    )?;
    let nonce = pending.or_else(|| (count.sequence == here.sequence).then_some(here.nonce));
    Ok(nonce.zip(count.nonce).is_none_or(|(here, there)| here == there))
}
