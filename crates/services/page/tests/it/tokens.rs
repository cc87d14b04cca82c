//! `Consistency-Token`: readers who know more than the feed has told (rule 13).

use std::time::Instant;

use serde_json::{Value, json};

use crate::app::{SOURCES, TestApp, header};
use crate::fake_source::{Behaviour, INCARNATION};

const NAME: &str = "consistency-token";

fn token(source: &str, account: u64, revision: u64) -> String {
    format!("{source}/{account}/{INCARNATION}={revision}-{}", "0".repeat(16))
}

/// A write that no event tells of: the feed is as good as lost, and nobody knows.
fn rename_in_silence(app: &TestApp, name: &str) -> u64 {
    app.accounts.change(|account| account["name"] = json!(name))
}

#[tokio::test]
async fn a_reader_with_the_token_sees_the_write_before_its_event() {
    let app = TestApp::spawn_consumer().await;
    let revision = rename_in_silence(&app, "Fjord & Sons");
    let others = app.until_served_as("page; hit").await.text().await.unwrap();
    assert!(others.contains("<h1>Fjord Hosting</h1>"), "nobody told them");

    let mine = app.get_with(NAME, &token("accounts", 1, revision)).await;
    let status = header(&mine, "cache-status").to_owned();
    assert!(
        status.starts_with("page; fwd=request") && !status.contains("detail"),
        "{status}"
    );
    let mine: Value = mine.json().await.unwrap();
    assert_eq!(mine["account"]["name"], "Fjord & Sons");
    // The page is as good as any for those without a token, and for the same reader the next time.
    let asked = app.asked();
    let again = app.get_with(NAME, &token("accounts", 1, revision)).await;
    assert_eq!(header(&again, "cache-status"), "page; hit");
    assert_eq!(app.json().await["account"]["name"], "Fjord & Sons");
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn only_the_source_that_the_token_is_of_is_asked() {
    let app = TestApp::spawn_consumer().await;
    let asked = app.asked();
    let revision = app.endpoints.change(|list| list["endpoints"] = json!([]));
    let page = app.get_with(NAME, &token("endpoints", 1, revision)).await;
    let page: Value = page.json().await.unwrap();
    assert_eq!(page["endpoints"]["endpoints"], json!([]));
    let mut expected = asked;
    expected[1] += 1;
    assert_eq!(app.asked(), expected);
}

#[tokio::test]
async fn a_token_of_the_future_is_answered_and_the_answer_says_that_it_falls_short() {
    let app = TestApp::spawn_consumer().await;
    let asked = app.accounts.asked().len();
    let page = app.get_with(NAME, &token("accounts", 1, 99)).await;
    assert_eq!(page.status(), 200);
    let status = header(&page, "cache-status").to_owned();
    assert!(
        status.starts_with("page; fwd=request") && status.ends_with("; detail=\"accounts behind\""),
        "{status}"
    );
    let shown = header(&page, NAME).split(", ").next().unwrap();
    assert!(shown.starts_with(&token("accounts", 1, 1)), "{shown}");
    assert_eq!(
        app.accounts.asked().len(),
        asked + 1,
        "asked once, and then answered"
    );
    // Clients may make up tokens: nobody else is served any worse for it.
    assert_eq!(header(&app.get("/accounts/1").await, "cache-status"), "page; hit");
}

#[tokio::test]
async fn a_token_of_another_incarnation_is_one_that_nothing_satisfies() {
    let app = TestApp::spawn_consumer().await;
    let other = format!("accounts/1/{}=1-{}", "f".repeat(32), "0".repeat(16));
    let page = app.get_with(NAME, &other).await;
    assert_eq!(page.status(), 200);
    let status = header(&page, "cache-status");
    assert!(status.ends_with("; detail=\"accounts behind\""), "{status}");
}

#[tokio::test]
async fn a_page_composed_anew_is_held_to_the_token_too() {
    let app = TestApp::spawn().await;
    for (revision, behind) in [(1, false), (99, true)] {
        let request = app.request("/accounts/1").header("cache-control", "no-cache");
        let page = request.header(NAME, token("accounts", 1, revision)).send().await;
        let page = page.unwrap();
        let status = header(&page, "cache-status");
        assert!(status.starts_with("page; fwd=request"), "{status}");
        assert_eq!(status.contains("accounts behind"), behind, "{status}");
    }
}

#[tokio::test]
async fn while_its_source_fails_a_token_is_answered_from_what_is_known_and_asks_once_a_second() {
    let app = TestApp::spawn_consumer().await;
    app.accounts.behave(Behaviour::Status(500));
    let (asked, began) = (app.accounts.asked().len(), Instant::now());
    for _ in 0..20 {
        let page = app.get_with(NAME, &token("accounts", 1, 2)).await;
        assert_eq!(page.status(), 200);
        let status = header(&page, "cache-status").to_owned();
        assert!(status.contains("accounts behind"), "{status}");
        let page: Value = page.json().await.unwrap();
        assert_eq!(page["account"]["name"], "Fjord Hosting");
    }
    let asked = app.accounts.asked().len() - asked;
    let most = 1 + began.elapsed().as_secs();
    assert!(
        asked > 0 && asked as u64 <= most,
        "{asked} requests for 20 readers"
    );
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_in_the_readers_form() {
    let app = TestApp::spawn().await;
    for malformed in [
        "nonsense",
        "accounts/1=1",
        &token("weather", 1, 1),
        &format!("{};v=2", token("accounts", 1, 1)),
    ] {
        let problem = app.get_with(NAME, malformed).await;
        assert_eq!(
            (problem.status().as_u16(), header(&problem, "content-type")),
            (400, "application/problem+json"),
            "{malformed}"
        );
        let problem: Value = problem.json().await.unwrap();
        assert_eq!(problem["type"], "/problems/invalid-header", "{malformed}");
        assert_eq!(problem["errors"][0]["field"], "Consistency-Token", "{malformed}");

        let page = app.request("/accounts/1").header(NAME, malformed);
        let page = page.send().await.unwrap();
        assert_eq!(page.status(), 400);
        let text = page.text().await.unwrap();
        assert!(text.contains("A header of this request is not valid"), "{text}");
    }
    assert_eq!(app.asked(), [0; SOURCES], "no source is bothered");
}

#[tokio::test]
async fn tokens_of_other_accounts_are_no_demand_on_this_page() {
    let app = TestApp::spawn_consumer().await;
    let asked = app.asked();
    let page = app.get_with(NAME, &token("accounts", 2, 99)).await;
    assert_eq!(header(&page, "cache-status"), "page; hit");
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn a_page_hands_out_the_versions_that_it_shows_and_takes_them_back() {
    let app = TestApp::spawn_consumer().await;
    app.metrics.change(|_| {});
    let page = app.get_with("cache-control", "no-cache").await;
    let shown = header(&page, NAME).to_owned();
    let expected = [("accounts", 1), ("endpoints", 1), ("metrics", 2)];
    let expected = expected.map(|(source, revision)| token(source, 1, revision));
    let told: Vec<_> = shown.split(", ").collect();
    for (told, expected) in told.iter().zip(expected) {
        let claim = told.strip_prefix(&expected).unwrap_or_else(|| panic!("{told}"));
        assert_eq!(
            claim.len(),
            "-9f86d081884c7d65".len(),
            "{told} names the publisher"
        );
    }
    assert_eq!(told.len(), 3);
    let asked = app.asked();
    let again = app.get_with(NAME, &shown).await;
    assert_eq!(
        (header(&again, "cache-status"), header(&again, NAME)),
        ("page; hit", &*shown)
    );
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn a_fragment_that_is_missing_has_no_token_and_a_missing_account_has_one() {
    let app = TestApp::spawn().await;
    app.metrics.behave(Behaviour::Status(500));
    let page = app.get("/accounts/1").await;
    let expected = [token("accounts", 1, 1), token("endpoints", 1, 1)];
    assert_eq!(header(&page, NAME), expected.join(", "));

    let app = TestApp::spawn().await;
    let revision = app.accounts.remove();
    let page = app.get("/accounts/1").await;
    assert_eq!(page.status(), 404);
    let first = header(&page, NAME).split(", ").next();
    assert_eq!(first, Some(&*token("accounts", 1, revision)));
}
