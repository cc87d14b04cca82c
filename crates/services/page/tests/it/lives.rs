//! An id that another account had before: what was that one's is not shown with this one.

use serde_json::{Value, json};
use test_support::eventually;

use crate::app::{LONG, TestApp};

const UPDATED: &str = "account.updated";
const FORMER: &str = "0000000000000001";
const LATTER: &str = "0000000000000002";
const OF_ANOTHER: &str = "still tells of an account that had this id before";

/// Until the account is shown by this name.
async fn until_named(app: &TestApp, name: &str) -> Value {
    eventually(LONG, async || {
        let page = app.json().await;
        if page["account"]["name"] == name {
            Ok(page)
        } else {
            Err(page)
        }
    })
    .await
}

/// The former account is gone, the latter has its id; accounts has it from its database, the others have its event.
fn replace_account(app: &TestApp) -> u64 {
    for source in app.sources() {
        source.belong_to(LATTER);
    }
    app.accounts.change(|account| account["name"] = json!("Latter"))
}

#[tokio::test]
async fn what_is_of_an_account_that_had_the_id_before_is_left_out_until_it_is_not() {
    let app = TestApp::spawn().await;
    app.accounts.belong_to(LATTER);
    app.endpoints.belong_to(FORMER);
    app.metrics.belong_to(LATTER);
    let page = app.json().await;
    let missing = json!([{ "source": "endpoints", "reason": OF_ANOTHER }]);
    assert_eq!((&page["missing"], &page["endpoints"]), (&missing, &Value::Null));
    assert_eq!(page["metrics"]["account_id"], 1);
    app.endpoints.belong_to(LATTER);
    eventually(LONG, async || match app.json().await["missing"].clone() {
        missing if missing == json!([]) => Ok(()),
        missing => Err(missing),
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_was_not_modified_may_be_of_another_account_by_now() {
    let app = TestApp::spawn().await;
    for source in app.sources() {
        source.belong_to(FORMER);
    }
    assert_eq!(app.json().await["missing"], json!([]));
    replace_account(&app);
    let page = until_named(&app, "Latter").await;
    assert_eq!(page["missing"], json!([]));
}

#[tokio::test]
async fn what_is_fresh_is_asked_about_once_it_contradicts_the_account() {
    let (sources, nats) = TestApp::announcing_sources().await;
    for source in &sources {
        source.belong_to(FORMER);
    }
    let app = TestApp::spawn_between(sources, Some(nats), &[]).await;
    app.until_trusting().await;
    let revision = replace_account(&app);
    app.accounts.announce(UPDATED, revision).await;
    let page = until_named(&app, "Latter").await;
    assert_eq!(page["missing"], json!([]), "though no event told of them");
}
