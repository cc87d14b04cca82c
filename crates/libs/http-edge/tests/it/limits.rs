//! Too many, too slow, and broken.

use std::time::Duration;

use http_edge::{EdgeOptions, Readiness};
use test_support::eventually;

use crate::app::{OPTIONS, TestApp};
use crate::observed::Trace;

#[tokio::test]
async fn requests_over_the_limit_are_refused_at_once_and_served_again_after() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let held: Vec<_> = (0..OPTIONS.concurrency)
        .map(|_| tokio::spawn(app.get("/held").send()))
        .collect();

    let refused = eventually(Duration::from_secs(5), async || {
        let response = app.get_in(&trace, "/things/7").await;
        if response.status() == 503 {
            Ok(response)
        } else {
            Err("not all are held yet")
        }
    })
    .await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["trace-id"], trace.id.as_str());
    assert_eq!(app.get("/livez").send().await.unwrap().status(), 200);
    assert!(
        !trace.lines().iter().any(|line| line.starts_with("ERROR")),
        "{:?}",
        trace.lines()
    );

    for request in held {
        app.release.notify_one();
        assert_eq!(request.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(app.get("/things/7").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_ends_as_a_problem_and_gives_its_place_back() {
    let trace = Trace::new();
    let options = EdgeOptions {
        deadline: Duration::from_millis(50),
        concurrency: 1,
        ..OPTIONS
    };
    let app = TestApp::spawn_with(Readiness::always(), options).await;
    let response = app.get_in(&trace, "/never").await;
    assert_eq!(response.status(), 503);
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains("the request took too long")
    );
    assert_eq!(
        trace.lines(),
        [r#"ERROR message=the request failed status=503 route="/never""#]
    );
    assert_eq!(app.get("/things/7").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_service_lives_on() {
    let (app, trace) = (TestApp::spawn().await, Trace::new());
    let response = app.get_in(&trace, "/panic").await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["trace-id"], trace.id.as_str());
    assert!(!response.text().await.unwrap().contains("asked for"));
    assert_eq!(trace.lines(), [""; 0], "the panic hook has the only line");
    assert_eq!(app.get("/things/7").send().await.unwrap().status(), 200);
}
