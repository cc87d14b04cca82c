//! The endpoints service as a test starts it; its methods are a user's verbs.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use source_tests::Running;

source_tests::service!(Endpoints, endpoints);

pub(crate) type TestApp = Running<Endpoints>;

pub(crate) const LIST: &str = "/accounts/1/endpoints";

impl Endpoints {
    pub(crate) async fn post(&self, account: i64, body: &Value) -> Response {
        let path = format!("/accounts/{account}/endpoints");
        self.send(Method::POST, &path, body).await
    }

    pub(crate) async fn patch(&self, account: i64, endpoint: i64, body: &Value) -> Response {
        self.send(Method::PATCH, &path_of(account, endpoint), body).await
    }

    pub(crate) async fn delete(&self, account: i64, endpoint: i64) -> Response {
        let request = self.request(Method::DELETE, &path_of(account, endpoint));
        request.send().await.unwrap()
    }

    /// Adds an endpoint and returns its id.
    pub(crate) async fn endpoint(&self, account: i64, name: &str) -> i64 {
        let response = self.post(account, &an_endpoint(name)).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
    }

    /// The account's endpoints, as they are answered.
    pub(crate) async fn list(&self, account: i64) -> Value {
        let response = self.get(&format!("/accounts/{account}/endpoints")).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }
}

pub(crate) fn an_endpoint(name: &str) -> Value {
    json!({ "name": name, "url": "https://example.org/" })
}

pub(crate) fn path_of(account: i64, endpoint: i64) -> String {
    format!("/accounts/{account}/endpoints/{endpoint}")
}
