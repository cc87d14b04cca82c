//! Every error in the form that its reader prefers, wherever in the service it comes from.

use reqwest::{Method, Response};

use crate::app::{TestApp, header};

/// What browsers send.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Requests that are refused: by the routes, by the extractors, by the page's own checks.
const REFUSED: [(&str, &str, u16, &str); 11] = [
    ("GET", "/nowhere", 404, "There is nothing at this path"),
    ("GET", "/accounts", 404, "There is nothing at this path"),
    ("POST", "/", 405, "Method Not Allowed"),
    ("DELETE", "/accounts/1", 405, "Method Not Allowed"),
    ("GET", "/accounts/%ff", 400, "Bad Request"),
    ("GET", "/accounts/seven", 400, "This address is not valid"),
    ("GET", "/accounts/1?window=1h&window=7d", 400, "uplicate field"),
    ("GET", "/accounts/1?windo=1h", 400, "nknown field"),
    ("GET", "/accounts/1?window=1y", 400, "This address is not valid"),
    ("GET", "/?after=1&after=2", 400, "uplicate field"),
    ("GET", "/?befor=1", 400, "nknown field"),
];

async fn refused(app: &TestApp, method: &str, path: &str, accept: &str) -> Response {
    let method: Method = method.parse().unwrap();
    let request = app.request_of(method, path).header("accept", accept);
    request.send().await.unwrap()
}

#[tokio::test]
async fn browsers_get_each_error_as_a_page_and_programs_as_a_problem() {
    let app = TestApp::spawn().await;
    for (method, path, status, said) in REFUSED {
        for accept in [BROWSER, "*/*"] {
            let page = refused(&app, method, path, accept).await;
            assert_eq!(page.status(), status, "{method} {path}");
            assert_eq!(
                header(&page, "content-type"),
                "text/html; charset=utf-8",
                "{path}"
            );
            assert_eq!(header(&page, "vary"), "accept", "{path}");
            assert_eq!(header(&page, "cache-control"), "private, no-cache", "{path}");
            assert!(header(&page, "content-security-policy").starts_with("default-src 'none'"));
            let text = page.text().await.unwrap();
            assert!(text.contains(said) && text.ends_with("</html>"), "{path}: {text}");
        }
        let problem = refused(&app, method, path, "application/json").await;
        assert_eq!(problem.status(), status, "{path}");
        assert_eq!(header(&problem, "content-type"), "application/problem+json");
        assert_eq!(header(&problem, "vary"), "accept", "{path}");
        assert_eq!(header(&problem, "cache-control"), "private, no-cache", "{path}");
        let problem: serde_json::Value = problem.json().await.unwrap();
        assert_eq!(problem["status"], status, "{path}");
    }
}

#[tokio::test]
async fn head_says_the_length_of_the_error_that_get_gives() {
    let app = TestApp::spawn().await;
    let page = refused(&app, "GET", "/nowhere", BROWSER).await;
    let head = refused(&app, "HEAD", "/nowhere", BROWSER).await;
    assert_eq!(head.status(), 404);
    assert_eq!(header(&page, "content-length"), header(&head, "content-length"));
    assert_eq!(head.text().await.unwrap(), "");
}

#[tokio::test]
async fn what_is_refused_before_the_routes_is_a_page_too() {
    let app = TestApp::spawn().await;
    let foreign = app
        .request("/")
        .header("host", "evil.example")
        .header("accept", BROWSER);
    let page = foreign.send().await.unwrap();
    assert_eq!(
        (page.status().as_u16(), header(&page, "content-type")),
        (421, "text/html; charset=utf-8")
    );
    assert!(page.text().await.unwrap().contains("--allowed-hosts"));
}

#[tokio::test]
async fn the_list_of_accounts_is_asked_for_every_time() {
    let app = TestApp::spawn().await;
    for path in ["/", "/?after=7", "/openapi.json"] {
        let page = app.get(path).await;
        assert_eq!(header(&page, "cache-control"), "private, no-cache", "{path}");
    }
}
