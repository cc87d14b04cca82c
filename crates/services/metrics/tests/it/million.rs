//! A million samples of one account, from before there were histograms: it is given them, and tells what the samples say.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::TestApp;

const SAMPLES: i64 = 1_000_000;
const ENDPOINTS: i64 = 20;

/// Every sample is a function of its number, written once in SQL and once in Rust.
const INSERT: &str = "
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
    INSERT INTO samples (account_id, endpoint_id, at, state, status_code, response_ms)
    SELECT 7, 1 + i / (?1 / ?2), ?3 + (i % (?1 / ?2)) * 14000,
           CASE i * 7919 % 10 WHEN 0 THEN 'down' WHEN 1 THEN 'degraded' ELSE 'up' END,
           200 + i % 300, i * 7919 % 599999
    FROM n";

struct Row {
    endpoint: i64,
    at: i64,
    down: bool,
    response_ms: i64,
}

fn row(i: i64, first: i64) -> Row {
    let each = SAMPLES / ENDPOINTS;
    Row {
        endpoint: 1 + i / each,
        at: first + (i % each) * 14_000,
        down: i * 7_919 % 10 == 0,
        response_ms: i * 7_919 % 599_999,
    }
}

/// What the definition says of the samples from `start` up to `end`: counted, sorted, and the rank looked up.
fn naive(rows: &[Row], start: i64, end: i64) -> Value {
    let inside: Vec<_> = rows
        .iter()
        .filter(|row| start <= row.at && row.at < end)
        .collect();
    let mut times: Vec<_> = inside
        .iter()
        .filter(|row| !row.down)
        .map(|row| row.response_ms)
        .collect();
    times.sort_unstable();
    let rank = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100);
        rank.checked_sub(1).map(|index| times[index])
    };
    let share = |part: usize, whole: usize| {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
    };
    let told = json!({
        "samples": inside.len(),
        "uptime": (!inside.is_empty()).then(|| share(times.len(), inside.len())),
        "p50_ms": rank(50), "p95_ms": rank(95), "p99_ms": rank(99),
    });
    // As it looks after it was text once: the parser may miss a number's last bit.
    serde_json::from_str(&told.to_string()).unwrap()
}

fn assert_same(told: &Value, expected: &Value, fields: &[&str]) {
    for field in fields {
        assert_eq!(told[field], expected[field], "{field}");
    }
}

#[tokio::test]
async fn a_million_samples_are_summarised_as_counting_them_would() {
    let app = TestApp::spawn().await;
    // Eight days and a bit, so that the oldest of them are outside of the widest window.
    let first = Timestamp::now().as_millisecond() - SAMPLES / ENDPOINTS * 14_000;
    let mut database = app.database();
    let transaction = database.transaction().unwrap();
    transaction
        .execute_batch(
            "INSERT INTO accounts (account_id, revision) VALUES (7, 1000);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO endpoints (account_id, endpoint_id, unpacked) SELECT 7, i, 50000 FROM n;",
        )
        .unwrap();
    let inserted = transaction.execute(INSERT, [SAMPLES, ENDPOINTS, first]).unwrap();
    assert_eq!(i64::try_from(inserted).unwrap(), SAMPLES);
    transaction.commit().unwrap();
    let app = app.respawn(&[]).await;

    let answer = app.metrics(7, "7d").await;
    assert_eq!(answer["revision"], 1000);
    let time = |field: &str| answer[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let (start, end) = (time("start").as_millisecond(), time("end").as_millisecond());
    let endpoints = answer["endpoints"].as_array().unwrap();
    assert_eq!(i64::try_from(endpoints.len()).unwrap(), ENDPOINTS);
    let each = SAMPLES / ENDPOINTS;
    for (endpoint, told) in (0..).zip(endpoints) {
        let rows: Vec<_> = (endpoint * each..(endpoint + 1) * each)
            .map(|i| row(i, first))
            .collect();
        assert_eq!(told["endpoint_id"], rows[0].endpoint);
        let expected = naive(&rows, start, end);
        assert!(expected["samples"].as_u64().unwrap() > 40_000);
        assert_same(
            told,
            &expected,
            &["samples", "uptime", "p50_ms", "p95_ms", "p99_ms"],
        );
        assert_eq!(told["last"]["response_ms"], rows.last().unwrap().response_ms);
    }

    let bucket = answer["bucket_seconds"].as_i64().unwrap() * 1_000;
    let rows: Vec<_> = (0..each).map(|i| row(i, first)).collect();
    let series = endpoints[0]["series"].as_array().unwrap();
    for (from, point) in (start..end).step_by(usize::try_from(bucket).unwrap()).zip(series) {
        let expected = naive(&rows, from, from + bucket);
        assert_same(point, &expected, &["samples", "uptime", "p50_ms"]);
    }
}
