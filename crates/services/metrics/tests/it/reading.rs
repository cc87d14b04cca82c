//! What a reader gets.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use source_tests::{header, version};

use crate::app::{TestApp, sample, sample_at};

#[tokio::test]
async fn a_summary_tells_what_was_recorded() {
    let app = TestApp::spawn().await;
    let at = |minutes| Timestamp::now() - SignedDuration::from_mins(minutes);
    let newest = sample_at(3, at(70), "degraded", 900);
    let samples = [
        sample_at(3, at(250), "up", 100),
        sample_at(3, at(190), "up", 300),
        sample_at(3, at(130), "down", 0),
        newest.clone(),
        sample_at(1, at(75), "down", 0),
    ];
    app.record(7, &samples).await;
    let answer = app.metrics(7, "24h").await;
    assert_eq!(
        (&answer["account_id"], &answer["revision"]),
        (&json!(7), &json!(1))
    );
    let [down, up] = answer["endpoints"].as_array().unwrap().as_slice() else {
        panic!("two endpoints, by id: {answer}");
    };
    let told = ["endpoint_id", "samples", "uptime", "p50_ms", "p95_ms", "p99_ms"];
    assert_eq!(
        told.map(|field| up[field].clone()),
        [
            json!(3),
            json!(4),
            json!(0.75),
            json!(300),
            json!(900),
            json!(900)
        ]
    );
    assert_eq!(
        told.map(|field| down[field].clone()),
        [
            json!(1),
            json!(1),
            json!(0.0),
            json!(null),
            json!(null),
            json!(null)
        ]
    );
    let mut last = newest;
    last.as_object_mut().unwrap().remove("endpoint_id");
    assert_eq!(up["last"], last);
    // An hour lies between the samples, half an hour is a bucket: each has a bucket of its own.
    let points: Vec<_> = up["series"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|point| point["samples"] != 0)
        .map(|point| (point["uptime"].clone(), point["p50_ms"].clone()))
        .collect();
    let expected = [
        (1.0, json!(100)),
        (1.0, json!(300)),
        (0.0, json!(null)),
        (1.0, json!(900)),
    ];
    assert_eq!(points, expected.map(|(uptime, p50)| (json!(uptime), p50)));
    assert_eq!(
        up["series"][0],
        json!({ "samples": 0, "uptime": null, "p50_ms": null })
    );
}

#[tokio::test]
async fn an_account_without_any_event_has_nothing_at_revision_0() {
    let app = TestApp::spawn().await;
    for id in ["7", "0", "-1", "9223372036854775807"] {
        let response = app.get(&format!("/accounts/{id}/metrics")).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(
            (&answer["revision"], &answer["endpoints"], &answer["window"]),
            (&json!(0), &json!([]), &json!("24h"))
        );
    }
}

#[tokio::test]
async fn a_window_ends_with_the_bucket_of_now_and_says_how_long_that_is() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 0, 5)]).await;
    for (window, seconds, bucket) in [("1h", 3_600, 60), ("24h", 86_400, 1_800), ("7d", 604_800, 10_800)] {
        let before = Timestamp::now();
        let response = app.get(&format!("/accounts/7/metrics?window={window}")).await;
        let after = Timestamp::now();
        let valid_for: i64 = header(&response, "valid-for").parse().unwrap();
        let etag = header(&response, "etag").to_owned();
        let answer: Value = response.json().await.unwrap();
        let time = |field: &str| answer[field].as_str().unwrap().parse::<Timestamp>().unwrap();
        let end = time("end");

        assert_eq!(
            (&answer["window"], &answer["bucket_seconds"]),
            (&json!(window), &json!(bucket))
        );
        assert_eq!((end.as_second() % bucket, end.subsec_nanosecond()), (0, 0));
        assert_eq!(end.duration_since(time("start")).as_secs(), seconds);
        assert_eq!(
            answer["endpoints"][0]["series"].as_array().unwrap().len(),
            usize::try_from(seconds / bucket).unwrap()
        );
        // The service's now lies between the two: what it says is the floor of what was left then.
        let left = |now| end.duration_since(now).as_secs();
        assert!(
            (left(after)..=left(before)).contains(&valid_for),
            "{window}: {valid_for}"
        );
        assert!(before < end && valid_for <= bucket);
        assert_eq!(version(&etag).1, 1);
        let tag_end = format!("-v{}-{}\"", metrics::FORM, end.as_second());
        assert!(etag.ends_with(&tag_end), "{etag}");
    }
}

