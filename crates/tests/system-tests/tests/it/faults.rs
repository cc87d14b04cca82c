//! Processes that are killed, and what is lost then: nothing.

use std::time::Duration;

use serde_json::Value;
use stack::{Page, Source, Stack};

/// Reads until the page has this name. For after an outage: how long it takes to receive events again is not promised here.
async fn until_named(stack: &Stack, id: u64, name: &str) -> Page {
    test_support::eventually(Duration::from_secs(30), async || {
        let page = stack.page(0, id).await;
        if page.body["account"]["name"] == name {
            Ok(page)
        } else {
            Err(page.body.to_string())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_killed_between_commit_and_publish_publishes_after_its_restart() {
    for fail_point in ["before-publish", "before-delete"] {
        let mut stack = Stack::start().await;
        let id = stack.create_account("before").await;
        assert_eq!(stack.page(0, id).await.body["account"]["name"], "before");
        stack.sources[Source::Accounts]
            .restart(|flags| flags.extend(["--fail-point", fail_point].map(str::to_owned)))
            .await;
        // The process aborts as soon as its relay sees the row; whether the answer still got out is a race.
        let url = stack.sources[Source::Accounts].url(&format!("/accounts/{id}"));
        let change = stack
            .request(reqwest::Method::PATCH, url)
            .json(&serde_json::json!({ "name": "after" }));
        let _ = change.send().await;
        assert!(
            !stack.sources[Source::Accounts].ended().await,
            "it was killed, it did not end"
        );
        let applied = stack.applied(0, Source::Accounts).await;
        stack.sources[Source::Accounts]
            .restart(|flags| flags.truncate(flags.len() - 2))
            .await;
        if fail_point == "before-publish" {
            stack.until_applied(0, Source::Accounts, applied).await;
        }
        assert_eq!(until_named(&stack, id, "after").await.status, 200, "{fail_point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutations_while_the_broker_is_down_are_on_the_pages_after_it() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("before").await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "before");
    stack.nats.kill();
    stack.rename_account(id, "during").await;
    // The feed is silent: the page asks the sources instead of trusting itself.
    until_named(&stack, id, "during").await;
    stack.rename_account(id, "still").await;
    let applied = stack.applied(0, Source::Accounts).await;
    stack.nats.restart();
    stack.until_applied(0, Source::Accounts, applied + 1).await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "still");
    test_support::eventually(Duration::from_secs(20), async || {
        let page = stack.page(0, id).await;
        if page.cache_status.starts_with("page; hit") {
            Ok(())
        } else {
            Err(page.cache_status)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lost_its_store_costs_no_mutation() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("before").await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "before");
    stack.nats.kill();
    stack.rename_account(id, "during").await;
    stack.nats.wipe();
    stack.nats.restart();
    until_named(&stack, id, "during").await;
    stack.rename_account(id, "after").await;
    until_named(&stack, id, "after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_costs_its_fragment_and_never_the_page() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("a").await;
    stack.sources[Source::Metrics].kill().await;
    let page = stack.page(0, id).await;
    assert_eq!(
        (page.status, &page.body["account"]["name"]),
        (200, &Value::from("a"))
    );
    assert_eq!(page.body["missing"][0]["source"], "metrics", "{}", page.body);
    stack.sources[Source::Metrics].restart(|_| {}).await;
    test_support::eventually(Duration::from_secs(20), async || {
        let page = stack.page(0, id).await;
        if page.body["missing"] == serde_json::json!([]) {
            Ok(())
        } else {
            Err(page.body.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_death_of_every_source_and_of_the_broker() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("a").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    stack.record(id, endpoint, 77).await;
    stack.rename_account(id, "b").await;
    stack.nats.kill();
    stack.kill(&Source::ALL).await;
    stack.nats.restart();
    stack.restart(&Source::ALL).await;
    let page = until_named(&stack, id, "b").await;
    assert_eq!(page.body["endpoints"]["endpoints"][0]["name"], "home");
    assert_eq!(page.body["metrics"]["endpoints"][0]["p50_ms"], 77);
}
