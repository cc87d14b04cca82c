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
