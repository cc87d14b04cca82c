//! Pages kept fresh by events, over a real broker.

use serde_json::{Value, json};
use test_support::eventually;

use crate::app::{LONG, TestApp, header, start_telemetry};
use crate::fake_source::{Behaviour, FakeSource};

const UPDATED: &str = "account.updated";
const DELETED: &str = "account.deleted";
const RECORDED: &str = "samples.recorded";

async fn rename(app: &TestApp, name: &str) -> u64 {
    let revision = app.accounts.change(|account| account["name"] = json!(name));
    app.accounts.announce(UPDATED, revision).await;
    revision
}

/// Reads until the page shows what the assertion wants; each read is one that a user could make.
async fn until_json(app: &TestApp, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(LONG, async || {
        let page = app.json().await;
        if wanted(&page) { Ok(page) } else { Err(page) }
    })
    .await
}

#[tokio::test]
async fn a_hit_asks_nobody_and_is_as_fresh_as_the_watermarks() {
    let app = TestApp::spawn_consumer().await;
    let page = app.until_trusting().await;
    assert_eq!(header(&page, "cache-status"), "page; hit");
    let timing = header(&page, "server-timing");
    assert!(
        timing.starts_with("cache;dur=") && !timing.contains(','),
        "{timing}"
    );
}

#[tokio::test]
async fn a_write_is_on_the_page_when_it_is_next_read_after_its_event() {
    let app = TestApp::spawn_consumer().await;
    rename(&app, "Fjord & Sons").await;
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    let revision = app
        .metrics
        .change(|metrics| metrics["endpoints"][0]["samples"] = json!(49));
    app.metrics.announce(RECORDED, revision).await;
    until_json(&app, |page| page["metrics"]["endpoints"][0]["samples"] == 49).await;
}

#[tokio::test]
async fn an_event_about_another_account_costs_nothing() {
    let app = TestApp::spawn_consumer().await;
    app.accounts.announce_about(2, UPDATED, 1).await;
    // Once this one shows, the one before it was applied.
    rename(&app, "Fjord & Sons").await;
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    app.until_served_as("page; hit").await;
}

#[tokio::test]
async fn a_fill_held_open_while_the_event_passes_leaves_nothing_old_behind() {
    let app = TestApp::spawn_consumer().await;
    app.accounts.behave(Behaviour::Gated);
    let began = app.accounts.asked().len();
    let request = app
        .request("/accounts/1")
        .header("cache-control", "no-cache")
        .send();
    let held = tokio::spawn(request);
    until_asked(&app.accounts, began + 1).await;
    // The answer under way was made before this write.
    app.accounts.behave(Behaviour::Well);
    rename(&app, "Fjord & Sons").await;
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    app.accounts.let_one_out();
    held.await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(app.json().await["account"]["name"], "Fjord & Sons");
    }
}

async fn until_asked(source: &FakeSource, times: usize) {
    eventually(LONG, async || {
        let asked = source.asked().len();
        if asked >= times {
            Ok(())
        } else {
            Err(format!("asked {asked} times"))
        }
    })
    .await;
}

#[tokio::test]
async fn an_account_that_is_created_appears_and_one_that_is_deleted_goes() {
    let app = TestApp::spawn_consumer().await;
    let revision = app.accounts.remove();
    app.accounts.announce(DELETED, revision).await;
    until_status(&app, 404).await;
    let revision = app.accounts.change(|account| *account = crate::app::account());
    app.accounts.announce("account.created", revision).await;
    until_status(&app, 200).await;
}

async fn until_status(app: &TestApp, status: u16) {
    eventually(LONG, async || {
        let found = app.get("/accounts/1").await.status().as_u16();
        if found == status { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_was_applied_is_believed_of_every_fragment_even_if_sources_are_down() {
    let app = TestApp::spawn_consumer().await;
    app.accounts.behave(Behaviour::Status(500));
    app.metrics.behave(Behaviour::Status(500));
    let revision = app.accounts.remove();
    app.accounts.announce(DELETED, revision).await;
    let page = until_json(&app, |page| page["account"].is_null()).await;
    let missing: Vec<_> = page["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fragment| &fragment["source"])
        .collect();
    assert_eq!(missing, ["accounts", "metrics"], "and not stale: {page}");
}

#[tokio::test]
async fn without_the_broker_pages_are_served_by_asking() {
    let mut app = TestApp::spawn_consumer().await;
    app.nats.as_mut().unwrap().kill();
    app.until_served_as("page; fwd=stale; stored").await;
    // Nobody tells of this one.
    app.accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    app.nats.as_mut().unwrap().restart();
    app.until_trusting().await;
}

#[tokio::test]
async fn what_was_received_is_counted() {
    start_telemetry();
    let app = TestApp::spawn_consumer().await;
    rename(&app, "Fjord & Sons").await;
    until_json(&app, |page| page["account"]["name"] == "Fjord & Sons").await;
    for (name, labels) in [
        ("page_events_total", ["result=\"applied\"", "source=\"accounts\""]),
        (
            "page_losses_total",
            ["cause=\"first heard\"", "source=\"metrics\""],
        ),
        ("page_event_delay_seconds_count", ["source=\"accounts\"", ""]),
        ("page_source_trusted", ["source=\"endpoints\"", ""]),
        ("page_watermark_age_seconds", ["source=\"endpoints\"", ""]),
        ("page_answers_total", ["degraded=\"false\"", "outcome=\"hit\""]),
    ] {
        // Of a gauge only that it is there: replicas in one process tell it over each other.
        let least = if name.ends_with("_total") || name.ends_with("_count") {
            1.0
        } else {
            f64::MIN
        };
        let value = app.metric(name, &labels).await;
        assert!(
            value.is_some_and(|value| value >= least),
            "{name} {labels:?} is {value:?}"
        );
    }
}
