//! What the dashboard, the alerts and the documentation name is what the services export; and a fault shows where an
//! alert looks for it, until it is over.

mod asked;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use stack::{Options, Process, Source, Stack, Window};
use test_support::eventually;

use self::asked::{Selector, selectors};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

fn file(path: &str) -> String {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The alerts, each as Prometheus reads it.
fn alerts() -> Vec<Value> {
    let rules: Value = serde_yaml_ng::from_str(&file("deploy/prometheus/alerts.yml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone())
        .collect()
}

/// All expressions of the dashboard, wherever in it they are.
fn panel_expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| panel_expressions(field, found));
        }
        Value::Array(values) => values.iter().for_each(|value| panel_expressions(value, found)),
        _ => {}
    }
}

/// Everything that the dashboard and the alerts ask for, but for what Prometheus itself says of those it asks.
fn asked() -> BTreeSet<Selector> {
    let dashboard = serde_json::from_str(&file("deploy/grafana/dashboards/reliable-caching.json")).unwrap();
    let mut expressions = Vec::new();
    panel_expressions(&dashboard, &mut expressions);
    expressions.extend(
        alerts()
            .iter()
            .map(|alert| alert["expr"].as_str().unwrap().to_owned()),
    );
    let asked = expressions.iter().flat_map(|expression| selectors(expression));
    asked.filter(|selector| selector.name != "up").collect()
}

/// The limit to which an alert compares: the number behind the last `>` of its expression.
fn limit(alert: &str) -> f64 {
    let alerts = alerts();
    let alert = alerts.iter().find(|rule| rule["alert"] == alert).unwrap();
    let (_, limit) = alert["expr"].as_str().unwrap().rsplit_once('>').unwrap();
    limit.trim().parse().unwrap()
}

/// A stack that does everything, and a canary before it.
async fn start() -> (Stack, Process) {
    let page_flags = ["--strategy", "prepopulate", "--audit-interval-ms", "100"];
    let stack = Stack::start_with(Options {
        page_flags: page_flags.map(str::to_owned).to_vec(),
        ..Options::default()
    })
    .await;
    let [accounts, page] = [stack.sources[Source::Accounts].url(""), stack.pages[0].url("")];
    let arguments = ["--accounts-url", &accounts, "--page-url", &page, "--every", "100"];
    let canary = Process::start("canary", arguments.map(str::to_owned).to_vec()).await;
    (stack, canary)
}

/// What there is to count: misses, hits, refreshes, audits, and a change that the canary saw.
async fn exercise(stack: &Stack, canary: &Process) {
    let account = stack.create_account("counted").await;
    let endpoint = stack.add_endpoint(account, "site", "https://example.org").await;
    stack.record(account, endpoint, 12).await;
    stack.page(0, account).await;
    stack
        .page_with(0, account, Window::Day, &[("cache-control", "no-cache")])
        .await;
    stack.cached_page(0, account).await;
    stack.rename_account(account, "counted again").await;
    for (service, name, labels) in [
        (
            &stack.pages[0],
            "page_refreshes_total",
            &[("result", "begun")][..],
        ),
        (
            &stack.pages[0],
            "page_audit_checks_total",
            &[("result", "agrees")],
        ),
        (canary, "canary_checks_total", &[("result", "seen")]),
    ] {
        eventually(LONG, async || match stack.count(service, name, labels).await {
            0 => Err(format!("no {name} {labels:?}")),
            _ => Ok(()),
        })
        .await;
    }
}

/// The metrics of all services, as Prometheus gets them.
async fn exported(stack: &Stack, canary: &Process) -> String {
    let mut text = String::new();
    for service in stack.services().chain([canary]) {
        let request = stack.request(Method::GET, service.url("/metrics"));
        text += &stack.send(request).await.text().await.unwrap();
    }
    text
}

fn is_exported(asked: &Selector, exported: &str) -> bool {
    exported.lines().any(|line| {
        line.strip_prefix(&asked.name).is_some_and(|rest| {
            rest.starts_with(['{', ' ']) && asked.labels.iter().all(|label| rest.contains(label))
        })
    })
}

