//! Sources that are down, slow, wrong or talkative: each costs its fragment of the page, never the page.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::eventually;
use tokio::net::TcpListener;

use crate::app::{LONG, TestApp, header};
use crate::fake_source::Behaviour;

/// Reads the page and asserts that metrics, and only metrics, is missing for the reason given.
async fn assert_metrics_missing(app: &TestApp, reason: &str) {
    let html = app.get("/accounts/1").await;
    assert_eq!(html.status(), 200);
    assert_eq!(
        header(&html, "cache-status"),
        "page; fwd=miss; stored; detail=\"metrics missing\"",
        "{reason}"
    );
    let html = html.text().await.unwrap();
    assert!(
        html.contains("<strong>metrics</strong>") && html.contains(reason),
        "{reason} is not in {html}"
    );
    assert!(
        html.contains("Fjord Hosting") && html.contains("Front page"),
        "{html}"
    );
    assert!(
        !html.contains("never checked"),
        "what is not known is not said: {html}"
    );

    let json = app.json().await;
    assert_eq!((&json["metrics"], &json["stale"]), (&Value::Null, &json!([])));
    assert_eq!(json["missing"][0]["source"], "metrics");
    assert!(
        json["missing"][0]["reason"].as_str().unwrap().contains(reason),
        "{json}"
    );
}

#[tokio::test]
async fn a_source_that_answers_in_a_wrong_way_costs_its_fragment() {
    let other_account = r#"{"account_id":2,"window":"24h","start":"2026-11-21T21:00:00.000Z",
        "end":"2026-11-22T21:00:00.000Z","bucket_seconds":1800,"endpoints":[]}"#;
    for (behaviour, reason) in [
        (Behaviour::Status(500), "answered 500"),
        (Behaviour::Status(404), "answered 404"),
        (Behaviour::Status(304), "answered 304"),
        (Behaviour::Status(302), "answered 302"),
        (Behaviour::Body("<html>".to_owned()), "was not understood"),
        (Behaviour::Body("{}".to_owned()), "was not understood"),
        (Behaviour::Body(other_account.to_owned()), "answered about 2"),
        (Behaviour::StrangeTag, "was not understood"),
    ] {
        let app = TestApp::spawn().await;
        app.metrics.behave(behaviour);
        assert_metrics_missing(&app, reason).await;
    }
}

#[tokio::test]
async fn a_source_that_is_too_slow_costs_its_fragment() {
    let app = TestApp::spawn_with(&["--metrics-deadline-ms=50"]).await;
    app.metrics.behave(Behaviour::Never);
    assert_metrics_missing(&app, "did not answer within 50 ms").await;
    let other = app.get("/accounts/1?window=1h").await.text().await.unwrap();
    let why = "is not called for the moment: it did not answer within 50 ms";
    assert!(other.contains(why), "{why} is not in {other}");
}

#[tokio::test]
async fn a_source_that_says_too_much_costs_its_fragment() {
    let app = TestApp::spawn_with(&["--upstream-body-limit=4096"]).await;
    app.metrics
        .behave(Behaviour::Body(format!("\"{}\"", "x".repeat(4096))));
    assert_metrics_missing(&app, "answered more than 4096 bytes").await;
}

#[tokio::test]
async fn a_source_that_is_not_there_costs_its_fragment() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("--metrics-url=http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = TestApp::spawn_with(&[&nobody]).await;
    assert_metrics_missing(&app, "cannot be reached").await;
}

#[tokio::test]
async fn without_the_account_the_others_are_shown() {
    let app = TestApp::spawn().await;
    app.accounts.behave(Behaviour::Status(503));
    let page = app.html().await;
    assert!(
        page.contains("<h1>Account 1</h1>") && page.contains("Front page"),
        "{page}"
    );
    assert!(
        page.contains("The name and the description are missing."),
        "{page}"
    );
}

