//! What a stream lost before endpoints and metrics received it: accounts publishes it again.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use stack::{Source, Stack, database_files};
use test_support::eventually;

const LONG: Duration = Duration::from_secs(20);

/// An account with an endpoint and a sample.
async fn account(stack: &Stack) -> u64 {
    let id = stack.create_account("a").await;
    let endpoint = stack.add_endpoint(id, "Home", "https://example.org/").await;
    stack.record(id, endpoint, 5).await;
    id
}

/// The page shows all its fragments, and this many endpoints.
async fn until_whole(stack: &Stack, id: u64, endpoints: usize) {
    eventually(LONG, async || {
        let page = stack.page(0, id).await;
        let shown = page.body["endpoints"]["endpoints"].as_array().map(Vec::len);
        let whole = page.body["missing"] == json!([]) && page.body["stale"] == json!([]);
        (whole && shown == Some(endpoints))
            .then_some(())
            .ok_or(page.body.to_string())
    })
    .await;
}

/// The stream is gone, and with it what endpoints and metrics have not received.
async fn lose_the_stream(stack: &mut Stack) {
    stack.nats.kill();
    stack.nats.wipe();
    stack.nats.restart();
    stack.restart(&[Source::Endpoints, Source::Metrics]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_the_stream_lost_is_told_again() {
    let mut stack = Stack::start().await;
    let id = account(&stack).await;
    until_whole(&stack, id, 1).await;
    stack.kill(&[Source::Endpoints, Source::Metrics]).await;
    let before = stack.applied(0, Source::Accounts).await;
    stack.delete_account(id).await;
    stack.until_applied(0, Source::Accounts, before).await;
    lose_the_stream(&mut stack).await;
    stack.until_forgotten(id).await;
    let sample = json!({ "endpoint_id": 1, "state": "up", "status_code": 200, "response_ms": 5 });
    let samples = stack.sources[Source::Metrics].url(&format!("/accounts/{id}/samples"));
    eventually(LONG, async || {
        let refused = reqwest::Client::new()
            .post(&samples)
            .json(&json!({ "samples": [sample] }));
        let refused = refused.send().await.unwrap().status();
        (refused == StatusCode::CONFLICT).then_some(()).ok_or(refused)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_account_whose_creation_the_stream_lost_nothing_stays_missing() {
    let mut stack = Stack::start().await;
    let id = account(&stack).await;
    until_whole(&stack, id, 1).await;
    stack.kill(&[Source::Endpoints, Source::Metrics]).await;
    // Accounts begins anew, and gives the id out again.
    stack.sources[Source::Accounts].kill().await;
    for file in database_files(&stack.database(Source::Accounts)) {
        let _ = std::fs::remove_file(file);
    }
    stack.sources[Source::Accounts].restart(|_| {}).await;
    let before = stack.applied(0, Source::Accounts).await;
    assert_eq!(stack.create_account("b").await, id);
    stack.until_applied(0, Source::Accounts, before).await;
    lose_the_stream(&mut stack).await;
    until_whole(&stack, id, 0).await;
}
