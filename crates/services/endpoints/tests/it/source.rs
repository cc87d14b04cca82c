//! What every source shows, of an account's endpoints.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::{Change, Source, header};

use crate::app::{Endpoints, LIST, TestApp, an_endpoint};

const FIRST: &str = "/accounts/1/endpoints/1";

source_tests::tests_of_a_source!(Endpoints);

impl Source for Endpoints {
    const WHOSE: &str = "the endpoints'";
    const READS: &[&str] = &[LIST, FIRST];
    const ABSENT: &[&str] = &["/accounts/1/endpoints/2"];
    const OTHERS: &[(&str, u16)] = &[("/accounts/2/endpoints", 200), ("/nothing", 404)];

    fn creation() -> Change {
        Change::post(LIST, an_endpoint("a"))
    }

    fn change(n: i64) -> Change {
        Change::patch(FIRST, json!({ "name": format!("name {n}") }))
    }

    fn other_changes() -> Vec<Change> {
        vec![Change::post(LIST, an_endpoint("another")), Change::delete(FIRST)]
    }

    async fn assert_shows(&self, answered: &Value) {
        assert_eq!(self.list(1).await["endpoints"], json!([answered]));
    }
}

async fn post_if_match(app: &TestApp, tag: &str) -> Response {
    let request = app.request(Method::POST, LIST).header("if-match", tag);
    request.json(&an_endpoint("a")).send().await.unwrap()
}

#[tokio::test]
async fn every_account_has_a_list_if_an_empty_one_and_it_has_a_version() {
    let app = TestApp::spawn().await;
    let empty = header(&app.get(LIST).await, "etag").to_owned();
    assert_eq!(post_if_match(&app, &empty).await.status(), 201);
    assert_eq!(post_if_match(&app, &empty).await.status(), 412);
    app.delete(1, 1).await;
    assert_eq!(post_if_match(&app, "*").await.status(), 201);
}
