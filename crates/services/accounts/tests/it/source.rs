//! What every source shows, of an account; and what a client relies on that names a version of the list in its request.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::{Change, Source};

use crate::app::{Accounts, TestApp};

source_tests::tests_of_a_source!(Accounts);

impl Source for Accounts {
    const WHOSE: &str = "the account's";
    const READS: &[&str] = &["/accounts/1"];
    const ABSENT: &[&str] = &["/accounts/2"];
    const OTHERS: &[(&str, u16)] = &[("/accounts", 200), ("/nothing", 404), ("/openapi.json", 200)];

    fn creation() -> Change {
        Change::post("/accounts", json!({ "name": "a" }))
    }

    fn change(n: i64) -> Change {
        Change::patch("/accounts/1", json!({ "name": format!("name {n}") }))
    }

    fn other_changes() -> Vec<Change> {
        vec![Change::delete("/accounts/1")]
    }

    async fn assert_shows(&self, answered: &Value) {
        let account: Value = self.get("/accounts/1").await.json().await.unwrap();
        assert_eq!(&account, answered);
    }
}

async fn send_if(app: &TestApp, method: Method, name: &str, tag: &str) -> Response {
    let request = app.request(method.clone(), "/accounts").header(name, tag);
    let request = match method {
        Method::POST => request.json(&json!({ "name": "a" })),
        _ => request,
    };
    request.send().await.unwrap()
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
        let answer = send_if(&app, method.clone(), name, tag).await;
        assert_eq!(answer.status(), status, "{method} {name} {tag}");
    }
    let list: Value = app.get("/accounts").await.json().await.unwrap();
    assert_eq!(list["accounts"], json!([]), "nothing was created");
    let created = send_if(&app, Method::POST, "if-match", "*").await;
    assert_eq!(created.status(), 201);
}
