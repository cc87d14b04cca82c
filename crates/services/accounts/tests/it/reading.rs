//! What a reader gets.

use serde_json::{Value, json};
use source_tests::{header, version};

use crate::app::TestApp;

#[tokio::test]
async fn an_account_is_answered_as_it_was_created() {
    let app = TestApp::spawn().await;
    let created = app
        .post(&json!({ "name": "Ünïcode & <b>", "description": "d" }))
        .await;
    assert_eq!(header(&created, "location"), "/accounts/1");
    let created: Value = created.json().await.unwrap();
    let read: Value = app.get("/accounts/1").await.json().await.unwrap();
    assert_eq!(read, created);
    assert_eq!(
        (&read["name"], &read["revision"]),
        (&json!("Ünïcode & <b>"), &json!(1))
    );
}

#[tokio::test]
async fn an_answer_that_is_still_current_is_304_and_one_that_is_not_is_whole() {
    let app = TestApp::spawn().await;
    let id = app.account("a").await;
    let path = format!("/accounts/{id}");
    let etag = header(&app.get(&path).await, "etag").to_owned();
    let unchanged = app.get_if_none_match(&path, &etag).await;
    assert_eq!(
        (unchanged.status().as_u16(), header(&unchanged, "etag")),
        (304, etag.as_str())
    );
    app.patch(id, &json!({ "name": "b" })).await;
    assert_eq!(app.get_if_none_match(&path, &etag).await.status(), 200);
}

#[tokio::test]
async fn an_absence_has_a_version_and_a_deleted_account_another() {
    let app = TestApp::spawn().await;
    let never = app.get("/accounts/1").await;
    assert_eq!(never.status(), 404);
    let never = header(&never, "etag").to_owned();
    let (_, revision, nonce) = version(&never);
    assert_eq!((revision, nonce.as_str()), (0, "0000000000000000"));
    let unchanged = app.get_if_none_match("/accounts/1", &never).await;
    assert_eq!(
        (unchanged.status().as_u16(), header(&unchanged, "cache-control")),
        (304, "private, no-cache")
    );
    assert_eq!(
        app.get_if_none_match("/accounts/1", "*").await.status(),
        404,
        "there is nothing at all"
    );
    let id = app.account("a").await;
    assert_eq!(app.get_if_none_match("/accounts/1", "*").await.status(), 304);
    app.delete(id).await;
    let gone = app.get("/accounts/1").await;
    assert_eq!(
        (gone.status().as_u16(), header(&gone, "content-type")),
        (404, "application/problem+json")
    );
    assert_eq!(version(header(&gone, "etag")).1, 2, "created, then deleted");
}

#[tokio::test]
async fn the_list_is_paged_by_id_and_leaves_deleted_ones_out() {
    let app = TestApp::spawn().await;
    for name in ["a", "b", "c", "d"] {
        app.account(name).await;
    }
    app.delete(2).await;
    let ids = |list: &Value| {
        list["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    let first: Value = app.get("/accounts?limit=2").await.json().await.unwrap();
    assert_eq!((ids(&first), &first["next"]), (vec![1, 3], &json!(3)));
    let second: Value = app.get("/accounts?limit=2&after=3").await.json().await.unwrap();
    assert_eq!((ids(&second), &second["next"]), (vec![4], &json!(null)));
}

#[tokio::test]
async fn the_service_describes_itself_and_says_that_it_lives() {
    let app = TestApp::spawn().await;
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert!(document["paths"]["/accounts/{id}"]["patch"].is_object());
    assert_eq!(app.get("/livez").await.status(), 200);
    assert_eq!(app.get("/readyz").await.status(), 200);
    let ready = app.get("/readyz").await.text().await.unwrap();
    assert!(ready.starts_with("ready; the broker is "), "{ready}");
}

#[tokio::test]
async fn a_next_page_is_named_only_if_it_has_an_account() {
    let app = TestApp::spawn().await;
    for _ in 0..101 {
        app.account("a").await;
    }
    let next = async |query: &str| {
        let list: Value = app.get(&format!("/accounts{query}")).await.json().await.unwrap();
        (list["accounts"].as_array().unwrap().len(), list["next"].as_i64())
    };
    assert_eq!(next("").await, (100, Some(100)));
    assert_eq!(next("?after=100").await, (1, None));
    app.delete(101).await;
    assert_eq!(next("").await, (100, None), "full to the last account");
    assert_eq!(next("?limit=50").await, (50, Some(50)));
    assert_eq!(next("?limit=50&after=50").await, (50, None));
    assert_eq!(next("?limit=1&after=100").await, (0, None));
}

#[tokio::test]
async fn an_account_that_was_named_when_more_was_allowed_is_still_there() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    app.database()
        .execute(
            "UPDATE accounts SET name = ?1, description = ?1",
            ["\u{202e}\u{200b}"],
        )
        .unwrap();
    let account: Value = app.get("/accounts/1").await.json().await.unwrap();
    assert_eq!(account["name"], "\u{202e}\u{200b}");
    let patched = app.patch(1, &json!({ "name": "b", "description": "" })).await;
    assert_eq!(patched.status(), 200);
}
