//! What a writer relies on who says which version a change is meant for.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::app::{TestApp, header};

async fn patch_if_match(app: &TestApp, tag: &str, name: &str) -> Response {
    app.request(Method::PATCH, "/accounts/1")
        .header("if-match", tag)
        .json(&json!({ "name": name }))
        .send()
        .await
        .unwrap()
}

async fn delete_if_match(app: &TestApp, tag: &str) -> Response {
    app.request(Method::DELETE, "/accounts/1")
        .header("if-match", tag)
        .send()
        .await
        .unwrap()
}

async fn etag(app: &TestApp) -> String {
    header(&app.get("/accounts/1").await, "etag").to_owned()
}

#[tokio::test]
async fn a_change_is_made_to_a_version_that_is_named_and_to_no_other() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let first = etag(&app).await;
    assert_eq!(patch_if_match(&app, &first, "b").await.status(), 200);
    let second = etag(&app).await;
    for stale in [&first, "\"nope-1\"", "\"x\", \"y\"", &format!("W/{second}")] {
        for refused in [
            patch_if_match(&app, stale, "c").await,
            patch_if_match(&app, stale, "b").await,
            delete_if_match(&app, stale).await,
        ] {
            assert_eq!(
                (refused.status().as_u16(), header(&refused, "etag")),
                (412, &*second)
            );
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/version-mismatch");
            assert_eq!(
                problem["detail"],
                format!("the account's ETag is {second}"),
                "{stale}"
            );
        }
    }
    assert_eq!(etag(&app).await, second, "nothing was written");
    let listed = format!("\"x\", {second}");
    assert_eq!(patch_if_match(&app, &listed, "c").await.status(), 200);
    let third = etag(&app).await;
    assert_eq!(delete_if_match(&app, &third).await.status(), 204);
}

#[tokio::test]
async fn a_star_changes_what_exists_and_an_absence_is_not_found_whatever_is_named() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    assert_eq!(patch_if_match(&app, "*", "b").await.status(), 200);
    assert_eq!(delete_if_match(&app, "*").await.status(), 204);
    let absence = etag(&app).await;
    for tag in ["*", &absence, "\"nope-1\""] {
        assert_eq!(patch_if_match(&app, tag, "c").await.status(), 404, "{tag}");
        assert_eq!(delete_if_match(&app, tag).await.status(), 404, "{tag}");
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_refused_and_changes_nothing() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let before = etag(&app).await;
    for malformed in ["1", before.trim_matches('"'), &format!("*, {before}")] {
        for refused in [
            patch_if_match(&app, malformed, "b").await,
            delete_if_match(&app, malformed).await,
        ] {
            assert_eq!(refused.status(), 400, "{malformed}");
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
        }
    }
    assert_eq!(etag(&app).await, before);
}

#[tokio::test]
async fn of_two_writers_who_name_the_same_version_exactly_one_wins() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    for round in 0..20 {
        let before = etag(&app).await;
        let (one, other) = (format!("one {round}"), format!("other {round}"));
        let (one, other) = tokio::join!(
            patch_if_match(&app, &before, &one),
            patch_if_match(&app, &before, &other),
        );
        let (won, lost) = if one.status() == 200 {
            (one, other)
        } else {
            (other, one)
        };
        assert_eq!((won.status().as_u16(), lost.status().as_u16()), (200, 412));
        assert_eq!(header(&lost, "etag"), header(&won, "etag"));
        let won: Value = won.json().await.unwrap();
        let current: Value = app.get("/accounts/1").await.json().await.unwrap();
        assert_eq!(won, current, "the loser wrote nothing over it");
    }
}

#[tokio::test]
async fn a_renewed_incarnation_has_none_of_the_versions_of_before() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let before = etag(&app).await;
    let app = app.respawn(&["--renew-incarnation"]).await;
    assert_eq!(patch_if_match(&app, &before, "b").await.status(), 412);
}

