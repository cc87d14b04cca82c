//! Whose endpoints are whose, in whatever order, and however often, the events of accounts arrive.

use reqwest::Response;
use serde_json::{Value, json};
use source_tests::lives::life_of;
use source_tests::{AccountData, Accounts};

use crate::app::{Endpoints, TestApp, an_endpoint};

source_tests::tests_of_account_data!(Endpoints);

impl AccountData for Endpoints {
    const WRITTEN: &str = "endpoint.added";
    const DELETED: &str = "endpoints.deleted";

    fn path(account: i64) -> String {
        format!("/accounts/{account}/endpoints")
    }

    async fn add(&self, account: i64) -> Response {
        self.post(account, &an_endpoint("a")).await
    }

    async fn assert_written(&self, account: i64, count: usize) {
        let list = self.list(account).await;
        let found = list["endpoints"].as_array().unwrap().len();
        assert_eq!(found, count, "{account}: {list}");
    }
}

#[tokio::test]
async fn an_answer_and_a_fragment_say_whose_they_are() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    app.write(1).await;
    assert_eq!(life_of(&app, 1).await, None);
    let before = app.answer(1, None).await.headers()["etag"].clone();
    accounts.announce("created", 1).await;
    accounts.applied_by(&app).await;
    let life = accounts.life(1).to_string();
    assert_eq!(life_of(&app, 1).await.as_ref(), Some(&life));
    let after = app.answer(1, None).await.headers()["etag"].clone();
    assert_eq!(before, after, "the same endpoints");
    app.write(1).await;
    let told: Vec<Value> = app
        .changes(2)
        .await
        .iter()
        .map(|change| change.data["account_life"].clone())
        .collect();
    assert_eq!(told, [Value::Null, json!(life)]);
}
