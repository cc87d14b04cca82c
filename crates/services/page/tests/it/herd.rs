//! A crowd of readers, each of a page that nobody has read yet: it costs them time, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::eventually;
use tokio::task::JoinSet;

use crate::app::{LONG, SOURCES, TestApp};
use crate::fake_source::Behaviour;

/// The page of an account: its status, and what a program is told.
fn read(app: &TestApp, account: u64) -> impl Future<Output = (u16, Value)> + use<> {
    let request = app
        .request(&format!("/accounts/{account}"))
        .header("accept", "application/json");
    async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

/// As many pages, at once.
async fn read_all(app: &TestApp, accounts: u64) -> Vec<(u16, Value)> {
    let readers: JoinSet<_> = (1..=accounts).map(|account| read(app, account)).collect();
    readers.join_all().await
}

fn assert_whole((status, page): &(u16, Value)) {
    assert_eq!(*status, 200, "{page}");
    assert_eq!((&page["missing"], &page["stale"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn three_hundred_cold_pages_at_once_are_three_hundred_whole_pages() {
    // What three hundred take is some ten times what one takes, as in the real stack.
    let app = TestApp::spawn_with(&["--upstream-concurrency=16", "--audit-interval-ms=0"]).await;
    for source in app.sources() {
        source.behave(Behaviour::After(Duration::from_millis(20)));
    }
    let pages = read_all(&app, 300).await;
    pages.iter().for_each(assert_whole);
    assert_eq!(app.asked(), [300; SOURCES]);
}

#[tokio::test]
async fn a_crowd_does_not_wait_one_by_one_for_a_source_that_hangs() {
    let app = TestApp::spawn_with(&[
        "--upstream-concurrency=4",
        "--metrics-deadline-ms=100",
        "--audit-interval-ms=0",
    ])
    .await;
    app.metrics.behave(Behaviour::Never);
    let pages = read_all(&app, 100).await;
    for (status, page) in pages {
        assert_eq!(
            (status, &page["missing"][0]["source"]),
            (200, &json!("metrics")),
            "{page}"
        );
        assert_eq!(page["stale"], json!([]));
    }
    let asked = app.metrics.asked().len();
    assert!(
        asked < 20,
        "four at once may find out, and then one a second: {asked} did"
    );
}

#[tokio::test]
async fn one_account_that_a_source_cannot_answer_about_costs_the_others_nothing() {
    let app = TestApp::spawn_with(&["--metrics-deadline-ms=500", "--audit-interval-ms=0"]).await;
    app.metrics.behave(Behaviour::NeverAbout(1));
    let hanging = tokio::spawn(read(&app, 1));
    eventually(LONG, async || match app.metrics.asked().len() {
        0 => Err("nobody asked"),
        _ => Ok(()),
    })
    .await;
    // Its source answers others in that time.
    assert_whole(&read(&app, 2).await);
    let (_, page) = hanging.await.unwrap();
    assert_eq!(page["missing"][0]["source"], "metrics");
    assert_whole(&read(&app, 3).await);
}
