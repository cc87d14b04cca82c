//! Each kind of bad input gets a clear problem and changes nothing.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::header;

use crate::app::{LIST, TestApp};

/// The status of a problem, and the fields it names.
async fn problem(response: Response) -> (u16, Vec<String>) {
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let fields = errors.iter().map(|e| e["field"].as_str().unwrap().to_owned());
    (status, fields.collect())
}

fn wrong_urls() -> Vec<String> {
    let mut urls = [
        "",
        "example.org",
        "/path",
        "http://",
        "https://exa mple.org/",
        "https://example.org:99999/",
        "ftp://example.org/",
        "javascript:alert(1)",
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://example.org/a\nb",
        "https://example.org/\u{0}",
    ]
    .map(str::to_owned)
    .to_vec();
    urls.push(format!("https://example.org/{}", "x".repeat(2029)));
    urls.push(format!("https://example.org/{}", "ä".repeat(500)));
    urls
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let app = TestApp::spawn().await;
    let both = app.post(1, &json!({ "name": "", "url": "nowhere" })).await;
    assert_eq!(problem(both).await, (422, vec!["name".into(), "url".into()]));
    app.endpoint(1, "a").await;
    let both = app
        .patch(1, 1, &json!({ "name": "x".repeat(101), "url": "nowhere" }))
        .await;
    assert_eq!(problem(both).await, (422, vec!["name".into(), "url".into()]));
}

#[tokio::test]
async fn a_wrong_name_or_url_is_refused_and_changes_nothing() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let before = app.list(1).await;
    let long = "x".repeat(101);
    let unseen = ["\u{200b}", "\u{3164}\u{2800}\u{115f}\u{ad}"];
    let control = ["a\u{0}b", "a\nb", "paid \u{202e}ton", "\u{2066}a"];
    for name in ["", "   ", &long].into_iter().chain(unseen).chain(control) {
        let body = json!({ "name": name, "url": "https://example.org/" });
        let expected = (422, vec!["name".to_owned()]);
        assert_eq!(problem(app.post(1, &body).await).await, expected, "{name:?}");
        assert_eq!(problem(app.patch(1, 1, &body).await).await, expected, "{name:?}");
    }
    for url in wrong_urls() {
        let body = json!({ "name": "b", "url": url });
        let expected = (422, vec!["url".to_owned()]);
        assert_eq!(problem(app.post(1, &body).await).await, expected, "{url:?}");
        assert_eq!(problem(app.patch(1, 1, &body).await).await, expected, "{url:?}");
    }
    assert_eq!(app.list(1).await, before);
}

#[tokio::test]
async fn a_body_that_is_not_the_json_asked_for_is_refused() {
    let app = TestApp::spawn().await;
    let url = "https://example.org/";
    let unknown = json!({ "name": "a", "url": url, "account_id": 2 });
    let wrong_shapes = [
        json!({ "name": 7, "url": url }),
        json!({ "name": "a" }),
        json!([]),
        unknown,
    ];
    for shape in wrong_shapes {
        let response = app.post(1, &shape).await;
        assert_eq!(problem(response).await.0, 422, "{shape}");
    }
    let response = app.patch(1, 1, &json!({ "nmae": "typo" })).await;
    assert_eq!(problem(response).await.0, 422);
    let send = async |body: String, content_type: &str| {
        let request = app
            .request(Method::POST, LIST)
            .header("content-type", content_type)
            .body(body);
        problem(request.send().await.unwrap()).await.0
    };
    let valid = json!({ "name": "a", "url": url }).to_string();
    let large = json!({ "name": "x".repeat(2 << 20), "url": url }).to_string();
    assert_eq!(send("{".to_owned(), "application/json").await, 400);
    assert_eq!(send(valid.clone(), "text/plain").await, 415);
    assert_eq!(send(large, "application/json").await, 413);
    assert_eq!(app.list(1).await["revision"], 0, "nothing was added");
    let right = app.post(1, &serde_json::from_str(&valid).unwrap()).await;
    assert_eq!(right.status(), 201, "it was not the body's fault");
}

#[tokio::test]
async fn a_path_that_cannot_be_read_is_refused() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    for path in [
        "/accounts/seven/endpoints",
        "/accounts/1.5/endpoints",
        "/accounts/99999999999999999999/endpoints",
        "/accounts/1/endpoints/one",
        "/accounts/one/endpoints/1",
    ] {
        assert_eq!(problem(app.get(path).await).await.0, 400, "{path}");
    }
    assert_eq!(problem(app.get("/accounts/1").await).await.0, 404);
    let put = app.request(Method::PUT, LIST).send().await.unwrap();
    assert_eq!(problem(put).await.0, 405);
}

#[tokio::test]
async fn an_account_that_cannot_be_gets_no_endpoints() {
    let app = TestApp::spawn().await;
    for account in [0, -1] {
        let response = app
            .post(account, &json!({ "name": "a", "url": "https://example.org/" }))
            .await;
        assert_eq!(problem(response).await, (422, vec!["id".to_owned()]));
        assert_eq!(app.list(account).await["revision"], 0);
    }
}

#[tokio::test]
async fn null_is_no_value_of_any_field_and_changes_nothing() {
    let app = TestApp::spawn().await;
    app.endpoint(1, "a").await;
    let before = app.list(1).await;
    for (body, field) in [
        (json!({ "name": null, "url": "https://example.org/" }), "name"),
        (json!({ "name": "b", "url": null }), "url"),
    ] {
        let expected = (422, vec![field.to_owned()]);
        assert_eq!(problem(app.post(1, &body).await).await, expected, "{body}");
        assert_eq!(problem(app.patch(1, 1, &body).await).await, expected, "{body}");
    }
    assert_eq!(app.list(1).await, before);
}
