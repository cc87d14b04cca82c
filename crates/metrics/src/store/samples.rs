//! The samples as they were recorded.

use rusqlite::{Connection, Row, params};

use crate::error::StoreError;
use crate::sample::{AccountId, Batch, EndpointId, ResponseMs, Sample, State, StatusCode, UnixMs};
use crate::store::histograms::Changes;
use crate::window::Frame;

pub(super) const NEWEST_OF_WINDOW: &str = "SELECT at, state, status_code, response_ms, samples.endpoint_id
     FROM endpoints JOIN samples USING (account_id, endpoint_id)
     WHERE endpoints.account_id = ?1 AND at =
         (SELECT at FROM samples WHERE samples.account_id = endpoints.account_id
              AND samples.endpoint_id = endpoints.endpoint_id AND at >= ?2 AND at < ?3
          ORDER BY at DESC LIMIT 1)
     ORDER BY endpoints.endpoint_id";

/// Stores the batch, and answers how many of its samples are new or different, and what that changes in the histograms.
///
/// The last one of an endpoint and moment wins, so that a batch that is sent again, after an answer that was lost, counts
/// nothing twice.
pub(super) fn put(c: &Connection, account: AccountId, batch: &Batch) -> Result<(usize, Changes), StoreError> {
    let mut stored = 0;
    let mut changes = Changes::default();
    let mut insert = c.prepare_cached(
        "INSERT INTO samples (account_id, endpoint_id, at, state, status_code, response_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    for (endpoint, sample) in batch.samples() {
        let inserted = insert.execute(params![
            account.0,
            endpoint.get(),
            sample.at.0,
            sample.state.as_str(),
            sample.status_code.get(),
            sample.response_ms.get(),
        ])?;
        if inserted == 0 {
            let known = of_moment(c, account, endpoint, sample.at)?;
            if known == *sample {
                continue;
            }
            replace(c, account, endpoint, sample)?;
            changes.remove(endpoint, &known);
        }
        changes.add(endpoint, sample);
        stored += 1;
    }
    Ok((stored, changes))
}

fn replace(
    c: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    sample: &Sample,
) -> Result<(), StoreError> {
    c.prepare_cached(
        "UPDATE samples SET state = ?4, status_code = ?5, response_ms = ?6
         WHERE account_id = ?1 AND endpoint_id = ?2 AND at = ?3",
    )?
    .execute(params![
        account.0,
        endpoint.get(),
        sample.at.0,
        sample.state.as_str(),
        sample.status_code.get(),
        sample.response_ms.get(),
    ])?;
    Ok(())
}

fn of_moment(
    c: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    at: UnixMs,
) -> Result<Sample, StoreError> {
    let sample = c
        .prepare_cached(
            "SELECT at, state, status_code, response_ms FROM samples
             WHERE account_id = ?1 AND endpoint_id = ?2 AND at = ?3",
        )?
        .query_row([account.0, endpoint.get(), at.0], sample_from)?;
    Ok(sample)
}

/// Of each endpoint with samples in the frame the newest, by the endpoints' ids.
///
/// None for a deleted account, whatever the sweep has not come to yet.
pub(super) fn newest(
    c: &Connection,
    account: AccountId,
    frame: Frame,
) -> Result<Vec<(EndpointId, Sample)>, StoreError> {
    let newest = c
        .prepare_cached(NEWEST_OF_WINDOW)?
        .query_map([account.0, frame.start().0, frame.end().0], |row| {
            let endpoint = EndpointId::parse(row.get(4)?).expect("only positive ids are stored");
            Ok((endpoint, sample_from(row)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(newest)
}

/// Calls with every sample of the endpoint, the oldest first.
pub(super) fn each(
    c: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    mut call: impl FnMut(Sample) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT at, state, status_code, response_ms FROM samples
         WHERE account_id = ?1 AND endpoint_id = ?2 ORDER BY at",
    )?;
    let mut rows = statement.query([account.0, endpoint.get()])?;
    while let Some(row) = rows.next()? {
        call(sample_from(row)?)?;
    }
    Ok(())
}

/// By position, not by name: where histograms are filled, this runs for every sample there is.
pub(super) fn sample_from(row: &Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        at: UnixMs(row.get(0)?),
        state: State::parse(row.get_ref(1)?.as_str().ok()).expect("only valid states are stored"),
        status_code: StatusCode::parse(row.get(2)?).expect("only valid codes are stored"),
        response_ms: ResponseMs::parse(row.get(3)?).expect("only valid times are stored"),
    })
}
