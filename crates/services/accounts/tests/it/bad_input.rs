//! Each kind of bad input gets a clear problem and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};
use source_tests::header;

use crate::app::TestApp;

async fn refused(app: &TestApp, body: &Value) -> (u16, Value) {
    let response = app.post(body).await;
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let app = TestApp::spawn().await;
    let (status, problem) = refused(&app, &json!({ "name": "", "description": "x".repeat(281) })).await;
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap())
        .collect();
    assert_eq!((status, fields), (422, vec!["name", "description"]));
    for name in [
        "x".repeat(101),
        "a\u{0}b".to_owned(),
        "a\nb".to_owned(),
        "   ".to_owned(),
        "\u{200b}".to_owned(),
        "\u{3164}\u{2800}\u{115f}\u{ad}".to_owned(),
        "paid \u{202e}ton".to_owned(),
    ] {
        assert_eq!(refused(&app, &json!({ "name": name })).await.0, 422, "{name:?}");
    }
    for description in ["\u{202e}desrever", "\u{2066}isolated", "two\u{2028}lines"] {
        let body = json!({ "name": "a", "description": description });
        assert_eq!(refused(&app, &body).await.0, 422, "{description:?}");
    }
    let list: Value = app.get("/accounts").await.json().await.unwrap();
    assert_eq!(list["accounts"], json!([]), "nothing was created");
}

#[tokio::test]
async fn a_body_that_is_not_the_json_asked_for_is_refused() {
    let app = TestApp::spawn().await;
    assert_eq!(refused(&app, &json!({ "name": 7 })).await.0, 422);
    assert_eq!(refused(&app, &json!(["a name", "a description"])).await.0, 422);
    assert_eq!(refused(&app, &json!({ "nmae": "typo" })).await.0, 422);
    let send = async |body: String, content_type: &str| {
        let request = app
            .request(Method::POST, "/accounts")
            .header("content-type", content_type)
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "content-type"), "application/problem+json");
        response.status().as_u16()
    };
    assert_eq!(send("{".to_owned(), "application/json").await, 400);
    assert_eq!(send(r#"{"name":"a"}"#.to_owned(), "text/plain").await, 415);
    assert_eq!(
        send(
            format!(r#"{{"name":"{}"}}"#, "x".repeat(2 << 20)),
            "application/json"
        )
        .await,
        413
    );
}

#[tokio::test]
async fn a_path_or_query_that_cannot_be_read_is_refused() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/accounts/seven").await.status(), 400);
    assert_eq!(app.get("/accounts/99999999999999999999").await.status(), 400);
    assert_eq!(app.get("/accounts?limit=0").await.status(), 422);
    assert_eq!(app.get("/accounts?limit=101").await.status(), 422);
    assert_eq!(app.get("/nothing/here").await.status(), 404);
    assert_eq!(
        app.request(Method::PUT, "/accounts/1")
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
}

#[tokio::test]
async fn null_is_no_value_of_any_field_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let created = app.post(&json!({ "name": "a", "description": "d" })).await;
    let before: Value = created.json().await.unwrap();
    for (body, field) in [
        (json!({ "name": "b", "description": null }), "description"),
        (json!({ "name": null, "description": "e" }), "name"),
    ] {
        for response in [app.patch(1, &body).await, app.post(&body).await] {
            assert_eq!(response.status(), 422, "{body}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["errors"][0]["field"], field, "{body}");
        }
    }
    let alone = app.patch(1, &json!({ "description": null })).await;
    assert_eq!(alone.status(), 422);
    let list: Value = app.get("/accounts").await.json().await.unwrap();
    assert_eq!(list["accounts"], json!([before]));
}

#[tokio::test]
async fn a_patch_is_json_and_no_patch_format_and_not_compressed() {
    let app = TestApp::spawn().await;
    app.account("a").await;
    let patch = async |name: &str, value: &str| {
        let request = app
            .request(Method::PATCH, "/accounts/1")
            .header("content-type", "application/json");
        let request = match name {
            "content-type" => app.request(Method::PATCH, "/accounts/1"),
            _ => request,
        };
        let request = request.header(name, value).body(r#"{"name":"b"}"#);
        request.send().await.unwrap()
    };
    for format in [
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/vnd.api+json",
    ] {
        let refused = patch("content-type", format).await;
        assert_eq!(refused.status(), 415, "{format}");
        assert_eq!(header(&refused, "accept-patch"), "application/json");
    }
    assert_eq!(patch("content-encoding", "gzip").await.status(), 415);
    let account: Value = app.get("/accounts/1").await.json().await.unwrap();
    assert_eq!(account["name"], "a", "nothing was changed");
    let utf8 = patch("content-type", "application/json; charset=utf-8").await;
    assert_eq!(utf8.status(), 200);
}
