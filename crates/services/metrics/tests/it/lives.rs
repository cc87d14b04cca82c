//! Whose samples are whose, in whatever order, and however often, the events of accounts arrive.

use reqwest::Response;
use source_tests::App;
use test_support::NatsServer;

use crate::app::{TestApp, sample};
use crate::deletion::{refused_as_deleted, rows_left};

source_tests::tests_of_lives!(TestApp);

impl App for TestApp {
    const NAME: &str = "metrics";

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
        self.record(account, &[sample(1, 1, 1)]).await;
    }

    async fn assert_written(&self, account: i64, count: usize) {
        let answer = self.metrics(account, "7d").await;
        let samples = answer["endpoints"][0]["samples"].as_u64().unwrap_or_default();
        assert_eq!(samples, count as u64, "{account}: {answer}");
        assert_eq!(rows_left(self, account), i64::try_from(count).unwrap());
    }

    async fn assert_refused(&self, account: i64) {
        refused_as_deleted(self, account).await;
    }

    async fn answer(&self, account: i64, held: Option<&str>) -> Response {
        let path = format!("/accounts/{account}/metrics?window=7d");
        match held {
            Some(etag) => self.get_if_none_match(&path, etag).await,
            None => self.get(&path).await,
        }
    }
}
