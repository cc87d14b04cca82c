//! Pages composed from events before anybody asks (rules 16 to 18).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use test_support::eventually;

use crate::app::{LONG, TestApp, header};
use crate::fake_source::Behaviour;
use crate::stream;

const UPDATED: &str = "account.updated";
const ADDED: &str = "endpoint.added";

async fn prepopulating() -> TestApp {
    TestApp::spawn_consumer_with(&["--strategy=prepopulate"]).await
}

/// Reads account 1 until it has this name; whether the cache had it, and the page itself.
async fn until_named(app: &TestApp, name: &str) -> (bool, Value) {
    eventually(LONG, async || {
        let page = app.get_as_json().await;
        let hit = header(&page, "cache-status") == "page; hit";
        let page: Value = page.json().await.unwrap();
        if page["account"]["name"] == name {
            Ok((hit, page))
        } else {
            Err(page)
        }
    })
    .await
}

/// Renames account 1, its event carrying what it now is, until nobody had to ask for the page to show it: a reader who comes
/// in the moment between the event and the refresh asks for himself.
async fn rename_until_hit(app: &TestApp) -> (String, Value) {
    let attempts = AtomicUsize::new(0);
    eventually(LONG, async || {
        let name = format!("Name {}", attempts.fetch_add(1, Ordering::Relaxed));
        let asked = app.asked();
        app.accounts.change(|account| account["name"] = json!(name));
        app.accounts.announce_carrying(UPDATED).await;
        match until_named(app, &name).await {
            (true, page) if app.asked() == asked => Ok((name, page)),
            _ => Err(format!("{asked:?} requests, and then {:?}", app.asked())),
        }
    })
    .await
}

#[tokio::test]
async fn an_event_that_carries_the_account_makes_the_next_read_a_hit_without_any_request() {
    let app = prepopulating().await;
    let (name, _) = rename_until_hit(&app).await;
    let page = app.get("/accounts/1").await.text().await.unwrap();
    assert!(page.contains(&format!("<h1>{name}</h1>")), "{page}");
}

#[tokio::test]
async fn a_page_made_of_an_event_is_byte_for_byte_the_one_made_of_an_answer() {
    let app = prepopulating().await;
    rename_until_hit(&app).await;
    let of_event = app.get_as_json().await;
    assert_eq!(header(&of_event, "cache-status"), "page; hit");
    let of_answer = app.get_with("cache-control", "no-cache").await;
    assert!(header(&of_answer, "cache-status").starts_with("page; fwd=request"));
    assert_eq!(header(&of_event, "etag"), header(&of_answer, "etag"));
    assert_eq!(of_event.bytes().await.unwrap(), of_answer.bytes().await.unwrap());
}

#[tokio::test]
async fn a_page_that_was_not_read_since_its_last_refresh_is_not_refreshed_again() {
    let app = prepopulating().await;
    let asked = || {
        let asked = app.endpoints.asked();
        asked
            .iter()
            .filter(|asked| asked.path == "/accounts/1/endpoints")
            .count()
    };
    let before = asked();
    // Without a fragment, so that each refresh costs a request that can be counted.
    for _ in 0..20 {
        let revision = app.endpoints.change(|_| {});
        app.endpoints.announce(ADDED, revision).await;
    }
    app.endpoints.until_published().await;
    // What comes behind them in the stream has been applied only after them.
    rename_elsewhere(&app).await;
    let refreshes = asked() - before;
    assert!(refreshes <= 1, "{refreshes} refreshes of a page that nobody read");
    assert_eq!(app.json().await["endpoints"]["revision"], 21);
}

/// Waits until an event of another account has been applied, without a read of account 1.
async fn rename_elsewhere(app: &TestApp) {
    let other = "/accounts/2?window=1h";
    app.get(other).await;
    let before = app.accounts.asked().len();
    app.accounts.announce_about(2, UPDATED, 2).await;
    eventually(LONG, async || {
        app.get(other).await;
        match app.accounts.asked().len() {
            now if now > before => Ok(()),
            now => Err(format!("accounts was asked {now} times")),
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_repeated_event_carries_is_not_taken() {
    let app = prepopulating().await;
    rename_until_hit(&app).await;
    let before = app.accounts.asked().len();
    stream::repeat(app.nats.as_ref().unwrap(), "accounts").await;
    // It fences again, and what is behind the fence is asked for, conditionally: the repeat may be older than that.
    let asked = eventually(LONG, async || {
        app.get("/accounts/1").await;
        let asked = app.accounts.asked().split_off(before);
        if asked.is_empty() {
            Err("nobody asked accounts")
        } else {
            Ok(asked)
        }
    })
    .await;
    assert!(asked[0].if_none_match.is_some(), "{asked:?}");
    app.until_served_as("page; hit").await;
}

#[tokio::test]
async fn a_fragment_that_is_of_no_use_costs_a_request_and_not_the_page() {
    let app = prepopulating().await;
    let mut other_account = crate::app::account();
    other_account["id"] = json!(2);
    for (place, fragment) in [json!({ "id": 1 }), json!([]), json!("text"), other_account]
        .into_iter()
        .enumerate()
    {
        let name = format!("Name {place}");
        let revision = app.accounts.change(|account| account["name"] = json!(name));
        let before = app.accounts.asked().len();
        app.accounts
            .announce_fragment(1, UPDATED, revision, &fragment)
            .await;
        let (_, page) = until_named(&app, &name).await;
        assert_eq!(
            (&page["missing"], &page["stale"]),
            (&json!([]), &json!([])),
            "{fragment}"
        );
        assert!(app.accounts.asked().len() > before, "{fragment}");
    }
}

#[tokio::test]
async fn a_refresh_whose_source_is_down_costs_its_fragment_and_the_next_event_mends_it() {
    let app = prepopulating().await;
    app.accounts.behave(Behaviour::Status(500));
    let revision = app
        .accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    app.accounts.announce(UPDATED, revision).await;
    eventually(LONG, async || {
        let page = app.json().await;
        if page["stale"][0]["source"] == "accounts" {
            Ok(())
        } else {
            Err(page)
        }
    })
    .await;
    // Still down; what its relay says is enough.
    let (name, page) = rename_until_hit(&app).await;
    assert_eq!(
        (&page["account"]["name"], &page["stale"]),
        (&json!(name), &json!([]))
    );
}

#[tokio::test]
async fn a_deleted_account_is_gone_at_once_though_nothing_can_be_asked() {
    let app = prepopulating().await;
    rename_until_hit(&app).await;
    for source in app.sources() {
        source.behave(Behaviour::Status(500));
    }
    let revision = app.accounts.remove();
    app.accounts.announce("account.deleted", revision).await;
    eventually(LONG, async || {
        match app.get("/accounts/1").await.status().as_u16() {
            503 => Ok(()),
            status => Err(status),
        }
    })
    .await;
}
