//! The viewer, fed by a real stack.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod errors;
mod exports;
mod hosts;
mod listing;
mod unknown;

use std::time::Duration;

use http_edge::AllowedHosts;
use serde_json::Value;
use stack::{Options, Stack};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use traces::Config;

const LONG: Duration = Duration::from_secs(20);

/// A viewer in this process, on a free port.
struct Viewer {
    url: String,
    _stop: DropGuard,
}

impl Viewer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let config = Config {
            listen,
            keep: 100,
            allowed_hosts: AllowedHosts::default(),
        };
        tokio::spawn(traces::run(config, listener, stop.clone()));
        Self {
            url: format!("http://{listen}"),
            _stop: stop.drop_guard(),
        }
    }

    /// What each span of a trace says of itself: `service: name`.
    async fn spans(&self, trace: &str) -> Result<Vec<String>, String> {
        let answer = reqwest::get(format!("{}/api/traces/{trace}", self.url))
            .await
            .unwrap();
        if !answer.status().is_success() {
            return Err(format!("no trace {trace}: {}", answer.status()));
        }
        let spans: Vec<Value> = answer.json().await.unwrap();
        let text = |span: &Value, name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let said = |span: &Value| format!("{}: {}", text(span, "service"), text(span, "name"));
        Ok(spans.iter().map(said).collect())
    }

    /// Waits until a trace has all of these spans.
    async fn until(&self, trace: &str, wanted: &[&str]) {
        test_support::eventually(LONG, async || {
            let spans = self.spans(trace).await?;
            let mut left = spans.clone();
            let mut missing = wanted.iter().filter(|name| {
                let place = left.iter().position(|span| span == *name);
                place.map(|place| left.swap_remove(place)).is_none()
            });
            match missing.next() {
                None => Ok(()),
                Some(missing) => Err(format!("{missing} is not among {spans:#?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_page_and_a_change_are_shown_from_end_to_end() {
    let viewer = Viewer::start().await;
    let stack = Stack::start_with(Options {
        replicas: 2,
        flags: vec![format!("--otel-exporter-otlp-endpoint={}", viewer.url)],
        page_flags: vec![format!("--trace-url-pattern={}/traces/{{trace_id}}", viewer.url)],
        ..Options::default()
    })
    .await;
    let account = stack.create_account("Fjord Hosting").await;
    let page = reqwest::get(stack.pages[0].url(&format!("/accounts/{account}")))
        .await
        .unwrap();
    let id = page.headers()["trace-id"].to_str().unwrap().to_owned();
    let html = page.text().await.unwrap();
    let link = format!("{}/traces/{id}", viewer.url);
    assert!(
        html.contains(&format!("href=\"{link}\"")),
        "the page links its own trace"
    );
    viewer
        .until(
            &id,
            &[
                "page: GET /accounts/{id}",
                "accounts: GET /accounts/{id}",
                "endpoints: GET /accounts/{id}/endpoints",
                "metrics: GET /accounts/{id}/metrics",
            ],
        )
        .await;
    let shown = reqwest::get(&link).await.unwrap();
    assert!(shown.status().is_success());
    assert!(shown.text().await.unwrap().contains("GET /accounts/{id}"));

    let change = stack.rename_account(account, "Fjord").await;
    let applied = "page: process events.accounts.*";
    viewer
        .until(
            &change.trace_id,
            &[
                "accounts: PATCH /accounts/{id}",
                "accounts: commit",
                "accounts: publish events.accounts.*",
                applied,
                applied,
            ],
        )
        .await;

    let list = reqwest::get(&viewer.url).await.unwrap().text().await.unwrap();
    assert!(list.contains(&format!("/traces/{id}")));
}

#[tokio::test]
async fn what_is_not_known_yet_is_looked_for_again_and_what_is_no_export_is_refused() {
    let viewer = Viewer::start().await;
    let unknown = reqwest::get(format!("{}/traces/0af7651916cd43dd8448eb211c80319c", viewer.url))
        .await
        .unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text().await.unwrap().contains("http-equiv=\"refresh\""));

    let client = reqwest::Client::new();
    let send = |kind: &'static str, body: &'static str| {
        let request = client
            .post(format!("{}/v1/traces", viewer.url))
            .header("content-type", kind);
        request.body(body).send()
    };
    assert_eq!(send("application/json", "{}").await.unwrap().status(), 415);
    assert_eq!(
        send("application/x-protobuf", "no export")
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(send("application/x-protobuf", "").await.unwrap().status(), 200);
}
