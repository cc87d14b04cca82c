//! One page, kept fresh in five ways: by the replica's setting, or by the reader's choice where that is allowed.

use serde_json::{Value, json};
use test_support::eventually;

use crate::app::{LONG, SOURCES, TestApp, header};

const NAME: &str = "cache-strategy";
const UPDATED: &str = "account.updated";

/// How the cache of a strategy serves account 1 now.
async fn served(app: &TestApp, strategy: &str) -> String {
    let page = app.get_with(NAME, strategy).await;
    assert_eq!(page.status(), 200, "{strategy}");
    header(&page, "cache-status").to_owned()
}

/// The account's name on the page of a strategy.
async fn named(app: &TestApp, strategy: &str) -> Value {
    let page: Value = app.get_with(NAME, strategy).await.json().await.unwrap();
    page["account"]["name"].clone()
}

async fn refused(app: &TestApp, strategy: &str) -> Value {
    let problem = app.get_with(NAME, strategy).await;
    assert_eq!(
        (problem.status().as_u16(), header(&problem, "content-type")),
        (400, "application/problem+json"),
        "{strategy}"
    );
    let problem: Value = problem.json().await.unwrap();
    assert_eq!(problem["errors"][0]["field"], "Cache-Strategy");
    problem["errors"][0].clone()
}

#[tokio::test]
async fn a_strategy_that_is_none_is_refused() {
    let app = TestApp::spawn_with(&["--allow-override"]).await;
    for strategy in ["lru", "", "Invalidate", "none, ttl"] {
        let error = refused(&app, strategy).await.to_string();
        assert!(error.contains("none, ttl, versioned"), "{error}");
    }
    assert_eq!(app.asked(), [0; SOURCES], "no source is bothered");
}

#[tokio::test]
async fn a_replica_that_does_not_let_readers_choose_says_so_unless_they_choose_what_it_has() {
    let app = TestApp::spawn_with(&["--strategy=versioned"]).await;
    let error = refused(&app, "none").await.to_string();
    assert!(error.contains("--allow-override"), "{error}");
    assert_eq!(served(&app, "versioned").await, "page; fwd=miss; stored");
}

#[tokio::test]
async fn each_strategy_has_a_cache_of_its_own() {
    let app = TestApp::spawn_with(&["--allow-override"]).await;
    for (place, strategy) in ["invalidate", "ttl", "versioned", "prepopulate"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            served(&app, strategy).await,
            "page; fwd=miss; stored",
            "{strategy}"
        );
        assert_eq!(app.asked(), [place + 1; SOURCES], "{strategy}");
    }
    assert_eq!(
        header(&app.get("/accounts/1").await, "cache-status"),
        "page; hit",
        "who does not choose gets the replica's own"
    );
}

#[tokio::test]
async fn without_a_cache_every_reader_waits_for_every_source() {
    let app = TestApp::spawn_with(&["--strategy=none"]).await;
    for reader in 1..=3 {
        let page = app.get("/accounts/1").await;
        assert_eq!(header(&page, "cache-status"), "page; fwd=bypass");
        assert_eq!(app.asked(), [reader; SOURCES]);
    }
    let conditional = app
        .accounts
        .asked()
        .into_iter()
        .any(|asked| asked.if_none_match.is_some());
    assert!(!conditional);
}

#[tokio::test]
async fn after_an_event_each_strategy_shows_what_it_promises() {
    let app = TestApp::spawn_consumer_with(&["--allow-override"]).await;
    for strategy in ["ttl", "versioned", "prepopulate"] {
        served(&app, strategy).await;
    }
    let revision = app
        .accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    app.accounts.announce(UPDATED, revision).await;
    for strategy in ["invalidate", "prepopulate"] {
        eventually(LONG, async || match named(&app, strategy).await {
            name if name == "Fjord & Sons" => Ok(()),
            name => Err(name),
        })
        .await;
    }
    for strategy in ["none", "versioned"] {
        assert_eq!(named(&app, strategy).await, "Fjord & Sons", "{strategy}");
    }
    assert_eq!(served(&app, "ttl").await, "page; hit");
    assert_eq!(
        named(&app, "ttl").await,
        "Fjord Hosting",
        "older, for up to a minute"
    );
}

#[tokio::test]
async fn by_version_every_read_asks_every_source_conditionally() {
    let app = TestApp::spawn_with(&["--strategy=versioned"]).await;
    app.get("/accounts/1").await;
    for reader in 2..=4 {
        let page = app.get("/accounts/1").await;
        assert_eq!(header(&page, "cache-status"), "page; fwd=stale; stored");
        let timing = header(&page, "server-timing");
        assert_eq!(
            timing.matches("desc=\"not modified\"").count(),
            SOURCES,
            "{timing}"
        );
        assert_eq!(app.asked(), [reader; SOURCES]);
    }
}

#[tokio::test]
async fn a_time_to_live_ends() {
    let app = TestApp::spawn_with(&["--strategy=ttl", "--ttl-seconds=1"]).await;
    app.get("/accounts/1").await;
    app.accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    assert_eq!(app.json().await["account"]["name"], "Fjord Hosting");
    eventually(LONG, async || match app.json().await["account"]["name"].clone() {
        name if name == "Fjord & Sons" => Ok(()),
        name => Err(name),
    })
    .await;
}
