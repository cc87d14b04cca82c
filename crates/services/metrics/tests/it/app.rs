//! The metrics service as a test starts it; its methods are a user's verbs.

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::Running;

source_tests::service!(Metrics, metrics);

pub(crate) type TestApp = Running<Metrics>;

impl Metrics {
    pub(crate) async fn post(&self, account: i64, body: &Value) -> Response {
        let path = format!("/accounts/{account}/samples");
        self.send(Method::POST, &path, body).await
    }

    /// Records the samples and returns the answer's body.
    pub(crate) async fn record(&self, account: i64, samples: &[Value]) -> Value {
        let response = self.post(account, &json!({ "samples": samples })).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        body
    }

    /// The account's metrics in the window, as JSON.
    pub(crate) async fn metrics(&self, account: i64, window: &str) -> Value {
        let response = self
            .get(&format!("/accounts/{account}/metrics?window={window}"))
            .await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// The samples that the widest window holds.
    pub(crate) async fn count(&self, account: i64) -> u64 {
        let answer = self.metrics(account, "7d").await;
        let endpoints = answer["endpoints"].as_array().unwrap();
        endpoints
            .iter()
            .map(|endpoint| endpoint["samples"].as_u64().unwrap())
            .sum()
    }
}

/// A sample of the endpoint, so many minutes ago, that was up.
pub(crate) fn sample(endpoint: i64, minutes_ago: i64, response_ms: u32) -> Value {
    let at = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
    sample_at(endpoint, at, "up", response_ms)
}

pub(crate) fn sample_at(endpoint: i64, at: Timestamp, state: &str, response_ms: u32) -> Value {
    let status_code = if state == "down" { 0 } else { 200 };
    json!({
        "endpoint_id": endpoint, "at": format!("{at:.3}"), "state": state,
        "status_code": status_code, "response_ms": response_ms,
    })
}
