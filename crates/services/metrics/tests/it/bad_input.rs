//! Each kind of bad input gets a clear problem and changes nothing.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use source_tests::header;

use crate::app::{TestApp, sample};

async fn refused(app: &TestApp, body: &Value) -> (u16, Value) {
    let response = app.post(7, body).await;
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    (response.status().as_u16(), response.json().await.unwrap())
}

fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().expect("fields are named");
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}

async fn assert_untouched(app: &TestApp) {
    assert_eq!(app.metrics(7, "7d").await["revision"], 0, "nothing was recorded");
}

#[tokio::test]
async fn every_wrong_field_is_named_with_its_index_and_nothing_is_recorded() {
    let app = TestApp::spawn().await;
    let body = json!({ "samples": [
        sample(1, 1, 1),
        { "endpoint_id": 0, "at": "yesterday", "state": "UP", "status_code": 600, "response_ms": -1 },
        sample(2, 1, 1),
        {},
        { "endpoint_id": 1, "at": null, "state": "up", "status_code": 200, "response_ms": 600_001 },
    ]});
    let (status, problem) = refused(&app, &body).await;
    assert_eq!(
        (status, &problem["type"]),
        (422, &json!("/problems/invalid-fields"))
    );
    let expected = [
        "samples[1].endpoint_id",
        "samples[1].at",
        "samples[1].state",
        "samples[1].status_code",
        "samples[1].response_ms",
        "samples[3].endpoint_id",
        "samples[3].state",
        "samples[3].status_code",
        "samples[3].response_ms",
        "samples[4].at",
        "samples[4].response_ms",
    ];
    assert_eq!(fields(&problem), expected);
    assert_untouched(&app).await;
}

#[tokio::test]
async fn hostile_values_are_refused_field_by_field() {
    let app = TestApp::spawn().await;
    let ahead = Timestamp::now() + SignedDuration::from_secs(70);
    let huge = 1_u64 << 63;
    let cases = [
        (
            "endpoint_id",
            vec![
                json!(-1),
                json!(i64::MIN),
                json!(huge),
                json!(1.5),
                json!(1e300),
                json!("1"),
                json!([1]),
            ],
        ),
        (
            "status_code",
            vec![
                json!(-1),
                json!(65_736),
                json!(huge),
                json!(200.5),
                json!("200"),
                json!(true),
                json!(null),
            ],
        ),
        (
            "response_ms",
            vec![
                json!(-1),
                json!(4_294_967_297_i64),
                json!(u64::MAX),
                json!(-1e300),
                json!("5"),
                json!({}),
            ],
        ),
        (
            "state",
            vec![
                json!("UP"),
                json!(""),
                json!("up "),
                json!("x".repeat(10_000)),
                json!(1),
                json!(null),
            ],
        ),
        (
            "at",
            vec![
                json!(format!("{ahead}")),
                json!("9999-12-31T00:00:00Z"),
                json!("+999999-01-01T00:00:00Z"),
                json!("2026-02-30T00:00:00Z"),
                json!("2026-01-01T00:00:00"),
                json!(1_767_225_600),
                json!(""),
                json!(null),
            ],
        ),
    ];
    for (field, values) in cases {
        for value in values {
            let mut wrong = sample(1, 1, 1);
            wrong[field] = value.clone();
            let (status, problem) = refused(&app, &json!({ "samples": [wrong] })).await;
            assert_eq!(status, 422, "{field}: {value}");
            assert_eq!(fields(&problem), [format!("samples[0].{field}")], "{value}");
        }
    }
    assert_untouched(&app).await;
}

#[tokio::test]
async fn extreme_values_that_are_allowed_come_back_as_they_were() {
    let app = TestApp::spawn().await;
    let extreme = json!({
        "endpoint_id": i64::MAX, "state": "degraded", "status_code": 599, "response_ms": 600_000
    });
    let ancient = json!({
        "endpoint_id": 1, "at": "0000-01-01T00:00:00Z", "state": "down", "status_code": 0, "response_ms": 0
    });
    let response = app
        .post(i64::MAX, &json!({ "samples": [extreme, ancient] }))
        .await;
    assert_eq!(response.status(), 201);
    let answer = app.metrics(i64::MAX, "24h").await;
    let told = &answer["endpoints"][0];
    assert_eq!(
        (
            &told["endpoint_id"],
            &told["p99_ms"],
            &told["last"]["status_code"]
        ),
        (&json!(i64::MAX), &json!(600_000), &json!(599))
    );
}

