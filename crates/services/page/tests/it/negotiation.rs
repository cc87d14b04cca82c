//! Bad addresses and missing accounts, in the form each reader can read; HTML or JSON.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::app::{SOURCES, TestApp, header};

#[tokio::test]
async fn the_form_is_the_one_preferred() {
    let app = TestApp::spawn().await;
    for (accept, expected) in [
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html; charset=utf-8",
        ),
        ("*/*", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("text/html;q=0.3, application/json;q=0.4", "application/json"),
        ("image/png", "text/html; charset=utf-8"),
    ] {
        let page = app
            .request("/accounts/1")
            .header("accept", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (page.status().as_u16(), header(&page, "content-type")),
            (200, expected),
            "{accept}"
        );
        assert_eq!(header(&page, "vary"), "accept, accept-encoding, prefer");
    }
    let [accounts, ..] = app.asked();
    assert!(accounts < 5, "both forms are made at once");
}

#[tokio::test]
async fn who_takes_gzip_gets_the_same_page_in_fewer_bytes() {
    let app = TestApp::spawn().await;
    for (accept, ends_with) in [("text/html", "</html>"), ("application/json", "}")] {
        let request = || app.request("/accounts/1").header("accept", accept);
        let plain = request().send().await.unwrap();
        assert!(plain.headers().get("content-encoding").is_none());
        let small = request()
            .header("accept-encoding", "br, gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(header(&small, "content-encoding"), "gzip");
        assert_eq!(header(&small, "etag"), header(&plain, "etag"));

        let (plain, small) = (plain.text().await.unwrap(), small.bytes().await.unwrap());
        assert!(
            small.len() < plain.len() / 2,
            "{} of {}",
            small.len(),
            plain.len()
        );
        let mut unpacked = String::new();
        GzDecoder::new(&*small).read_to_string(&mut unpacked).unwrap();
        assert!(unpacked.ends_with(ends_with), "{unpacked}");
        // What differs between two answers is the footer of a page for people.
        let body = |text: &str| text.split("<footer").next().map(str::to_owned);
        assert_eq!(body(&unpacked), body(&plain));
    }
}

#[tokio::test]
async fn the_forms_have_validators_of_their_own() {
    let app = TestApp::spawn().await;
    let html = app.get("/accounts/1").await;
    let request = app.request("/accounts/1").header("accept", "application/json");
    let json = request
        .header("if-none-match", header(&html, "etag"))
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 200);
    assert_ne!(header(&json, "etag"), header(&html, "etag"));
}

#[tokio::test]
async fn an_address_that_names_no_page_is_refused_in_the_readers_form() {
    let app = TestApp::spawn().await;
    for (path, field) in [
        ("/accounts/seven", "id"),
        ("/accounts/0", "id"),
        ("/accounts/-1", "id"),
        ("/accounts/9223372036854775808", "id"),
        ("/accounts/%3Cscript%3E", "id"),
        ("/accounts/1?window=2h", "window"),
        ("/accounts/1?window=", "window"),
        ("/?after=x", "after"),
    ] {
        let page = app.get(path).await;
        assert_eq!(
            (page.status().as_u16(), header(&page, "content-type")),
            (400, "text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(header(&page, "vary"), "accept");
        let text = page.text().await.unwrap();
        assert!(
            text.contains("This address is not valid") && text.ends_with("</html>"),
            "{path}: {text}"
        );

        let problem = app
            .request(path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(
            header(&problem, "content-type"),
            "application/problem+json",
            "{path}"
        );
        let problem: Value = problem.json().await.unwrap();
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&400.into(), &field.into()),
            "{path}"
        );
    }
    assert_eq!(app.asked(), [0; SOURCES], "no source is bothered");
}

#[tokio::test]
async fn a_missing_account_is_an_answer_that_is_cached_and_dated() {
    let app = TestApp::spawn().await;
    app.accounts.remove();
    let page = app.get("/accounts/1").await;
    assert_eq!(
        (page.status().as_u16(), header(&page, "cache-status")),
        (404, "page; fwd=miss; stored")
    );
    assert!(!header(&page, "fresh-as-of").is_empty());
    assert!(!page.headers().contains_key("etag"));
    assert!(page.text().await.unwrap().contains("There is no such account"));

    let problem = app
        .request("/accounts/1")
        .header("accept", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&problem, "content-type"), "application/problem+json");
    let problem: Value = problem.json().await.unwrap();
    assert_eq!(problem["type"], "/problems/account-not-found");
}

#[tokio::test]
async fn what_is_nowhere_is_not_found() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/nowhere").await.status(), 404);
    assert_eq!(app.get("/accounts/1/endpoints").await.status(), 404);
}