async fn send_if(app: &TestApp, method: Method, path: &str, conditions: &[(&str, &str)]) -> Response {
    let request = conditions
        .iter()
        .fold(app.request(method.clone(), path), |request, (name, tag)| {
            request.header(*name, *tag)
        });
    let request = match method {
        Method::POST | Method::PATCH => request.json(&json!({ "name": "changed" })),
        _ => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn what_if_none_match_names_is_neither_changed_nor_deleted() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let current = etag(&app).await;
    for method in [Method::PATCH, Method::DELETE] {
        let refused_by = async |named: &str| {
            let conditions = [("if-none-match", named)];
            let refused = send_if(&app, method.clone(), "/accounts/1", &conditions).await;
            assert_eq!(refused.status(), 412, "{method} {named}");
            assert_eq!(header(&refused, "etag"), current);
        };
        refused_by("*").await;
        refused_by(&current).await;
        refused_by(&format!("W/{current}")).await;
        let malformed = send_if(&app, method, "/accounts/1", &[("if-none-match", "x")]).await;
        assert_eq!(malformed.status(), 400);
    }
    let unchanged = app.get("/accounts/1").await;
    assert_eq!(header(&unchanged, "etag"), current, "nothing was written");
    for (method, status) in [(Method::PATCH, 200), (Method::DELETE, 204)] {
        let other = send_if(&app, method.clone(), "/accounts/1", &[("if-none-match", "\"x\"")]).await;
        assert_eq!(other.status(), status, "{method}");
    }
}

#[tokio::test]
async fn if_match_holds_for_readers_and_is_evaluated_first() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let current = &*etag(&app).await;
    for method in [Method::GET, Method::HEAD] {
        let read = async |conditions: &[(&str, &str)]| {
            let response = send_if(&app, method.clone(), "/accounts/1", conditions).await;
            assert_eq!(header(&response, "etag"), current);
            response.status().as_u16()
        };
        assert_eq!(read(&[("if-match", "\"x\"")]).await, 412);
        assert_eq!(read(&[("if-match", &format!("W/{current}"))]).await, 412);
        assert_eq!(read(&[("if-match", current)]).await, 200);
        assert_eq!(read(&[("if-match", "*")]).await, 200);
        let both = |tag| [("if-none-match", current), ("if-match", tag)];
        assert_eq!(read(&both("\"x\"")).await, 412);
        assert_eq!(read(&both(current)).await, 304);
    }
    let malformed = send_if(&app, Method::GET, "/accounts/1", &[("if-match", "x")]).await;
    assert_eq!(malformed.status(), 400);
    for tag in ["\"x\"", "*"] {
        let absent = send_if(&app, Method::GET, "/accounts/2", &[("if-match", tag)]).await;
        assert_eq!(
            absent.status(),
            404,
            "what is 404 without a condition is 404 with one"
        );
    }
}

#[tokio::test]
async fn the_list_exists_and_no_tag_names_it() {
    let app = TestApp::spawn().await;
    for (method, name, tag, status) in [
        (Method::GET, "if-match", "\"x\"", 412),
        (Method::GET, "if-match", "*", 200),
        (Method::GET, "if-none-match", "\"x\"", 200),
        (Method::GET, "if-none-match", "*", 304),
        (Method::POST, "if-match", "\"x\"", 412),
        (Method::POST, "if-none-match", "*", 412),
    ] {
        let answer = send_if(&app, method.clone(), "/accounts", &[(name, tag)]).await;
        assert_eq!(answer.status(), status, "{method} {name} {tag}");
    }
    let list: Value = app.get("/accounts").await.json().await.unwrap();
    assert_eq!(list["accounts"], json!([]), "nothing was created");
    let created = send_if(&app, Method::POST, "/accounts", &[("if-match", "*")]).await;
    assert_eq!(created.status(), 201);
}

/// RFC 9111, section 4.2.2: without a word, caches guess.
#[tokio::test]
async fn every_answer_says_to_caches_that_it_is_to_be_asked_about() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let current = etag(&app).await;
    let absence = header(&app.get("/accounts/2").await, "etag").to_owned();
    for (path, condition, status) in [
        ("/accounts", None, 200),
        ("/accounts/1", None, 200),
        ("/accounts/1", Some(("if-none-match", &*current)), 304),
        ("/accounts/1", Some(("if-match", "\"x\"")), 412),
        ("/accounts/2", None, 404),
        ("/accounts/2", Some(("if-none-match", &*absence)), 304),
        ("/nothing", None, 404),
        ("/openapi.json", None, 200),
    ] {
        let answer = send_if(&app, Method::GET, path, condition.as_slice()).await;
        assert_eq!(answer.status(), status, "{path} {condition:?}");
        assert_eq!(header(&answer, "cache-control"), "private, no-cache", "{path}");
    }
}