#[tokio::test]
async fn a_batch_holds_1_to_1000_samples() {
    let app = TestApp::spawn().await;
    let batch = |size: i64| {
        let samples: Vec<_> = (0..size).map(|minutes| sample(1, minutes, 600_000)).collect();
        json!({ "samples": samples })
    };
    for size in [0, 1_001] {
        let (status, problem) = refused(&app, &batch(size)).await;
        assert_eq!((status, fields(&problem)), (422, vec!["samples"]), "{size}");
    }
    assert_untouched(&app).await;
    let response = app.post(7, &batch(1_000)).await;
    let recorded: Value = response.json().await.unwrap();
    assert_eq!(recorded["recorded"], 1_000);
}

#[tokio::test]
async fn a_body_that_is_not_the_json_asked_for_is_refused() {
    let app = TestApp::spawn().await;
    let mut unknown = sample(1, 1, 1);
    unknown["stat"] = json!("typo");
    for body in [
        json!({}),
        json!([]),
        json!({ "samples": {} }),
        json!({ "samples": [unknown] }),
    ] {
        assert_eq!(refused(&app, &body).await.0, 422, "{body}");
    }
    let send = async |body: String, content_type: &str| {
        let request = app
            .request(Method::POST, "/accounts/7/samples")
            .header("content-type", content_type)
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "content-type"), "application/problem+json");
        response.status().as_u16()
    };
    assert_eq!(send("{".to_owned(), "application/json").await, 400);
    assert_eq!(
        send(
            r#"{"samples":[{"response_ms":1e999}]}"#.to_owned(),
            "application/json"
        )
        .await,
        400
    );
    assert_eq!(send(r#"{"samples":[]}"#.to_owned(), "text/plain").await, 415);
    let large = format!(r#"{{"samples":[{{"state":"{}"}}]}}"#, "x".repeat(1 << 19));
    assert_eq!(send(large, "application/json").await, 413);
    assert_untouched(&app).await;
}

#[tokio::test]
async fn a_path_or_query_that_cannot_be_read_is_refused() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/accounts/seven/metrics").await.status(), 400);
    assert_eq!(
        app.get("/accounts/99999999999999999999/metrics").await.status(),
        400
    );
    assert_eq!(app.get("/accounts/7/metrics?windows=1h").await.status(), 400);
    for window in ["2h", "", "1H", "24h%20"] {
        let response = app.get(&format!("/accounts/7/metrics?window={window}")).await;
        assert_eq!(response.status(), 422, "{window}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(fields(&problem), ["window"]);
    }
    for id in [0, -7] {
        let response = app.post(id, &json!({ "samples": [sample(1, 1, 1)] })).await;
        assert_eq!(response.status(), 422);
        assert_eq!(fields(&response.json().await.unwrap()), ["id"]);
    }
    assert_eq!(app.get("/nothing/here").await.status(), 404);
    assert_eq!(app.get("/accounts/7/samples").await.status(), 405);
}

#[tokio::test]
async fn a_time_is_taken_if_the_grammar_of_rfc_3339_has_it_and_only_then() {
    let app = TestApp::spawn().await;
    let post = async |at: &str| {
        let mut sample = sample(1, 1, 1);
        sample["at"] = json!(at);
        app.post(7, &json!({ "samples": [sample] })).await
    };
    for at in [
        "2026-01-28T15Z",
        "2026-01-28T15:45Z",
        "20260128T154505Z",
        "2026-01-28 15:45:05Z",
        "2026-01-28T15:45:05,5Z",
        "2026-01-28T15:45:05+01:00[Europe/Berlin]",
        "2026-01-28T15:45:05+01",
        "2026-01-28T15:45:60Z",
        "-000001-01-28T15:45:05Z",
        "2026-01-28T24:00:00Z",
    ] {
        let refused = post(at).await;
        assert_eq!(refused.status(), 422, "{at}");
        assert_eq!(fields(&refused.json().await.unwrap()), ["samples[0].at"], "{at}");
    }
    assert_untouched(&app).await;
    for at in [
        "2026-01-28T15:45:05.1234567890123Z",
        "2026-01-28t15:45:06z",
        "2026-01-28T15:45:07-00:00",
        "2016-12-31T23:59:60Z",
    ] {
        assert_eq!(post(at).await.status(), 201, "{at}");
    }
    // In the last hour, and by the millisecond, whatever comes behind that.
    let now = Timestamp::now() - SignedDuration::from_mins(1);
    assert_eq!(post(&format!("{now:.12}")).await.status(), 201);
    let told = app.metrics(7, "1h").await["endpoints"][0]["last"]["at"].clone();
    let expected = Timestamp::from_millisecond(now.as_millisecond()).unwrap();
    assert_eq!(told, json!(format!("{expected:.3}")));
}
