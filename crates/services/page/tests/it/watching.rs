//! What the service tells of itself to those who run it: the auditor's finds, and what the caches count.

use serde_json::json;
use test_support::eventually;

use crate::app::{LONG, TestApp, header, start_telemetry};

/// Waits until a metric is at least this.
pub(crate) async fn until_at_least(app: &TestApp, name: &str, labels: &[&str], least: f64) {
    eventually(LONG, async || match app.metric(name, labels).await {
        Some(value) if value >= least => Ok(()),
        value => Err(format!("{name} {labels:?} is {value:?}")),
    })
    .await;
}

#[tokio::test]
async fn the_auditor_says_that_it_looks_and_when_it_last_did() {
    start_telemetry();
    let app = TestApp::spawn_consumer_with(&["--audit-interval-ms=100"]).await;
    let checks = "page_audit_checks_total";
    until_at_least(&app, checks, &["result=\"agrees\""], 3.0).await;
    // Replicas in one process tell it over each other.
    let last = app.metric("page_audit_last_seconds", &[]).await;
    assert!(last.is_some());
}

#[tokio::test]
async fn a_page_that_does_not_match_is_found_and_mended() {
    let app = audited().await;
    app.accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    until_mended(&app).await;
}

#[tokio::test]
async fn a_page_that_does_not_match_under_the_right_revision_is_found_and_mended_too() {
    let app = audited().await;
    app.accounts
        .change_without_revision(|account| account["name"] = json!("Fjord & Sons"));
    until_mended(&app).await;
}

/// A replica with a page that it trusts, and looks at often.
async fn audited() -> TestApp {
    start_telemetry();
    let app = TestApp::spawn_consumer_with(&["--audit-interval-ms=100"]).await;
    app.until_served_as("page; hit").await;
    app
}

/// Waits until the page shows the account's new name, of which nobody told it.
async fn until_mended(app: &TestApp) {
    assert_eq!(app.json().await["account"]["name"], "Fjord Hosting");
    eventually(LONG, async || match app.json().await["account"]["name"].clone() {
        name if name == "Fjord & Sons" => Ok(()),
        name => Err(name),
    })
    .await;
    for result in ["result=\"suspicious\"", "result=\"lie\""] {
        until_at_least(app, "page_audit_checks_total", &[result], 1.0).await;
    }
}

#[tokio::test]
async fn without_an_interval_nothing_is_audited() {
    let app = TestApp::spawn_consumer_with(&["--audit-interval-ms=0"]).await;
    let asked = app.asked();
    // A second is many of the intervals that are usual.
    let from = app.get("/accounts/1").await;
    eventually(LONG, async || {
        let page = app.get("/accounts/1").await;
        let age = crate::app::fresh_as_of(&page).duration_since(crate::app::fresh_as_of(&from));
        if age.as_millis() > 1500 { Ok(()) } else { Err(age) }
    })
    .await;
    assert_eq!(app.asked(), asked);
}

#[tokio::test]
async fn what_the_caches_count_is_told() {
    start_telemetry();
    let app = TestApp::spawn_consumer_with(&["--strategy=prepopulate", "--audit-interval-ms=0"]).await;
    let token = format!(
        "accounts/1/{}=9-{}",
        crate::fake_source::INCARNATION,
        "0".repeat(16)
    );
    app.get_with("consistency-token", &token).await;
    app.accounts.announce_carrying("account.updated").await;
    app.metrics.behave(crate::fake_source::Behaviour::Status(500));
    app.metrics.announce("samples.recorded", 2).await;
    let page = app.until_served_as("page; hit; detail=\"metrics stale\"").await;
    assert!(!header(&page, "age").is_empty());
    for (name, label, value) in [
        ("page_reads_total", "outcome", "miss"),
        ("page_reads_total", "outcome", "hit"),
        ("page_reads_total", "outcome", "request"),
        ("page_doubts_total", "why", "event or loss"),
        ("page_compositions_total", "result", "all"),
        ("page_compositions_total", "result", "rendered"),
        ("page_fetches_total", "result", "all"),
        ("page_fetches_total", "result", "not modified"),
        ("page_fetches_total", "result", "failed"),
        ("page_refreshes_total", "result", "begun"),
        ("page_refreshes_total", "result", "parts from events"),
        ("page_announcements_total", "of", "events"),
        ("page_announcements_total", "of", "pages"),
        ("page_degraded_total", "how", "stale"),
        ("page_degraded_total", "how", "behind"),
    ] {
        let label = format!("{label}=\"{value}\"");
        until_at_least(&app, name, &["strategy=\"prepopulate\"", &label], 1.0).await;
    }
    for name in [
        "page_reads_total",
        "page_compositions_total",
        "page_cache_entries",
        "page_cache_size_bytes",
        "page_cache_evictions_total",
        "page_flights",
        "page_refresh_inbox",
        "page_refresh_queue",
    ] {
        assert!(
            app.metric(name, &["strategy=\"prepopulate\""]).await.is_some(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn each_cache_is_counted_under_its_own_name() {
    start_telemetry();
    let app = TestApp::spawn_with(&["--allow-override"]).await;
    let labels = ["strategy=\"none\"", "outcome=\"bypass\""];
    let before = app.metric("page_reads_total", &labels).await.unwrap_or_default();
    app.get_with("cache-strategy", "none").await;
    until_at_least(&app, "page_reads_total", &labels, before + 1.0).await;
}

#[tokio::test]
async fn how_long_each_source_took_is_told_by_what_it_gave() {
    start_telemetry();
    let app = TestApp::spawn_with(&["--strategy=versioned"]).await;
    app.get("/accounts/1").await;
    app.metrics.behave(crate::fake_source::Behaviour::Status(500));
    app.get("/accounts/1").await;
    for (source, result) in [
        ("accounts", "new"),
        ("accounts", "not modified"),
        ("metrics", "failed"),
    ] {
        let labels = [format!("source=\"{source}\""), format!("result=\"{result}\"")];
        let labels = labels.each_ref().map(String::as_str);
        until_at_least(&app, "page_fetch_duration_seconds_count", &labels, 1.0).await;
    }
    let active = app.metric("page_fetch_active", &["source=\"accounts\""]).await;
    assert!(active.is_some());
}

#[tokio::test]
async fn how_old_the_word_of_an_answer_is_is_told_of_marked_ones_apart() {
    start_telemetry();
    let app = TestApp::spawn_consumer_with(&["--strategy=invalidate"]).await;
    let count = "page_answer_age_seconds_count";
    let [whole, degraded] = ["degraded=\"false\"", "degraded=\"true\""];
    app.until_served_as("page; hit").await;
    until_at_least(&app, count, &[whole], 1.0).await;
    let before = app.metric(count, &[degraded]).await.unwrap_or_default();
    app.metrics.behave(crate::fake_source::Behaviour::Status(500));
    app.metrics.announce("samples.recorded", 2).await;
    app.until_served_as("page; hit; detail=\"metrics stale\"").await;
    until_at_least(&app, count, &[degraded], before + 1.0).await;
}
