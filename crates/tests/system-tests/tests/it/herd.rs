//! Strangers who come all at once to a replica that has just started.

use reqwest::Method;
use serde_json::{Value, json};
use stack::{Source, Stack};
use tokio::task::JoinSet;

/// How many, each for a page of its own.
const STRANGERS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_just_started_serves_a_whole_page_to_each_of_three_hundred_strangers() {
    let mut stack = Stack::start().await;
    let mut accounts = Vec::with_capacity(STRANGERS);
    for number in 0..STRANGERS {
        accounts.push(stack.create_account(&format!("account {number}")).await);
    }
    // It asks the sources themselves: the gate is not made for a crowd.
    let url = stack.sources[Source::Accounts].url("");
    let replica = stack.add_page(&[("--accounts-url", url)]).await;
    let pages: JoinSet<_> = accounts
        .iter()
        .map(|id| {
            let url = stack.pages[replica].url(&format!("/accounts/{id}"));
            let page = stack
                .request(Method::GET, url)
                .header("accept", "application/json")
                .send();
            async move {
                let page = page.await.expect("the page service answers");
                let status = page.status().as_u16();
                (status, page.json::<Value>().await.expect("the page is JSON"))
            }
        })
        .collect();
    for (status, page) in pages.join_all().await {
        assert_eq!(status, 200, "{page}");
        assert_eq!(
            (&page["missing"], &page["stale"]),
            (&json!([]), &json!([])),
            "{page}"
        );
    }
}
