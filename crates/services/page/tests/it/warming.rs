//! A cold start: what the stream still tells of the past (rule 19).

use std::time::Duration;

use jiff::{Timestamp, Unit};
use reqwest::Response;
use serde_json::{Value, json};
use test_support::{NatsServer, eventually};

use crate::app::{LONG, SOURCES, TestApp, fresh_as_of, header};
use crate::fake_source::{Behaviour, FakeSource};
use crate::stream;

const CREATED: &str = "account.created";
const DELETED: &str = "account.deleted";
const ADDED: &str = "endpoint.added";
const RECORDED: &str = "samples.recorded";

/// Sources whose whole past is on the stream.
async fn sources_with_a_past() -> ([FakeSource; SOURCES], NatsServer) {
    let (sources, nats) = TestApp::announcing_sources().await;
    let [accounts, endpoints, metrics, ..] = &sources;
    accounts.announce_carrying(CREATED).await;
    endpoints.announce_carrying(ADDED).await;
    metrics.announce(RECORDED, 1).await;
    for source in &sources {
        source.until_published().await;
    }
    (sources, nats)
}

/// Account 1, once the replica has read the past.
async fn until_warm(app: &TestApp) -> Response {
    eventually(LONG, async || {
        let page = app.get_as_json().await;
        if page.status() == 200 {
            Ok(page)
        } else {
            Err(header(&page, "cache-status").to_owned())
        }
    })
    .await
}

fn down_to_milliseconds(time: Timestamp) -> Timestamp {
    let round = jiff::TimestampRound::new().smallest(Unit::Millisecond);
    time.round(round.mode(jiff::RoundMode::Floor)).unwrap()
}

#[tokio::test]
async fn with_every_source_down_a_new_replica_shows_what_the_stream_tells_marked_and_dated() {
    let (sources, nats) = sources_with_a_past().await;
    for source in &sources {
        source.go_down();
    }
    let committed = [
        stream::committed(&nats, "accounts").await,
        stream::committed(&nats, "endpoints").await,
    ];
    let app = TestApp::spawn_between(sources, Some(nats), &[]).await;
    let page = until_warm(&app).await;
    let status = header(&page, "cache-status").to_owned();
    let detail = "; detail=\"accounts stale, endpoints stale, metrics missing\"";
    assert!(status.ends_with(detail), "{status}");
    let oldest = committed.into_iter().min().unwrap();
    assert_eq!(fresh_as_of(&page), down_to_milliseconds(oldest));
    let page: Value = page.json().await.unwrap();
    assert_eq!(page["account"]["name"], "Fjord Hosting");
    assert_eq!(page["endpoints"]["endpoints"][1]["name"], "Shop");
    assert_eq!(page["metrics"], Value::Null);
    let marked = |list: &Value| {
        let list = list.as_array().unwrap().iter();
        list.map(|fragment| fragment["source"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(marked(&page["stale"]), ["accounts", "endpoints"]);
    assert_eq!(marked(&page["missing"]), ["metrics"]);
}

#[tokio::test]
async fn what_is_remembered_is_asked_about_and_is_no_proof() {
    let (sources, nats) = sources_with_a_past().await;
    for source in &sources {
        source.behave(Behaviour::Status(500));
    }
    // Nobody tells of this one: the stream is behind, as it is if it lost something.
    sources[0].change(|account| account["name"] = json!("Fjord & Sons"));
    let app = TestApp::spawn_between(sources, Some(nats), &[]).await;
    until_warm(&app).await;
    for source in app.sources() {
        source.behave(Behaviour::Well);
    }
    let page = eventually(LONG, async || {
        let page = app.json().await;
        if page["stale"] == json!([]) && page["missing"] == json!([]) {
            Ok(page)
        } else {
            Err(page)
        }
    })
    .await;
    assert_eq!(page["account"]["name"], "Fjord & Sons");
    let asked = app.endpoints.asked();
    assert!(asked.last().unwrap().if_none_match.is_some(), "{asked:?}");
}

#[tokio::test]
async fn an_account_that_the_stream_says_is_deleted_is_not_shown() {
    let (sources, nats) = sources_with_a_past().await;
    let [accounts, endpoints, ..] = &sources;
    let list = json!({ "account_id": 2, "revision": 1, "endpoints": [] });
    // On both sides of the deletion: whichever comes first must not come back by the other.
    let mut account = crate::app::account();
    account["id"] = json!(2);
    accounts.announce_fragment(2, CREATED, 1, &account).await;
    endpoints.announce_fragment(2, ADDED, 1, &list).await;
    endpoints.until_published().await;
    accounts.announce_about(2, DELETED, 2).await;
    accounts.until_published().await;
    let late = json!({ "account_id": 3, "revision": 1, "endpoints": [] });
    accounts.announce_about(3, DELETED, 2).await;
    accounts.until_published().await;
    endpoints.announce_fragment(3, ADDED, 1, &late).await;
    // The last word of the stream is of account 1: who shows it has read what was before.
    endpoints.until_published().await;
    accounts.announce_carrying(CREATED).await;
    accounts.until_published().await;
    for source in &sources {
        source.go_down();
    }
    let app = TestApp::spawn_between(sources, Some(nats), &[]).await;
    eventually(LONG, async || {
        let page = app.json_or_problem("/accounts/1").await;
        if page["account"]["name"] == "Fjord Hosting" {
            Ok(())
        } else {
            Err(page)
        }
    })
    .await;
    for path in ["/accounts/2", "/accounts/3"] {
        let page = app.json_or_problem(path).await;
        assert_eq!(page["type"], "/problems/nothing-to-show", "{path}: {page}");
    }
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_has_dated_is_not_shown_once_its_date_has_passed() {
    let (sources, nats) = sources_with_a_past().await;
    let ahead = Timestamp::now() + Duration::from_secs(1);
    stream::repeat_dated(&nats, "endpoints", ahead).await;
    for source in &sources {
        source.go_down();
    }
    eventually(LONG, async || {
        if Timestamp::now() > ahead {
            Ok(())
        } else {
            Err(ahead)
        }
    })
    .await;
    let app = TestApp::spawn_between(sources, Some(nats), &[]).await;
    let page = until_warm(&app).await;
    let status = header(&page, "cache-status").to_owned();
    let detail = "; detail=\"accounts stale, endpoints missing, metrics missing\"";
    assert!(status.ends_with(detail), "{status}");
}
