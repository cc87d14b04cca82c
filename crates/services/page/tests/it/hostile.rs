//! Text that would like to be markup, and addresses that would like to be code.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn text_of_the_sources_stays_text() {
    let app = TestApp::spawn().await;
    app.accounts.change(|account| {
        account["name"] = json!("<script>alert(1)</script>");
        account["description"] = json!("\"><img src=x onerror=alert(1)> & more");
    });
    app.endpoints
        .change(|list| list["endpoints"][0]["name"] = json!("</th><svg onload=alert(1)>"));
    let page = app.html().await;
    for markup in ["<script", "<img", "<svg onload"] {
        assert!(!page.contains(markup), "{markup} in {page}");
    }
    assert!(
        page.contains("<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>"),
        "{page}"
    );
    assert!(page.contains("<title>&lt;script&gt;"), "{page}");
    assert!(page.contains("&lt;/th&gt;&lt;svg onload=alert(1)&gt;"), "{page}");
}

#[tokio::test]
async fn only_web_addresses_become_links() {
    let app = TestApp::spawn().await;
    let urls = [
        ("javascript:alert(1)", false),
        (" JaVaScRiPt:alert(1)", false),
        ("data:text/html,<script>alert(1)</script>", false),
        ("ftp://files.example/", false),
        ("torosaba.net", false),
        ("", false),
        ("https://fjord.example/?a=1&b=\"><script>", true),
        ("http://fjord.example/", true),
    ];
    for (url, linked) in urls {
        app.endpoints
            .change(|list| list["endpoints"][0]["url"] = json!(url));
        let request = app.request("/accounts/1").header("cache-control", "no-cache");
        let page = request.send().await.unwrap().text().await.unwrap();
        let row = page
            .split("scope=\"row\">")
            .find(|row| row.starts_with("Front page"))
            .unwrap();
        let row = &row[..row.find("</th>").unwrap()];
        assert_eq!(row.contains("<a class=\"url\" href="), linked, "{url}: {row}");
        assert_eq!(
            row.contains("rel=\"noopener noreferrer\""),
            linked,
            "{url}: {row}"
        );
        assert!(!page.contains("<script"), "{url}: {page}");
    }
}

#[tokio::test]
async fn json_escapes_what_it_does_not_embed() {
    let app = TestApp::spawn().await;
    let name = "\"},\"missing\":[\u{2028}<";
    app.accounts.change(|account| account["name"] = json!(name));
    let page = app.json().await;
    assert_eq!(
        (&page["account"]["name"], &page["missing"]),
        (&json!(name), &json!([]))
    );
}
