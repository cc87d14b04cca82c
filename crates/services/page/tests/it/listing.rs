//! The list of accounts.

use serde_json::{Value, json};

use crate::app::{TestApp, header};
use crate::fake_source::Behaviour;

fn list(next: &Value) -> String {
    json!({"accounts": [
        {"id": 1, "revision": 1, "name": "Fjord <Hosting>", "description": "West coast", "created_at": "", "updated_at": ""},
        {"id": 9, "revision": 4, "name": "Harbour", "description": "", "created_at": "", "updated_at": ""},
    ], "next": next})
    .to_string()
}

#[tokio::test]
async fn the_accounts_are_listed_and_link_their_pages() {
    let app = TestApp::spawn().await;
    app.accounts.behave(Behaviour::Body(list(&json!(9))));
    let page = app.get("/").await;
    assert_eq!(
        (page.status().as_u16(), header(&page, "content-type")),
        (200, "text/html; charset=utf-8")
    );
    let page = page.text().await.unwrap();
    assert!(
        page.contains("href=\"/accounts/1\"") && page.contains("Fjord &lt;Hosting&gt;"),
        "{page}"
    );
    assert!(
        page.contains("href=\"/accounts/9\"") && page.contains("href=\"/?after=9\""),
        "{page}"
    );
    assert_eq!(app.accounts.asked()[0].path, "/accounts?limit=60");
    assert_eq!(
        (app.accounts.asked().len(), app.asked().iter().sum()),
        (1, 1_usize)
    );
}

#[tokio::test]
async fn the_list_goes_on_where_it_is_told_to() {
    let app = TestApp::spawn().await;
    app.accounts.behave(Behaviour::Body(list(&Value::Null)));
    let page = app.get("/?after=7").await.text().await.unwrap();
    assert_eq!(app.accounts.asked()[0].path, "/accounts?limit=60&after=7");
    assert!(!page.contains("More accounts"), "{page}");
}

#[tokio::test]
async fn without_accounts_there_is_no_list_and_the_page_says_so() {
    let app = TestApp::spawn().await;
    for behaviour in [Behaviour::Status(500), Behaviour::Body("[]".to_owned())] {
        app.accounts.behave(behaviour);
        let page = app.get("/").await;
        assert_eq!((page.status().as_u16(), header(&page, "retry-after")), (503, "1"));
        let text = page.text().await.unwrap();
        assert!(text.contains("The accounts cannot be listed now"), "{text}");
        let problem = app
            .request("/")
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(header(&problem, "content-type"), "application/problem+json");
    }
}
