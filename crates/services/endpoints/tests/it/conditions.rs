//! What a writer relies on who says which version of the list a change is meant for.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::app::{TestApp, an_endpoint, header, path_of};
use crate::stream::changes;

const LIST: &str = "/accounts/1/endpoints";

async fn post_if_match(app: &TestApp, tag: &str, name: &str) -> Response {
    let request = app.request(Method::POST, LIST).header("if-match", tag);
    request.json(&an_endpoint(name)).send().await.unwrap()
}

async fn patch_if_match(app: &TestApp, tag: &str, name: &str) -> Response {
    let request = app.request(Method::PATCH, &path_of(1, 1)).header("if-match", tag);
    request.json(&json!({ "name": name })).send().await.unwrap()
}

async fn delete_if_match(app: &TestApp, tag: &str) -> Response {
    let request = app
        .request(Method::DELETE, &path_of(1, 1))
        .header("if-match", tag);
    request.send().await.unwrap()
}

async fn etag(app: &TestApp) -> String {
    header(&app.get(LIST).await, "etag").to_owned()
}

#[tokio::test]
async fn a_list_is_changed_at_a_version_that_is_named_and_at_no_other() {
    let app = TestApp::spawn().await;
    let empty = etag(&app).await;
    assert_eq!(post_if_match(&app, &empty, "a").await.status(), 201);
    let current = etag(&app).await;
    for stale in [&empty, "\"nope-1\"", "\"x\", \"y\"", &format!("W/{current}")] {
        for refused in [
            post_if_match(&app, stale, "b").await,
            patch_if_match(&app, stale, "b").await,
            patch_if_match(&app, stale, "a").await,
            delete_if_match(&app, stale).await,
        ] {
            assert_eq!(
                (refused.status().as_u16(), header(&refused, "etag")),
                (412, &*current)
            );
            assert_eq!(header(&refused, "content-type"), "application/problem+json");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["type"], "/problems/version-mismatch");
            assert_eq!(
                problem["detail"],
                format!("the endpoints' ETag is {current}"),
                "{stale}"
            );
        }
    }
    assert_eq!(etag(&app).await, current, "nothing was written");
    let of_the_endpoint = header(&app.get(&path_of(1, 1)).await, "etag").to_owned();
    let listed = format!("\"x\", {of_the_endpoint}");
    assert_eq!(patch_if_match(&app, &listed, "b").await.status(), 200);
    let changed = etag(&app).await;
    assert_eq!(delete_if_match(&app, &changed).await.status(), 204);
    let received = changes(&app, 3).await;
    let revisions: Vec<_> = received
        .iter()
        .map(|change| change.attribute("ce-revision"))
        .collect();
    assert_eq!(revisions, ["1", "2", "3"], "what was refused was not announced");
    assert_eq!(received[1].data["fragment"]["endpoints"][0]["name"], "b");
}

#[tokio::test]
async fn a_star_changes_what_exists_and_an_absence_is_not_found_whatever_is_named() {
    let app = TestApp::spawn().await;
    let added = post_if_match(&app, "*", "a").await;
    assert_eq!(added.status(), 201, "every account has a list, if an empty one");
    assert_eq!(patch_if_match(&app, "*", "b").await.status(), 200);
    assert_eq!(delete_if_match(&app, "*").await.status(), 204);
    let current = etag(&app).await;
    for tag in ["*", &current, "\"nope-1\""] {
        assert_eq!(patch_if_match(&app, tag, "c").await.status(), 404, "{tag}");
        assert_eq!(delete_if_match(&app, tag).await.status(), 404, "{tag}");
    }
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_is_refused_and_changes_nothing() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let before = etag(&app).await;
    for malformed in ["1", before.trim_matches('"'), &format!("*, {before}")] {
        for refused in [
            post_if_match(&app, malformed, "b").await,
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
    app.endpoint(1, "a").await;
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
        assert_eq!(app.list(1).await["endpoints"], json!([won]));
    }
}

async fn send_if(app: &TestApp, method: Method, path: &str, conditions: &[(&str, &str)]) -> Response {
    let request = conditions
        .iter()
        .fold(app.request(method.clone(), path), |request, (name, tag)| {
            request.header(*name, *tag)
        });
    let request = match method {
        Method::POST => request.json(&an_endpoint("another")),
        Method::PATCH => request.json(&json!({ "name": "changed" })),
        _ => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_list_that_if_none_match_names_is_not_changed() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let current = etag(&app).await;
    let one = path_of(1, 1);
    let methods = [
        (Method::POST, LIST),
        (Method::PATCH, &one),
        (Method::DELETE, &one),
    ];
    for (method, path) in &methods {
        let refused_by = async |named: &str| {
            let refused = send_if(&app, method.clone(), path, &[("if-none-match", named)]).await;
            assert_eq!(refused.status(), 412, "{method} {named}");
            assert_eq!(header(&refused, "etag"), current);
        };
        refused_by("*").await;
        refused_by(&current).await;
        refused_by(&format!("W/{current}")).await;
        let malformed = send_if(&app, method.clone(), path, &[("if-none-match", "x")]).await;
        assert_eq!(malformed.status(), 400);
    }
    assert_eq!(etag(&app).await, current, "nothing was written");
    for ((method, path), status) in methods.into_iter().zip([201, 200, 204]) {
        let other = send_if(&app, method.clone(), path, &[("if-none-match", "\"x\"")]).await;
        assert_eq!(other.status(), status, "{method}");
    }
}

#[tokio::test]
async fn if_match_holds_for_readers_and_is_evaluated_first() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let current = &*etag(&app).await;
    let one = path_of(1, 1);
    for (method, path) in [
        (Method::GET, LIST),
        (Method::HEAD, LIST),
        (Method::GET, &one),
        (Method::HEAD, &one),
    ] {
        let read = async |conditions: &[(&str, &str)]| {
            let response = send_if(&app, method.clone(), path, conditions).await;
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
        let malformed = send_if(&app, method.clone(), path, &[("if-match", "x")]).await;
        assert_eq!(malformed.status(), 400);
    }
    let absent = send_if(&app, Method::GET, &path_of(1, 2), &[("if-match", "\"x\"")]).await;
    assert_eq!(
        absent.status(),
        404,
        "what is 404 without a condition is 404 with one"
    );
}

/// RFC 9111, section 4.2.2: without a word, caches guess.
#[tokio::test]
async fn every_answer_says_to_caches_that_it_is_to_be_asked_about() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let current = etag(&app).await;
    let (one, another) = (path_of(1, 1), path_of(1, 2));
    for (path, condition, status) in [
        (LIST, None, 200),
        (LIST, Some(("if-none-match", &*current)), 304),
        (LIST, Some(("if-match", "\"x\"")), 412),
        ("/accounts/2/endpoints", None, 200),
        (&one, None, 200),
        (&one, Some(("if-none-match", &*current)), 304),
        (&another, None, 404),
        ("/nothing", None, 404),
    ] {
        let answer = send_if(&app, Method::GET, path, condition.as_slice()).await;
        assert_eq!(answer.status(), status, "{path} {condition:?}");
        assert_eq!(header(&answer, "cache-control"), "private, no-cache", "{path}");
    }
}
