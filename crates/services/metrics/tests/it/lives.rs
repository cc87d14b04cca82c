//! Whose samples are whose, in whatever order, and however often, the events of accounts arrive.

use reqwest::Response;
use serde_json::json;
use source_tests::{AccountData, Accounts, revision};

use crate::app::{Metrics, TestApp, sample};
use crate::deletion::rows_left;

source_tests::tests_of_account_data!(Metrics);

impl AccountData for Metrics {
    const WRITTEN: &str = "samples.recorded";
    const DELETED: &str = "metrics.deleted";

    fn path(account: i64) -> String {
        format!("/accounts/{account}/metrics?window=7d")
    }

    async fn add(&self, account: i64) -> Response {
        self.post(account, &json!({ "samples": [sample(1, 1, 1)] })).await
    }

    async fn assert_written(&self, account: i64, count: usize) {
        assert_eq!(self.count(account).await, count as u64, "{account}");
        assert_eq!(rows_left(self, account), i64::try_from(count).unwrap());
    }
}

#[tokio::test]
async fn a_huge_account_is_replaced_in_steps_that_a_crash_may_interrupt() {
    let app = TestApp::spawn().await;
    let accounts = Accounts::start(&app).await;
    for account in [7, 8] {
        accounts.announce("created", account).await;
    }
    accounts.applied_by(&app).await;
    app.write(7).await;
    // 7 is whole; 8 is as a crash after the first step would leave it: announced, and not yet swept.
    app.database()
        .execute_batch(
            "BEGIN;
             UPDATE accounts SET revision = 5, deleted = 1 WHERE account_id = 8;
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 30500)
             INSERT INTO samples SELECT account_id, 1, i, 'up', 200, 1 FROM n, accounts;
             INSERT INTO histograms SELECT account_id, 1, at, x'00' FROM samples WHERE at % 10 = 0;
             COMMIT;",
        )
        .unwrap();
    let reset = Accounts::start(&app).await;
    for account in [7, 8] {
        reset.announce("created", account).await;
    }
    reset.applied_by(&app).await;
    for (account, at) in [(7, 2), (8, 5)] {
        app.assert_written(account, 0).await;
        assert_eq!(revision(&app.answer(account, None).await), at);
        app.write(account).await;
    }
}
