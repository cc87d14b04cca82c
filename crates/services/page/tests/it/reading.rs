//! A page that is whole: its content, its headers, and when it is made anew.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::{SOURCES, TestApp, header, start_telemetry};

#[tokio::test]
async fn a_page_is_composed_of_the_answers_of_three_sources() {
    let app = TestApp::spawn().await;
    let page = app.html().await;
    for text in [
        "<h1>Fjord Hosting</h1>",
        "Sites on the west coast.",
        "Shop",
        "97.91 %",
        "1,400",
        "1 of 2 down",
        "HTTP 200, 218 ms",
        "<svg class=\"spark\" role=\"img\"",
        "Revisions",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(
        page.find("row\">Shop") < page.find("row\">Front page"),
        "what is down comes first"
    );
    assert!(page.ends_with("</body></html>"));
}

/// A share times a hundred may lie just below the whole number that it is.
#[tokio::test]
async fn a_whole_number_of_per_cent_is_shown_as_one() {
    let app = TestApp::spawn().await;
    for (front, shop, shown) in [(58, 58, "58 %"), (57, 57, "57 %"), (29, 58, "43.50 %")] {
        app.metrics.change(|metrics| {
            for (index, up) in [front, shop].into_iter().enumerate() {
                metrics["endpoints"][index]["samples"] = json!(100);
                metrics["endpoints"][index]["uptime"] = json!(f64::from(up) / 100.0);
            }
        });
        let fresh = app.request("/accounts/1").header("cache-control", "no-cache");
        let page = fresh.send().await.unwrap().text().await.unwrap();
        let of_account = format!("<dd>{shown}<small>200 checks");
        assert!(page.contains(&of_account), "{of_account} is not in {page}");
        for up in [front, shop] {
            let of_endpoint = format!("data-of=\"uptime\">{up} %</td>");
            assert!(page.contains(&of_endpoint), "{of_endpoint} is not in {page}");
        }
    }
}

#[tokio::test]
async fn as_json_the_sources_answers_are_embedded_as_they_came() {
    let app = TestApp::spawn().await;
    let page = app.json().await;
    let mut metrics = crate::app::metrics();
    metrics["window"] = json!("24h");
    let expected = json!({"account": crate::app::account(), "endpoints": crate::app::endpoints(), "metrics": metrics,
        "missing": [], "stale": []});
    assert_eq!(page, expected);
}

#[tokio::test]
async fn each_source_is_asked_once_and_metrics_for_the_window() {
    let app = TestApp::spawn().await;
    app.get("/accounts/1?window=7d").await;
    let asked = |source: &crate::fake_source::FakeSource| source.asked().into_iter().map(|asked| asked.path);
    let asked: Vec<String> = asked(&app.accounts)
        .chain(asked(&app.endpoints))
        .chain(asked(&app.metrics))
        .collect();
    assert_eq!(
        asked,
        [
            "/accounts/1",
            "/accounts/1/endpoints",
            "/accounts/1/metrics?window=7d"
        ]
    );
}

#[tokio::test]
async fn windows_are_different_pages() {
    let app = TestApp::spawn().await;
    let one = app.get("/accounts/1?window=1h").await;
    let other = app.get("/accounts/1?window=7d").await;
    assert_eq!(header(&other, "cache-status"), "page; fwd=miss; stored");
    assert_ne!(header(&one, "etag"), header(&other, "etag"));
    assert!(
        one.text()
            .await
            .unwrap()
            .contains("aria-current=\"true\">1 hour<")
    );
}

#[tokio::test]
async fn a_composed_page_says_how_it_was_served_and_how_fresh_it_is() {
    let app = TestApp::spawn().await;
    let before = Timestamp::now();
    let page = app.get("/accounts/1").await;
    assert_eq!(header(&page, "cache-status"), "page; fwd=miss; stored");
    assert_eq!(header(&page, "cache-control"), "private, no-cache");
    assert_eq!(header(&page, "vary"), "accept, accept-encoding, prefer");
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert!(
        header(&page, "etag").starts_with("W/\"html-24h-1.1.1-"),
        "{page:?}"
    );
    assert!(header(&page, "age").parse::<u64>().unwrap() <= 20);
    let timing = header(&page, "server-timing");
    for entry in [
        "cache;dur=",
        ", accounts;dur=",
        ", endpoints;dur=",
        ", metrics;dur=",
    ] {
        assert!(timing.contains(entry), "{entry} is not in {timing}");
    }

    let fresh_as_of = header(&page, "fresh-as-of");
    assert_eq!(fresh_as_of.len(), "2026-11-22T21:18:03.042Z".len());
    let fresh_as_of: Timestamp = fresh_as_of.parse().unwrap();
    // Rounded down to the millisecond in which the requests began.
    assert!(fresh_as_of.as_millisecond() >= before.as_millisecond() && fresh_as_of <= Timestamp::now());
    assert!(
        page.text().await.unwrap().contains("page; fwd=miss; stored"),
        "the footer says it too"
    );
}

#[tokio::test]
async fn a_page_may_load_nothing_and_run_nothing() {
    let app = TestApp::spawn().await;
    for path in ["/accounts/1", "/", "/accounts/x"] {
        let page = app.get(path).await;
        let policy = header(&page, "content-security-policy").to_owned();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        let text = page.text().await.unwrap();
        for forbidden in ["<script", " style=", "onclick", "<link rel=\"stylesheet\""] {
            assert!(!text.contains(forbidden), "{forbidden} in {text}");
        }
    }
}

#[tokio::test]
async fn who_has_the_page_is_told_so_with_all_the_other_headers() {
    let app = TestApp::spawn().await;
    let full = app.get("/accounts/1").await;
    let again = app
        .request("/accounts/1")
        .header("if-none-match", header(&full, "etag"))
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    for name in ["etag", "cache-control", "vary"] {
        assert_eq!(header(&again, name), header(&full, name));
    }
    for name in ["cache-status", "fresh-as-of", "age", "server-timing"] {
        assert!(!header(&again, name).is_empty());
    }
    assert!(again.text().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_person_who_reloads_sees_how_this_answer_was_served() {
    let app = TestApp::spawn().await;
    let full = app.get("/accounts/1").await;
    let reload = app
        .request("/accounts/1")
        .header("if-none-match", header(&full, "etag"));
    let again = reload.header("sec-fetch-dest", "document").send().await.unwrap();
    assert_eq!(again.status(), 200);
    let cache_status = header(&again, "cache-status").to_owned();
    assert!(
        again.text().await.unwrap().contains(&cache_status),
        "{cache_status}"
    );
}

#[tokio::test]
async fn no_cache_composes_anew_and_asks_unconditionally() {
    let app = TestApp::spawn().await;
    let old = app.get("/accounts/1").await;
    app.accounts
        .change(|account| account["name"] = json!("Fjord & Sons"));
    let new = app
        .request("/accounts/1")
        .header("cache-control", "no-cache")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&new, "cache-status"), "page; fwd=request; stored");
    assert_ne!(header(&new, "etag"), header(&old, "etag"));
    assert!(new.text().await.unwrap().contains("<h1>Fjord &amp; Sons</h1>"));
    assert_eq!(app.asked(), [2; SOURCES]);
    let conditional = app
        .accounts
        .asked()
        .into_iter()
        .any(|asked| asked.if_none_match.is_some());
    assert!(!conditional, "every source was asked unconditionally");
}

#[tokio::test]
async fn max_age_0_composes_anew_too_and_a_page_of_some_age_is_not_promised() {
    let app = TestApp::spawn().await;
    app.get("/accounts/1").await;
    let read = async |directive| {
        let page = app.get_with("cache-control", directive).await;
        header(&page, "cache-status").to_owned()
    };
    for directive in ["max-age=0", "No-Store, MAX-AGE=\"0\""] {
        assert_eq!(read(directive).await, "page; fwd=request; stored", "{directive}");
    }
    for ignored in ["no-store", "only-if-cached", "max-age=60"] {
        assert_ne!(read(ignored).await, "page; fwd=request; stored", "{ignored}");
    }
}

#[tokio::test]
async fn an_answer_that_holds_no_longer_is_asked_about_conditionally() {
    let app = TestApp::spawn().await;
    app.metrics.hold_for(0);
    let first = app.get("/accounts/1").await;
    let second = app.get("/accounts/1").await;
    assert_eq!(header(&second, "cache-status"), "page; fwd=stale; stored");
    assert!(
        header(&second, "server-timing").contains("metrics;dur="),
        "{second:?}"
    );
    assert!(
        header(&second, "server-timing").contains("desc=\"not modified\""),
        "{second:?}"
    );
    assert_eq!(header(&first, "etag"), header(&second, "etag"));
    let asked = app.metrics.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked[1]
            .if_none_match
            .as_ref()
            .is_some_and(|tag| tag.ends_with("-1-0000000000000000-v1\"")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn head_gives_the_headers_alone() {
    let app = TestApp::spawn().await;
    let full = app.get("/accounts/1").await;
    let head = reqwest::Client::new()
        .head(full.url().clone())
        .send()
        .await
        .unwrap();
    assert_eq!(header(&head, "etag"), header(&full, "etag"));
    assert!(head.text().await.unwrap().is_empty());
}

#[tokio::test]
async fn it_is_ready_and_documents_itself_without_a_broker() {
    let app = TestApp::spawn().await;
    assert_eq!(app.get("/livez").await.status(), 200);
    assert_eq!(app.get("/readyz").await.status(), 200);
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(page::openapi()).unwrap());
    assert!(document["paths"]["/accounts/{id}"]["get"]["responses"]["304"].is_object());
}

#[tokio::test]
async fn the_foot_links_the_trace_where_it_is_told_how() {
    start_telemetry();
    let app =
        TestApp::spawn_with(&["--trace-url-pattern=http://traces.example/t/{trace_id}?from=page"]).await;
    let page = app.get("/accounts/1").await;
    let link = format!(
        "href=\"http://traces.example/t/{}?from=page\"",
        header(&page, "trace-id")
    );
    assert!(page.text().await.unwrap().contains(&link), "{link}");
}

#[tokio::test]
async fn who_wants_another_version_than_there_is_gets_none() {
    let app = TestApp::spawn().await;
    let full = app.get("/accounts/1").await;
    let current = header(&full, "etag");
    let read = async |conditions: &[(&str, &str)]| {
        let request = conditions
            .iter()
            .fold(app.request("/accounts/1"), |request, (name, tag)| {
                request.header(*name, *tag)
            });
        request.send().await.unwrap()
    };
    let refused = read(&[("if-match", "\"x\""), ("if-none-match", current)]).await;
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "etag")),
        (412, current)
    );
    assert_eq!(header(&refused, "cache-control"), header(&full, "cache-control"));
    let weak = read(&[("if-match", current)]).await;
    assert_eq!(
        weak.status(),
        412,
        "a weak tag matches nothing by strong comparison"
    );
    assert_eq!(read(&[("if-match", "*")]).await.status(), 200);
    let both = read(&[("if-match", "*"), ("if-none-match", current)]).await;
    assert_eq!(both.status(), 304);
    assert_eq!(read(&[("if-match", "x")]).await.status(), 400);
}

#[tokio::test]
async fn a_replica_with_a_name_says_it_in_every_answer() {
    let named = TestApp::spawn_with(&["--instance-name=page-1"]).await;
    let unnamed = TestApp::spawn().await;
    for path in ["/accounts/1", "/accounts/none", "/", "/healthz"] {
        let served_by = async |app: &TestApp| {
            let answer = app.request(path).send().await.unwrap();
            answer.headers().get("served-by").cloned()
        };
        assert_eq!(served_by(&named).await.unwrap(), "page-1", "{path}");
        assert_eq!(served_by(&unnamed).await, None, "{path}");
    }
}
