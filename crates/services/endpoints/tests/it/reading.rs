//! What a reader gets.

use serde_json::{Value, json};
use source_tests::{header, version};

use crate::app::{LIST, TestApp, an_endpoint, path_of};

#[tokio::test]
async fn an_endpoint_is_answered_as_it_was_added_alone_and_in_the_list() {
    let app = TestApp::spawn().await;
    let added = app
        .post(
            1,
            &json!({ "name": "Ünïcode & <b>", "url": "HTTPS://Example.ORG:443/a b" }),
        )
        .await;
    assert_eq!(header(&added, "location"), "/accounts/1/endpoints/1");
    let added: Value = added.json().await.unwrap();
    assert_eq!(
        (&added["account_id"], &added["name"], &added["url"]),
        (
            &json!(1),
            &json!("Ünïcode & <b>"),
            &json!("https://example.org/a%20b")
        )
    );
    let alone: Value = app.get(&path_of(1, 1)).await.json().await.unwrap();
    assert_eq!(alone, added);
    assert_eq!(
        app.list(1).await,
        json!({ "account_id": 1, "revision": 1, "endpoints": [added] })
    );
}

#[tokio::test]
async fn the_list_is_by_id_and_holds_only_the_accounts_own() {
    let app = TestApp::spawn().await;
    for (account, name) in [(1, "a"), (2, "b"), (1, "c"), (1, "d")] {
        app.endpoint(account, name).await;
    }
    app.delete(1, 3).await;
    app.patch(1, 1, &json!({ "name": "z" })).await;
    let list = app.list(1).await;
    let names: Vec<_> = list["endpoints"].as_array().unwrap().iter().collect();
    let names: Vec<_> = names.iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!((names, &list["revision"]), (vec!["z", "d"], &json!(5)));
    assert_eq!(app.list(2).await["revision"], 1);
    assert_eq!(app.get(&path_of(2, 1)).await.status(), 404, "another account's");
}

#[tokio::test]
async fn an_account_without_any_event_has_an_empty_list_of_revision_0() {
    let app = TestApp::spawn().await;
    let answer = app.get(LIST).await;
    let etag = header(&answer, "etag").to_owned();
    assert_eq!(version(&etag).1, 0);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!({ "account_id": 1, "revision": 0, "endpoints": [] }));
    assert_eq!(app.get_if_none_match(LIST, &etag).await.status(), 304);
}

#[tokio::test]
async fn an_answer_that_is_still_current_is_304_and_one_that_is_not_is_whole() {
    let app = TestApp::spawn().await;
    let id = app.endpoint(1, "a").await;
    for path in [LIST, &path_of(1, id)] {
        let etag = header(&app.get(path).await, "etag").to_owned();
        let unchanged = app.get_if_none_match(path, &etag).await;
        assert_eq!(
            (unchanged.status().as_u16(), header(&unchanged, "etag")),
            (304, etag.as_str())
        );
        assert_eq!(unchanged.text().await.unwrap(), "");
        app.endpoint(2, "of another account").await;
        assert_eq!(app.get_if_none_match(path, &etag).await.status(), 304);
        app.endpoint(1, "another").await;
        assert_eq!(app.get_if_none_match(path, &etag).await.status(), 200);
    }
}

#[tokio::test]
async fn a_304_is_answered_without_reading_the_endpoints() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let etag = header(&app.get(LIST).await, "etag").to_owned();
    app.database()
        .execute_batch("ALTER TABLE endpoints RENAME TO out_of_reach")
        .unwrap();
    assert_eq!(app.get(LIST).await.status(), 500, "there is nothing to read");
    assert_eq!(app.get_if_none_match(LIST, &etag).await.status(), 304);
}

#[tokio::test]
async fn a_missing_endpoint_is_a_problem_under_its_accounts_version() {
    let app = TestApp::spawn().await;
    let id = app.endpoint(1, "a").await;
    let removed = app.delete(1, id).await;
    let etag = header(&removed, "etag").to_owned();
    let missing = app.get(&path_of(1, id)).await;
    assert_eq!(
        (missing.status().as_u16(), header(&missing, "content-type")),
        (404, "application/problem+json")
    );
    assert_eq!(header(&missing, "etag"), etag);
    let problem: Value = missing.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/endpoint-not-found");
    assert_eq!(app.get_if_none_match(&path_of(1, id), "*").await.status(), 404);
    assert_eq!(app.patch(1, id, &json!({ "name": "b" })).await.status(), 404);
    assert_eq!(
        app.delete(1, id).await.status(),
        404,
        "removing twice is told apart"
    );
    assert_eq!(app.list(1).await["revision"], 2, "none of that is a change");
}

#[tokio::test]
async fn the_service_describes_itself_and_says_that_it_lives() {
    let app = TestApp::spawn().await;
    app.post(1, &an_endpoint("a")).await;
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert!(document["paths"]["/accounts/{id}/endpoints"]["post"].is_object());
    assert!(document["paths"]["/accounts/{id}/endpoints/{endpoint}"]["patch"].is_object());
    assert_eq!(app.get("/livez").await.status(), 200);
    assert_eq!(app.get("/readyz").await.status(), 200);
    let ready = app.get("/readyz").await.text().await.unwrap();
    assert!(ready.starts_with("ready; the broker is "), "{ready}");
    assert_eq!(app.get("/metrics").await.status(), 200);
}

#[tokio::test]
async fn an_endpoint_that_was_named_when_more_was_allowed_is_still_there() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    app.database()
        .execute("UPDATE endpoints SET name = ?1", ["\u{202e}\u{200b}"])
        .unwrap();
    assert_eq!(app.list(1).await["endpoints"][0]["name"], "\u{202e}\u{200b}");
    assert_eq!(app.patch(1, 1, &json!({ "name": "b" })).await.status(), 200);
}
