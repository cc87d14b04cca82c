//! A replica that starts when nobody can be asked: what the stream tells is shown, marked and dated (rule 19).

use serde_json::{Value, json};
use stack::{Page, Source, Stack};

/// Longer than anything here takes on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(20);

/// Adds a replica that asks the sources themselves: behind the gate they would seem to answer.
async fn add_replica(stack: &mut Stack) -> usize {
    let accounts = stack.sources[Source::Accounts].url("");
    stack.add_page(&[("--accounts-url", accounts)]).await
}

async fn until_shown(stack: &Stack, replica: usize, id: u64) -> Page {
    test_support::eventually(LONG, async || {
        let page = stack.page(replica, id).await;
        if page.status == 200 {
            Ok(page)
        } else {
            Err(page.body)
        }
    })
    .await
}

fn sources(fragments: &Value) -> Vec<&str> {
    let fragments = fragments.as_array().unwrap().iter();
    fragments
        .map(|fragment| fragment["source"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_while_every_source_is_down_is_warm_marked_and_dated() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("before").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    stack.record(id, endpoint, 7).await;
    let gone = stack.create_account("gone").await;
    stack.add_endpoint(gone, "gone too", "https://example.com/").await;
    let before = [
        stack.applied(0, Source::Accounts).await,
        stack.applied(0, Source::Endpoints).await,
    ];
    stack.delete_account(gone).await;
    stack.rename_account(id, "after").await;
    // Once the first replica has applied all of it, it is on the stream.
    stack.until_applied(0, Source::Accounts, before[0] + 1).await;
    stack.until_applied(0, Source::Endpoints, before[1]).await;
    let whole = stack.cached_page(0, id).await;
    let written = whole.body["account"]["updated_at"].as_str().unwrap().to_owned();
    stack.kill(&Source::ALL).await;

    let replica = add_replica(&mut stack).await;
    let page = until_shown(&stack, replica, id).await;
    let detail = "detail=\"accounts stale, endpoints stale, metrics missing\"";
    assert!(page.cache_status.ends_with(detail), "{}", page.cache_status);
    assert_eq!(page.body["account"], whole.body["account"]);
    assert_eq!(page.body["endpoints"], whole.body["endpoints"]);
    assert_eq!(sources(&page.body["stale"]), ["accounts", "endpoints"]);
    assert_eq!(sources(&page.body["missing"]), ["metrics"]);
    // As old as the oldest of what it shows: the endpoint was added before the account was renamed.
    let added = whole.body["endpoints"]["endpoints"][0]["created_at"]
        .as_str()
        .unwrap();
    assert!(
        *added <= *page.fresh_as_of && page.fresh_as_of < written,
        "{} is not of {added}, before {written}",
        page.fresh_as_of
    );

    let deleted = stack.page(replica, gone).await;
    assert_eq!(deleted.status, 503, "{}", deleted.body);
    assert!(!deleted.body.to_string().contains("gone"), "{}", deleted.body);

    stack.restart(&Source::ALL).await;
    test_support::eventually(LONG, async || {
        let page = stack.page(replica, id).await;
        if page.body == whole.body && page.body["stale"] == json!([]) {
            Ok(())
        } else {
            Err(page.body)
        }
    })
    .await;
    assert_eq!(stack.page(replica, gone).await.status, 404);
}
