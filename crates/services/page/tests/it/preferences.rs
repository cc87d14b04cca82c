//! Readers who say how long they wait and how old their page may be.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use test_support::eventually;

use crate::app::{LONG, TestApp, header, start_telemetry};
use crate::fake_source::{Behaviour, FakeSource, INCARNATION};
use crate::watching::until_at_least;

const UPDATED: &str = "account.updated";
const RECORDED: &str = "samples.recorded";

/// A page in the cache, and metrics that changed and hold their answer back.
async fn metrics_changed_and_held() -> TestApp {
    let app = TestApp::spawn_consumer().await;
    app.metrics.behave(Behaviour::Gated);
    let revision = app
        .metrics
        .change(|metrics| metrics["endpoints"][0]["samples"] = json!(49));
    app.metrics.announce(RECORDED, revision).await;
    until_not_fresh(&app).await;
    app
}

/// A page in the cache, and an account that was renamed and holds its answer back.
async fn account_renamed_and_held() -> TestApp {
    let app = TestApp::spawn_consumer().await;
    app.accounts.behave(Behaviour::Gated);
    let revision = app
        .accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    app.accounts.announce(UPDATED, revision).await;
    until_not_fresh(&app).await;
    app
}

/// Until the event was applied; this asks no source.
async fn until_not_fresh(app: &TestApp) {
    eventually(LONG, async || {
        match app.get_with("cache-control", "only-if-cached").await.status() {
            status if status == 504 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}

async fn until_asked(source: &FakeSource, times: usize) {
    eventually(LONG, async || match source.asked().len() {
        asked if asked >= times => Ok(()),
        asked => Err(asked),
    })
    .await;
}

async fn until_json(app: &TestApp, wanted: impl Fn(&Value) -> bool) {
    eventually(LONG, async || {
        let page = app.json().await;
        if wanted(&page) { Ok(()) } else { Err(page) }
    })
    .await;
}

fn applied(response: &Response) -> Option<&str> {
    let applied = response.headers().get("preference-applied")?;
    Some(applied.to_str().unwrap())
}

#[tokio::test]
async fn a_reader_whose_wait_is_over_gets_the_last_known_fragment_marked_and_the_load_goes_on() {
    let app = metrics_changed_and_held().await;
    let asked = app.metrics.asked().len();
    for _ in 0..3 {
        let page = app.get_with("prefer", "wait-ms=20").await;
        assert_eq!(page.status(), 200);
        let status = header(&page, "cache-status");
        assert!(status.contains("fwd=stale"), "{status}");
        assert!(status.ends_with("; detail=\"metrics stale\""), "{status}");
        let page: Value = page.json().await.unwrap();
        assert_eq!(page["metrics"]["endpoints"][0]["samples"], 48);
        let reason = page["stale"][0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("did not answer within the reader's wait"),
            "{reason}"
        );
    }
    app.metrics.behave(Behaviour::Well);
    app.metrics.let_one_out();
    until_json(&app, |page| page["metrics"]["endpoints"][0]["samples"] == 49).await;
    app.until_served_as("page; hit").await;
    assert_eq!(
        app.metrics.asked().len(),
        asked + 1,
        "the readers who gave up cost nothing more"
    );
}

#[tokio::test]
async fn a_reader_who_says_nothing_waits_as_long_as_the_setting_says() {
    let app = TestApp::spawn_consumer_with(&["--wait-ms=20"]).await;
    app.metrics.behave(Behaviour::Gated);
    let page = app.get_with("cache-control", "no-cache").await;
    let status = header(&page, "cache-status");
    assert!(status.ends_with("; detail=\"metrics stale\""), "{status}");
    assert_eq!(applied(&page), None, "nothing was preferred");
}

#[tokio::test]
async fn a_wait_is_confirmed_unless_the_answer_came_later() {
    let app = TestApp::spawn().await;
    for source in app.sources() {
        source.behave(Behaviour::Gated);
    }
    let request = app.request("/accounts/1").header("prefer", "wait-ms=10");
    let nothing_known = tokio::spawn(request.send());
    until_asked(&app.metrics, 1).await;
    // What is tested is time: this is longer than the wait and its tolerance.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!nothing_known.is_finished(), "as long as nothing at all is known");
    app.metrics.let_one_out();
    let page = nothing_known.await.unwrap().unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(applied(&page), None);
    let status = header(&page, "cache-status").to_owned();
    assert!(status.contains("accounts missing, endpoints missing"), "{status}");

    for source in app.sources() {
        source.behave(Behaviour::Well);
        source.let_one_out();
    }
    let page = app.get_with("prefer", "wait=5, respond-async").await;
    assert_eq!(applied(&page), Some("wait=5"));
    assert_eq!(header(&page, "vary"), "accept, accept-encoding, prefer");
}

#[tokio::test]
async fn a_page_that_is_young_enough_is_shown_unmarked_and_renewed_once() {
    start_telemetry();
    let app = account_renamed_and_held().await;
    let asked = app.accounts.asked().len();
    for _ in 0..3 {
        let page = app.get_with("cache-control", "max-age=3600").await;
        assert_eq!(header(&page, "cache-status"), "page; hit");
        let page: Value = page.json().await.unwrap();
        assert_eq!(page["account"]["name"], "Fjord Hosting");
        assert_eq!(page["stale"], json!([]));
    }
    until_asked(&app.accounts, asked + 1).await;
    app.accounts.behave(Behaviour::Well);
    app.accounts.let_one_out();
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    assert_eq!(app.accounts.asked().len(), asked + 1, "renewed once");
    for counter in ["page_reads_total", "page_answers_total"] {
        until_at_least(&app, counter, &["outcome=\"stale_hit\""], 3.0).await;
    }
}

#[tokio::test]
async fn a_page_that_is_too_old_for_its_reader_is_loaded() {
    let app = account_renamed_and_held().await;
    app.accounts.behave(Behaviour::Well);
    let young = app
        .get_with("cache-control", "max-age=3600, only-if-cached")
        .await;
    assert_eq!(young.status(), 200, "it is there, and nobody renews it");
    // What is tested is time: the page is older than a second by now.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let page = app.get_with("cache-control", "max-age=1").await;
    let status = header(&page, "cache-status").to_owned();
    assert!(status.contains("fwd=stale"), "{status}");
    let page: Value = page.json().await.unwrap();
    assert_eq!(page["account"]["name"], "Fjord & Sons");
}

#[tokio::test]
async fn only_if_cached_asks_nobody() {
    let app = TestApp::spawn_consumer().await;
    let asked = app.asked();
    let other = app
        .request("/accounts/2")
        .header("cache-control", "only-if-cached");
    let none = other.header("accept", "application/json").send().await.unwrap();
    assert_eq!(none.status(), 504);
    let problem: Value = none.json().await.unwrap();
    assert_eq!(problem["title"], "This page is not cached");

    let page = app.get_with("cache-control", "only-if-cached").await;
    assert_eq!(
        (page.status().as_u16(), header(&page, "cache-status")),
        (200, "page; hit")
    );
    let contradiction = app.get_with("cache-control", "only-if-cached, no-cache").await;
    assert_eq!(contradiction.status(), 504);
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn only_if_cached_with_an_age_shows_an_old_page_and_does_not_renew_it() {
    let app = account_renamed_and_held().await;
    let asked = app.asked();
    let page = app
        .get_with("cache-control", "max-age=3600, only-if-cached")
        .await;
    assert_eq!(
        (page.status().as_u16(), header(&page, "cache-status")),
        (200, "page; hit")
    );
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn a_reader_whose_wait_is_over_is_told_of_which_write_the_page_falls_short() {
    let app = account_renamed_and_held().await;
    let token = format!("accounts/1/{INCARNATION}=2-0000000000000000");
    let request = app.request("/accounts/1").header("consistency-token", token);
    let page = request.header("prefer", "wait-ms=20").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let status = header(&page, "cache-status");
    assert!(
        status.ends_with("; detail=\"accounts stale, accounts behind\""),
        "{status}"
    );
}

#[tokio::test]
async fn a_strategy_that_keeps_nothing_confirms_no_wait() {
    let app = TestApp::spawn_with(&["--strategy=none"]).await;
    let page = app.get_with("prefer", "wait=5").await;
    assert_eq!(header(&page, "cache-status"), "page; fwd=bypass");
    assert_eq!(applied(&page), None, "it would have waited longer");
}
