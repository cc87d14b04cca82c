//! Whose endpoints are whose, in whatever order, and however often, the events of accounts arrive.

use reqwest::Response;
use serde_json::{Value, json};
use source_tests::lives::life_of;
use source_tests::{Accounts, App};
use test_support::NatsServer;

use crate::app::TestApp;
use crate::deletions::refused_as_deleted;
use crate::stream::changes;

source_tests::tests_of_lives!(TestApp);

impl App for TestApp {
    const NAME: &str = "endpoints";

    async fn spawn() -> Self {
        Self::spawn().await
    }

    async fn respawn_reset(self) -> Self {
        self.respawn_reset().await
    }

    fn nats(&self) -> &NatsServer {
        &self.nats
    }

    fn nats_mut(&mut self) -> &mut NatsServer {
        &mut self.nats
    }

    async fn write(&self, account: i64) {
        self.endpoint(account, "acknowledged").await;
    }

    async fn assert_written(&self, account: i64, count: usize) {
        let list = self.list(account).await;
        assert_eq!(
            list["endpoints"].as_array().unwrap().len(),
            count,
            "{account}: {list}"
        );
    }

    async fn assert_refused(&self, account: i64) {
        refused_as_deleted(self, account).await;
    }

    async fn answer(&self, account: i64, held: Option<&str>) -> Response {
        let path = format!("/accounts/{account}/endpoints");
        match held {
            Some(etag) => self.get_if_none_match(&path, etag).await,
            None => self.get(&path).await,
        }
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
    let told: Vec<Value> = changes(&app, 2)
        .await
        .iter()
        .map(|change| change.data["account_life"].clone())
        .collect();
    assert_eq!(told, [Value::Null, json!(life)]);
}