#[tokio::test]
async fn without_the_list_the_measurements_are_shown_under_their_ids() {
    let app = TestApp::spawn().await;
    app.endpoints.behave(Behaviour::Status(503));
    let page = app.html().await;
    assert!(page.contains("Endpoint 4") && page.contains("97.91 %"), "{page}");
}

#[tokio::test]
async fn the_last_known_fragment_is_shown_and_marked() {
    let app = TestApp::spawn().await;
    app.metrics.hold_for(0);
    let whole = app.get("/accounts/1").await;
    app.metrics.behave(Behaviour::Status(500));
    let page = app.get("/accounts/1").await;
    assert_eq!(
        header(&page, "cache-status"),
        "page; fwd=stale; stored; detail=\"metrics stale\""
    );
    assert_eq!(
        header(&page, "fresh-as-of"),
        header(&whole, "fresh-as-of"),
        "no fresher than what it shows"
    );
    assert_ne!(
        header(&page, "etag"),
        header(&whole, "etag"),
        "another page: it says what is wrong"
    );
    let text = page.text().await.unwrap();
    assert!(
        text.contains("97.91 %") && text.contains("What it last said, revision 1, is shown."),
        "{text}"
    );
    let json = app.json().await;
    assert_eq!(
        (&json["missing"], &json["stale"][0]["source"]),
        (&json!([]), &json!("metrics"))
    );
    assert_eq!(json["metrics"]["revision"], 1);
}

#[tokio::test]
async fn a_source_that_comes_back_is_back_on_the_page() {
    let app = TestApp::spawn().await;
    app.metrics.behave(Behaviour::Status(500));
    assert_eq!(app.json().await["missing"][0]["source"], "metrics");
    app.metrics.behave(Behaviour::Well);
    eventually(LONG, async || {
        let page = app.json().await;
        if page["missing"] == json!([]) && page["metrics"]["revision"] == 1 {
            Ok(())
        } else {
            Err(page.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn a_source_that_fails_at_once_is_not_asked_by_every_reader() {
    let app = TestApp::spawn().await;
    app.metrics.behave(Behaviour::Status(500));
    app.json().await;
    let began = std::time::Instant::now();
    let asked = app.metrics.asked().len();
    let mut reads = 0;
    while began.elapsed() < Duration::from_millis(2500) {
        let page = app.json().await;
        assert_eq!(page["missing"][0]["source"], "metrics");
        reads += 1;
    }
    let asked = app.metrics.asked().len() - asked;
    // Once a second, however many read.
    assert!(reads > 20, "{reads} reads");
    assert!((1..=3).contains(&asked), "{asked} requests for {reads} reads");
}

#[tokio::test]
async fn with_nothing_to_show_the_reader_is_told_to_come_back() {
    let app = TestApp::spawn().await;
    for source in app.sources() {
        source.behave(Behaviour::Status(500));
    }
    let page = app.get("/accounts/1").await;
    assert_eq!((page.status().as_u16(), header(&page, "retry-after")), (503, "1"));
    assert!(header(&page, "cache-status").contains("accounts missing, endpoints missing, metrics missing"));
    let text = page.text().await.unwrap();
    assert!(
        text.contains("This page cannot be shown now") && text.contains("Metrics answered 500"),
        "{text}"
    );

    let problem = app
        .request("/accounts/1")
        .header("accept", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (problem.status().as_u16(), header(&problem, "retry-after")),
        (503, "1")
    );
    let problem: Value = problem.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/nothing-to-show");
}

#[tokio::test]
async fn a_source_that_let_a_deadline_pass_is_not_waited_for_by_every_reader() {
    let app = TestApp::spawn_with(&["--metrics-deadline-ms=50"]).await;
    app.metrics.behave(Behaviour::Never);
    for _ in 0..20 {
        assert_eq!(app.json().await["missing"][0]["source"], "metrics");
    }
    let asked = app.metrics.asked().len();
    assert!(asked < 10, "20 readers, one a second may ask: {asked} did");
}
