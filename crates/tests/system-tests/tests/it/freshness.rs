//! A write becomes a fresh page: on the next read after its event, without any TTL.

use serde_json::json;
use stack::{Options, Source, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_is_on_the_page_that_is_read_after_its_event() {
    let stack = Stack::start().await;
    let id = stack.create_account("before").await;
    assert_eq!(stack.cached_page(0, id).await.body["account"]["name"], "before");
    let applied = stack.applied(0, Source::Accounts).await;
    stack.rename_account(id, "after").await;
    stack.until_applied(0, Source::Accounts, applied).await;
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_added_endpoint_and_a_batch_of_samples_are_on_the_next_page() {
    let stack = Stack::start().await;
    let id = stack.create_account("a").await;
    assert_eq!(
        stack.cached_page(0, id).await.body["endpoints"]["endpoints"],
        json!([])
    );
    let applied = stack.applied(0, Source::Endpoints).await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    stack.until_applied(0, Source::Endpoints, applied).await;
    let page = stack.page(0, id).await;
    assert_eq!(
        page.body["endpoints"]["endpoints"][0]["url"],
        "https://example.org/"
    );

    let applied = stack.applied(0, Source::Metrics).await;
    stack.record(id, endpoint, 321).await;
    stack.until_applied(0, Source::Metrics, applied).await;
    let page = stack.page(0, id).await;
    assert_eq!(page.body["metrics"]["endpoints"][0]["p50_ms"], 321);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_makes_both_replicas_fresh() {
    let stack = Stack::start_with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let id = stack.create_account("before").await;
    for replica in [0, 1] {
        assert_eq!(
            stack.cached_page(replica, id).await.body["account"]["name"],
            "before"
        );
    }
    let applied = [
        stack.applied(0, Source::Accounts).await,
        stack.applied(1, Source::Accounts).await,
    ];
    stack.rename_account(id, "after").await;
    for replica in [0, 1] {
        stack
            .until_applied(replica, Source::Accounts, applied[replica])
            .await;
        assert_eq!(stack.page(replica, id).await.body["account"]["name"], "after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_gone_from_the_page_and_from_the_other_sources() {
    let stack = Stack::start().await;
    let id = stack.create_account("a").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    stack.record(id, endpoint, 5).await;
    assert_eq!(stack.page(0, id).await.status, 200);
    let applied = stack.applied(0, Source::Accounts).await;
    stack.delete_account(id).await;
    stack.until_applied(0, Source::Accounts, applied).await;
    assert_eq!(stack.page(0, id).await.status, 404);
    stack.until_forgotten(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_there_is_a_cached_404_until_it_is_created() {
    let stack = Stack::start().await;
    assert_eq!(stack.page(0, 1).await.status, 404);
    let hit = stack.page(0, 1).await;
    assert_eq!(
        (hit.status, hit.cache_status.starts_with("page; hit")),
        (404, true),
        "{}",
        hit.cache_status
    );
    let applied = stack.applied(0, Source::Accounts).await;
    assert_eq!(stack.create_account("first").await, 1);
    stack.until_applied(0, Source::Accounts, applied).await;
    assert_eq!(stack.page(0, 1).await.status, 200);
}
