//! The accounts service as a test starts it; its methods are a user's verbs.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::Running;

source_tests::service!(Accounts, accounts);

pub(crate) type TestApp = Running<Accounts>;

impl Accounts {
    pub(crate) async fn post(&self, body: &Value) -> Response {
        self.send(Method::POST, "/accounts", body).await
    }

    pub(crate) async fn patch(&self, id: i64, body: &Value) -> Response {
        self.send(Method::PATCH, &format!("/accounts/{id}"), body).await
    }

    pub(crate) async fn delete(&self, id: i64) -> Response {
        let request = self.request(Method::DELETE, &format!("/accounts/{id}"));
        request.send().await.unwrap()
    }

    /// Creates an account and returns its id.
    pub(crate) async fn account(&self, name: &str) -> i64 {
        let response = self.post(&json!({ "name": name })).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
    }
}