#[tokio::test]
async fn a_window_holds_its_start_and_not_its_end() {
    let app = TestApp::spawn().await;
    let time = |answer: &Value, field: &str| answer[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    let empty = app.metrics(7, "1h").await;
    let (start, end) = (time(&empty, "start"), time(&empty, "end"));
    let millisecond = SignedDuration::from_millis(1);
    let edges = [
        (start - millisecond, 1),
        (start, 2),
        (end - millisecond, 3),
        (end, 4),
    ];
    app.record(7, &edges.map(|(at, ms)| sample_at(1, at, "up", ms)))
        .await;

    // The bucket may have turned since; the answer says which window it is of, and everything follows from that.
    let answer = app.metrics(7, "1h").await;
    let (start, end) = (time(&answer, "start"), time(&answer, "end"));
    let inside: Vec<_> = edges.iter().filter(|(at, _)| start <= *at && *at < end).collect();
    let told = &answer["endpoints"][0];
    assert_eq!(told["samples"], inside.len());
    assert_eq!(told["last"]["response_ms"], inside.last().unwrap().1);
    assert_eq!(told["p50_ms"], inside[0].1);
}

#[tokio::test]
async fn an_endpoint_without_a_sample_in_the_window_is_left_out() {
    let app = TestApp::spawn().await;
    app.record(
        7,
        &[sample(1, 5, 1), sample(2, 120, 1), sample(3, 3 * 24 * 60, 1)],
    )
    .await;
    for (window, expected) in [("1h", vec![1]), ("24h", vec![1, 2]), ("7d", vec![1, 2, 3])] {
        let answer = app.metrics(7, window).await;
        let ids: Vec<_> = answer["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| endpoint["endpoint_id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, expected, "{window}");
    }
}

#[tokio::test]
async fn an_answer_that_is_still_current_is_304_without_a_look_at_the_samples() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 5, 1)]).await;
    let path = "/accounts/7/metrics?window=7d";
    let first = app.get(path).await;
    let etag = header(&first, "etag").to_owned();
    assert_eq!(
        app.get_if_none_match(path, "\"another\"").await.status(),
        200,
        "another answer is not this one"
    );

    app.database()
        .execute_batch("ALTER TABLE samples RENAME TO hidden")
        .unwrap();
    let unchanged = app.get_if_none_match(path, &etag).await;
    assert_eq!(
        (unchanged.status().as_u16(), header(&unchanged, "etag")),
        (304, etag.as_str())
    );
    assert!(header(&unchanged, "valid-for").parse::<u64>().is_ok());
    assert_eq!(app.get(path).await.status(), 500, "the samples are out of reach");
    app.database()
        .execute_batch("ALTER TABLE hidden RENAME TO samples")
        .unwrap();

    app.record(7, &[sample(1, 4, 1)]).await;
    let changed = app.get_if_none_match(path, &etag).await;
    assert_eq!(changed.status(), 200);
    assert_ne!(header(&changed, "etag"), etag);
}

#[tokio::test]
async fn the_window_of_a_day_heeds_conditions_as_the_week_does() {
    let app = TestApp::spawn().await;
    app.record(7, &[sample(1, 5, 1)]).await;
    let read = async |conditions: &[(&str, &str)]| {
        let request = app.request(Method::GET, "/accounts/7/metrics");
        let request = conditions
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), header(&answer, "etag").to_owned())
    };
    loop {
        let (_, current) = read(&[]).await;
        let (same, other) = (&*current, "\"x\"");
        let answers = [
            read(&[("if-none-match", same)]).await,
            read(&[("if-none-match", other)]).await,
            read(&[("if-match", same)]).await,
            read(&[("if-match", other)]).await,
            read(&[("if-none-match", same), ("if-match", other)]).await,
            read(&[]).await,
        ];
        // Unless half an hour ended meanwhile, and with it the window that the tag names.
        if answers.iter().all(|(_, etag)| *etag == current) {
            assert_eq!(answers.map(|(status, _)| status), [304, 200, 200, 412, 412, 200]);
            break;
        }
    }
}

#[tokio::test]
async fn the_service_describes_itself_and_says_that_it_lives() {
    let app = TestApp::spawn().await;
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(metrics::openapi()).unwrap());
    assert!(document["paths"]["/accounts/{id}/samples"]["post"].is_object());
    assert!(document["paths"]["/accounts/{id}/metrics"]["get"].is_object());
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(app.get(path).await.status(), 200, "{path}");
    }
    let ready = app.get("/readyz").await.text().await.unwrap();
    assert!(ready.starts_with("ready; the broker is "), "{ready}");
}
