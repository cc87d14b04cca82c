//! A service whose task has ended does not go on as if all were well.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use stack::{Process, Source, Stack};

/// Waits until the process has ended, and asserts that it failed and said which task it was.
async fn assert_ended_with(process: &mut Process, task: &str) {
    assert!(!process.ended().await, "all was well, it says");
    let log = process.log();
    let told = log.iter().find(|line| line["task"] == task);
    let told = told.unwrap_or_else(|| panic!("nothing is said of {task}: {log:#?}"));
    assert_eq!(told["level"], "ERROR");
    assert!(
        told["panic"].as_str().unwrap().contains("fail point reached"),
        "{told}"
    );
    assert!(
        told["message"].as_str().unwrap().contains("start it again"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_feed_panics_ends_and_says_so() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("before").await;
    let replica = stack.add_page(&[("--fail-point", "apply".to_owned())]).await;
    stack.until_trusted(&stack.pages[replica]).await;
    assert_eq!(stack.page(replica, id).await.status, 200);
    stack.rename_account(id, "after").await;
    assert_ended_with(&mut stack.pages[replica], "the feed").await;
    assert!(stack.pages[0].is_alive(), "the other replica received the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_relay_panics_ends_and_says_so() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("before").await;
    stack.sources[Source::Accounts]
        .restart(|flags| flags.extend(["--fail-point", "panic"].map(str::to_owned)))
        .await;
    let url = stack.sources[Source::Accounts].url(&format!("/accounts/{id}"));
    let change = stack
        .request(Method::PATCH, url)
        .json(&json!({ "name": "after" }));
    let _ = change.send().await; // whether the answer still got out is a race
    assert_ended_with(&mut stack.sources[Source::Accounts], "the relay").await;
    let applied = stack.applied(0, Source::Accounts).await;
    stack.sources[Source::Accounts]
        .restart(|flags| flags.truncate(flags.len() - 2))
        .await;
    stack.until_applied(0, Source::Accounts, applied).await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_serves_without_its_warm_up() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("a").await;
    let replica = stack.add_page(&[("--fail-point", "warm-up".to_owned())]).await;
    test_support::eventually(Duration::from_secs(20), async || {
        let log = stack.pages[replica].log();
        let told = log
            .iter()
            .any(|line| line["task"] == "the warm-up" && line["level"] == "ERROR");
        if told { Ok(()) } else { Err(format!("{log:#?}")) }
    })
    .await;
    stack.until_trusted(&stack.pages[replica]).await;
    assert_eq!(stack.page(replica, id).await.status, 200);
}
