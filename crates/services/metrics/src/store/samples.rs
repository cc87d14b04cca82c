//! The samples as they were recorded.

use crate::sample::{AccountId, Batch, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
use crate::store::endpoints::Packed;
use crate::window::Frame;
use group_commit::{Connection, Error, Parameter, Row, params};

/// Of each endpoint of an account the newest sample in a window.
pub(super) const NEWEST_OF_WINDOW: &str = "
     SELECT at, state, status_code, response_ms, samples.endpoint_id, packed_until, unpacked
     FROM endpoints JOIN samples USING (account_id, endpoint_id)
     WHERE endpoints.account_id = ?1 AND at =
         (SELECT at FROM samples WHERE samples.account_id = endpoints.account_id
              AND samples.endpoint_id = endpoints.endpoint_id AND at >= ?2 AND at < ?3
          ORDER BY at DESC LIMIT 1)
     ORDER BY endpoints.endpoint_id";

/// A sample that is new, or differs from the one that was known of its moment.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) endpoint: EndpointId,
    pub(super) sample: Sample,
    pub(super) replaced: Option<Sample>,
}

/// An endpoint with samples in a frame.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) id: EndpointId,
    pub(super) packed: Packed,
    /// The newest of them.
    pub(super) sample: Sample,
}

/// Stores the batch, and answers which of its samples are new or different, in its order.
///
/// The last one of an endpoint and moment wins, so that a batch that is sent again, after an answer that was lost, counts
/// nothing twice.
pub(super) fn put(c: &Connection<'_>, account: AccountId, batch: &Batch) -> Result<Vec<Stored>, Error> {
    let mut insert = c.prepare(
        "INSERT INTO samples (account_id, endpoint_id, at, state, status_code, response_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    let mut stored = Vec::new();
    for (endpoint, sample) in batch.samples() {
        let row = params![
            account.0,
            endpoint.get(),
            sample.at.0,
            sample.state.as_str(),
            sample.status_code.get(),
            sample.response_ms.get(),
        ];
        let inserted = insert.execute(row)?;
        let mut replaced = None;
        if inserted == 0 {
            let known = of_moment(c, &row[..3])?;
            if known == *sample {
                continue;
            }
            replace(c, row)?;
            replaced = Some(known);
        }
        stored.push(Stored {
            endpoint,
            sample: *sample,
            replaced,
        });
    }
    Ok(stored)
}

/// Takes the columns in the order of the table.
fn replace(c: &Connection<'_>, row: &[&dyn Parameter]) -> Result<(), Error> {
    c.execute(
        "UPDATE samples SET state = ?4, status_code = ?5, response_ms = ?6
         WHERE account_id = ?1 AND endpoint_id = ?2 AND at = ?3",
        row,
    )?;
    Ok(())
}

/// The sample that an account's endpoint has of a moment: these three are its key.
fn of_moment(c: &Connection<'_>, key: &[&dyn Parameter]) -> Result<Sample, Error> {
    c.query_one(
        "SELECT at, state, status_code, response_ms FROM samples
         WHERE account_id = ?1 AND endpoint_id = ?2 AND at = ?3",
        key,
        sample_from,
    )
}

/// The endpoints with samples in the frame, by their ids.
///
/// None for a deleted account, whatever the sweep has not come to yet.
pub(super) fn newest(c: &Connection<'_>, account: AccountId, frame: Frame) -> Result<Vec<Newest>, Error> {
    let parameters = params![account.0, frame.start().0, frame.end().0];
    c.query(NEWEST_OF_WINDOW, parameters, |row| {
        Ok(Newest {
            id: EndpointId::parse(row.get("endpoint_id")?).expect("only positive ids are stored"),
            packed: Packed::from_row(row)?,
            sample: sample_from(row)?,
        })
    })
}

/// By position, not by name: where samples are packed, this runs for every one there is.
pub(super) fn sample_from(row: &Row<'_>) -> Result<Sample, Error> {
    Ok(Sample {
        at: UnixMs(row.get("at")?),
        state: State::parse(Some(row.text("state")?)).expect("only valid states are stored"),
        status_code: StatusCode::parse(row.get("status_code")?).expect("only valid codes are stored"),
        response_ms: ResponseMs::parse(row.get("response_ms")?).expect("only valid times are stored"),
    })
}
