//! A summary by its definition: every sample of the window is read, counted and sorted.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

const SAMPLES: &str = "SELECT at, state, status_code, response_ms FROM samples
     WHERE account_id = 7 AND endpoint_id = ?1 AND at >= ?2 AND at < ?3 ORDER BY at";

struct Row {
    at: i64,
    state: String,
    status_code: i64,
    response_ms: i64,
}

/// What is told of the endpoints with samples from `start` up to `end`, in the form in which the service tells it.
pub(crate) fn endpoints(database: &Path, start: i64, end: i64, bucket_ms: i64) -> Vec<Value> {
    let connection = Connection::open(database).unwrap();
    let mut enrolled = connection
        .prepare("SELECT endpoint_id FROM endpoints WHERE account_id = 7 ORDER BY endpoint_id")
        .unwrap();
    let mut samples = connection.prepare(SAMPLES).unwrap();
    let mut told = Vec::new();
    for endpoint in enrolled.query_map([], |row| row.get(0)).unwrap() {
        let endpoint: i64 = endpoint.unwrap();
        let rows: Vec<_> = samples
            .query_map([endpoint, start, end], |row| {
                Ok(Row {
                    at: row.get(0)?,
                    state: row.get(1)?,
                    status_code: row.get(2)?,
                    response_ms: row.get(3)?,
                })
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        if !rows.is_empty() {
            told.push(of_endpoint(endpoint, &rows, start, end, bucket_ms));
        }
    }
    told
}

fn of_endpoint(endpoint: i64, rows: &[Row], start: i64, end: i64, bucket_ms: i64) -> Value {
    let last = rows.last().unwrap();
    let at = jiff::Timestamp::from_millisecond(last.at).unwrap();
    let mut series = Vec::new();
    let mut rest = rows;
    for bucket_end in (start..end)
        .step_by(usize::try_from(bucket_ms).unwrap())
        .map(|from| from + bucket_ms)
    {
        let inside;
        (inside, rest) = rest.split_at(rest.partition_point(|row| row.at < bucket_end));
        let times = answered(inside);
        series.push(
            json!({ "samples": inside.len(), "uptime": share(&times, inside), "p50_ms": rank(&times, 50) }),
        );
    }
    let times = answered(rows);
    json!({
        "endpoint_id": endpoint, "samples": rows.len(), "uptime": share(&times, rows),
        "p50_ms": rank(&times, 50), "p95_ms": rank(&times, 95), "p99_ms": rank(&times, 99),
        "last": {
            "at": format!("{at:.3}"), "state": last.state, "status_code": last.status_code,
            "response_ms": last.response_ms,
        },
        "series": series,
    })
}

fn answered(rows: &[Row]) -> Vec<i64> {
    let mut times: Vec<_> = rows
        .iter()
        .filter(|row| row.state != "down")
        .map(|row| row.response_ms)
        .collect();
    times.sort_unstable();
    times
}

/// The value at rank ⌈percent · n / 100⌉.
fn rank(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (percent * sorted.len()).div_ceil(100);
    Some(sorted[rank.checked_sub(1)?])
}

fn share(times: &[i64], rows: &[Row]) -> Option<f64> {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap());
    (!rows.is_empty()).then(|| count(times.len()) / count(rows.len()))
}
