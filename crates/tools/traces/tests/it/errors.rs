//! Errors in the form that their reader prefers.

use reqwest::Method;

use crate::Viewer;

#[tokio::test]
async fn browsers_get_each_error_as_a_page_and_programs_as_a_problem() {
    let viewer = Viewer::start().await;
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/traces/7", 404),
        (Method::GET, "/traces/%ff", 400),
        (Method::POST, "/", 405),
        (Method::GET, "/v1/traces", 405),
    ] {
        let ask = async |accept| {
            let request = reqwest::Client::new().request(method.clone(), format!("{}{path}", viewer.url));
            let answer = request.header("accept", accept).send().await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path}");
            let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
            (kind, answer.text().await.unwrap())
        };
        let (kind, page) = ask("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").await;
        assert_eq!(kind, "text/html; charset=utf-8", "{path}");
        assert!(page.contains("The last traces"), "{path}: {page}");
        for accept in ["*/*", "application/json"] {
            let (kind, problem) = ask(accept).await;
            assert_eq!(kind, "application/problem+json", "{path}");
            assert!(
                problem.contains(&format!("\"status\":{status}")),
                "{path}: {problem}"
            );
        }
    }
}