/// The names of the metrics, without what Prometheus appends for the parts of a histogram.
fn metrics(exported: &str) -> BTreeSet<String> {
    let types = exported.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

/// The names in the second column of the tables.
fn documented() -> BTreeSet<String> {
    let text = file("docs/metrics.md");
    let cells = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').nth(1));
    cells
        .map(|cell| cell.trim().trim_matches('`').to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_is_exported_and_what_is_exported_is_documented() {
    let (stack, canary) = start().await;
    exercise(&stack, &canary).await;
    let exported = exported(&stack, &canary).await;

    let asked = asked();
    assert!(asked.len() > 30, "{asked:?}");
    let missing: Vec<_> = asked
        .iter()
        .filter(|asked| !is_exported(asked, &exported))
        .collect();
    assert!(missing.is_empty(), "asked for and not exported: {missing:#?}");

    let (exported, documented) = (metrics(&exported), documented());
    let undocumented: Vec<_> = exported.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&exported).collect();
    assert!(
        undocumented.is_empty() && gone.is_empty(),
        "docs/metrics.md lacks {undocumented:?}, and nobody exports its {gone:?}"
    );
}

#[test]
fn every_alert_says_what_is_the_matter_and_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() >= 6);
    for alert in alerts {
        for text in ["summary", "description", "runbook"] {
            let said = alert["annotations"][text].as_str().unwrap_or_default();
            assert!(said.len() > 20, "{} has no {text}", alert["alert"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_broker_shows_where_the_alerts_look_until_it_is_over() {
    let mut stack = Stack::start().await;
    let account = stack.create_account("before").await;
    stack.page(0, account).await;
    let values = async |stack: &Stack| {
        let of_accounts = [("source", "accounts")];
        (
            stack
                .metric(&stack.sources[Source::Accounts], "outbox_oldest_age_seconds", &[])
                .await,
            stack
                .metric(&stack.pages[0], "page_watermark_age_seconds", &of_accounts)
                .await,
            stack
                .metric(&stack.pages[0], "page_source_trusted", &of_accounts)
                .await,
        )
    };
    let (owed, old) = (limit("OutboxStuck"), limit("WatermarkOld"));
    let alarmed = |values: (f64, f64, f64)| (values.0 > owed, values.1 > old, values.2 < 0.5);
    let until = async |stack: &Stack, expected: (bool, bool, bool)| {
        eventually(LONG, async || match values(stack).await {
            values if alarmed(values) == expected => Ok(()),
            values => Err(format!("{values:?}")),
        })
        .await;
    };
    until(&stack, (false, false, false)).await;

    stack.nats.kill();
    stack.rename_account(account, "during").await;
    until(&stack, (true, true, true)).await;
    assert!(
        stack
            .count(&stack.sources[Source::Accounts], "outbox_pending", &[])
            .await
            >= 1
    );

    stack.nats.restart();
    until(&stack, (false, false, false)).await;
    assert_eq!(
        stack
            .count(&stack.sources[Source::Accounts], "outbox_pending", &[])
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_makes_a_source_publish_twice_is_counted() {
    let mut stack = Stack::start().await;
    let account = stack.create_account("before").await;
    // What is still there would be published by the next process, and end it before it listens.
    let outbox = rusqlite::Connection::open(stack.database(Source::Accounts)).unwrap();
    let rows = || outbox.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, u64>(0));
    eventually(LONG, async || match rows() {
        Ok(0) => Ok(()),
        rows => Err(format!("{rows:?} rows are left")),
    })
    .await;
    let fail_point = "--fail-point=before-delete";
    stack.sources[Source::Accounts]
        .restart(|arguments| arguments.push(fail_point.to_owned()))
        .await;
    // The process may end before the answer is out.
    let url = stack.sources[Source::Accounts].url(&format!("/accounts/{account}"));
    let rename = stack
        .request(Method::PATCH, url)
        .json(&serde_json::json!({ "name": "after" }));
    drop(rename.send().await);
    assert!(!stack.sources[Source::Accounts].ended().await, "it was to crash");
    stack.sources[Source::Accounts]
        .restart(|arguments| arguments.retain(|argument| argument != fail_point))
        .await;
    let repeat = ("result", "repeat");
    eventually(LONG, async || {
        match stack
            .count(
                &stack.sources[Source::Accounts],
                "outbox_published_total",
                &[repeat],
            )
            .await
        {
            0 => Err("nothing was published twice"),
            _ => Ok(()),
        }
    })
    .await;
}
