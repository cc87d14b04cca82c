//! What the sources are told of a reader's trace (W3C Trace Context, 2): also by a task of its own, and where nothing is recorded.

use telemetry::TaskContext;
use test_support::eventually;

use crate::app::{LONG, TestApp};
use crate::fake_source::Asked;

const STATE: &str = "vendor=opaque,other=2";

/// Reads account 1 as part of a trace of which the caller said whether it is recorded.
async fn read_in(app: &TestApp, trace: &str, flags: &str) {
    let read = app
        .request("/accounts/1")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-{flags}"))
        .header("tracestate", STATE);
    assert_eq!(read.send().await.unwrap().status(), 200);
}

fn assert_told(asked: &Asked, trace: &str, flags: &str) {
    let traceparent = asked.traceparent.as_deref().unwrap_or_default();
    let (begin, end) = (format!("00-{trace}-"), format!("-{flags}"));
    assert!(
        traceparent.starts_with(&begin) && traceparent.ends_with(&end),
        "{asked:?}"
    );
    assert_eq!(asked.tracestate.as_deref(), Some(STATE), "{asked:?}");
}

async fn told_of_a_read(trace: &str, flags: &str) {
    let app = TestApp::spawn().await;
    read_in(&app, trace, flags).await;
    for source in app.sources() {
        assert_told(&source.asked()[0], trace, flags);
    }
}

#[tokio::test]
async fn the_sources_are_told_that_a_read_is_not_traced() {
    told_of_a_read("0af7651916cd43dd8448eb211c80319c", "00").await;
}

#[tokio::test]
async fn the_sources_are_told_that_a_read_is_traced_even_if_nothing_is_recorded_here() {
    told_of_a_read("1af7651916cd43dd8448eb211c80319c", "01").await;
}

#[tokio::test]
async fn the_sources_are_told_that_the_write_behind_a_refresh_is_not_traced() {
    let trace = "2af7651916cd43dd8448eb211c80319c";
    let app = TestApp::spawn_consumer_with(&["--strategy=prepopulate"]).await;
    app.get_as_json().await;
    let before = app.accounts.asked().len();
    let writer = std::collections::HashMap::from([
        (
            "traceparent".to_owned(),
            format!("00-{trace}-b7ad6b7169203331-00"),
        ),
        ("tracestate".to_owned(), STATE.to_owned()),
    ]);
    let revision = app.accounts.change(|account| account["name"] = "New".into());
    // It carries nothing, so the refresh asks.
    let announcing = app.accounts.announce("account.updated", revision);
    TaskContext::below(&writer, tracing::Span::none)
        .run(announcing)
        .await;
    let asked = eventually(LONG, async || {
        app.accounts.asked().get(before).cloned().ok_or("not asked yet")
    })
    .await;
    assert_told(&asked, trace, "00");
}
