//! What `/metrics` says of requests.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::routing::{any, get};
use http_edge::{EdgeOptions, Path, Readiness};
use test_support::eventually;
use tower::ServiceExt as _;

use crate::app::TestApp;
use crate::observed::Trace;

async fn ask(router: &Router, method: &str, path: &str) -> u16 {
    let request = Request::builder().method(method).uri(path);
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap());
    response.await.unwrap().status().as_u16()
}

async fn metrics(router: &Router) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

/// How many requests with all of these labels were measured, and nothing else of them is labelled so.
fn count(metrics: &str, labels: &[&str]) -> Option<u64> {
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("http_server_request_duration_seconds_count{"));
    let mut counts = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    let count = counts.next()?;
    assert_eq!(counts.next(), None, "{labels:?}");
    Some(count.rsplit(' ').next()?.parse().unwrap())
}

fn edge(router: Router) -> Router {
    let _providers_first = Trace::new();
    http_edge::edge(router, Readiness::always(), EdgeOptions::default())
}

#[tokio::test]
async fn each_way_to_end_is_counted_by_itself_however_many_there_are() {
    let answer = async |Path(code): Path<u16>| axum::http::StatusCode::from_u16(code).unwrap();
    let router = edge(Router::new().route("/measured/{code}", any(answer)));
    for _ in 0..3 {
        for code in 400..420 {
            ask(&router, "GET", &format!("/measured/{code}")).await;
        }
        ask(&router, "PUT", "/measured/503").await;
    }
    let text = metrics(&router).await;
    let route = r#"http_route="/measured/{code}""#;
    for code in 400..420 {
        let labels = [
            route,
            &format!(r#"http_response_status_code="{code}""#),
            r#"method="GET""#,
        ];
        assert_eq!(count(&text, &labels), Some(3), "{code}");
    }
    let failed = [
        route,
        r#"method="PUT""#,
        r#"error_type="503""#,
        r#"protocol_version="1.1""#,
    ];
    assert_eq!(count(&text, &failed), Some(3));
}

#[tokio::test]
async fn a_router_in_two_places_is_counted_by_place() {
    let router = edge(Router::new().route("/twice", get(async || "here")));
    let router = Router::new().nest("/a", router.clone()).nest("/b", router);
    for path in ["/a/twice", "/b/twice", "/b/twice"] {
        assert_eq!(ask(&router, "GET", path).await, 200);
    }
    let text = telemetry::prometheus_text();
    let counts = ["/a/twice", "/b/twice"].map(|route| count(&text, &[&format!(r#"http_route="{route}""#)]));
    assert_eq!(counts, [Some(1), Some(2)]);
}

#[tokio::test]
async fn requests_under_way_are_counted_by_method() {
    let app = TestApp::spawn().await;
    // No other test uses OPTIONS: the metrics are the process's.
    let under_way = |text: &str| {
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with("http_server_active_requests{"));
        let line = lines.find(|line| line.contains(r#"http_request_method="OPTIONS""#))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    assert_eq!(under_way(&telemetry::prometheus_text()), None);
    let request = app.client.request(reqwest::Method::OPTIONS, app.url("/never"));
    let request = tokio::spawn(request.send());
    until(|| under_way(&telemetry::prometheus_text()) == Some(1)).await;
    request.abort();
    until(|| under_way(&telemetry::prometheus_text()) == Some(0)).await;
}

async fn until(holds: impl Fn() -> bool) {
    eventually(Duration::from_secs(5), async || {
        holds().then_some(()).ok_or("not yet")
    })
    .await;
}
