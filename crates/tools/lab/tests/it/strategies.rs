//! The comparison of the strategies on a click: the load test's program on this lab's stack. Needs that program beside the lab's.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use stack::PerSource;
use stack::sources::SourceClient;
use tempfile::TempDir;
use test_support::eventually;

use crate::browser;
use crate::class::{Class, problem};

/// The comparison takes twelve seconds; the rest is for a busy machine.
const COMPARED_WITHIN: Duration = Duration::from_mins(1);

/// The comparison's accounts are gone again.
async fn nothing_is_left(class: &Class) {
    let sources = SourceClient::new(PerSource::from_fn(|source| class.lab.address(source.name())));
    let accounts = sources.list_accounts(50).await.expect("accounts answers");
    assert_eq!(accounts.len(), 7, "{accounts:?}");
}

async fn standing(class: &Class) -> Value {
    let answer = Client::new()
        .get(format!("{}/comparison", class.root))
        .send()
        .await;
    answer.expect("the lab answers").json().await.expect("it is JSON")
}

/// Clicks, and waits for the result.
async fn compared(class: &Class) -> Value {
    assert_eq!(class.click("compare").await.status(), 200);
    eventually(COMPARED_WITHIN, async || match standing(class).await {
        compared if compared["state"] == "done" => Ok(compared),
        other => Err(other),
    })
    .await
}

fn row<'all>(compared: &'all Value, strategy: &str) -> &'all Value {
    let mut rows = compared["rows"].as_array().expect("a list").iter();
    rows.find(|row| row["strategy"] == strategy)
        .expect("every strategy has its row")
}

fn number(row: &Value, name: &str) -> f64 {
    row[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name} is no number in {row}"))
}

fn says(compared: &Value, words: &str) -> bool {
    let mut how = compared["how"].as_array().expect("a list").iter();
    how.any(|said| said.as_str().is_some_and(|said| said.contains(words)))
}

#[tokio::test]
async fn a_ttl_hides_changes_and_nothing_else_does() {
    let class = Class::begin().await;
    assert_eq!(class.click("slow?part=metrics&ms=30").await.status(), 200);
    let ready = format!("{}/readyz", class.lab.address("metrics"));
    eventually(Duration::from_secs(10), async || {
        Client::new().get(&ready).send().await.map(drop)
    })
    .await;
    let found = compared(&class).await;
    assert_eq!(found["rows"].as_array().unwrap().len(), 5, "{found}");

    let ttl = row(&found, "ttl");
    assert!(
        number(ttl, "stale") > 0.0 && number(ttl, "oldest_stale_s") > 1.0,
        "{ttl}"
    );
    assert!(number(ttl, "requests_per_100_reads") < 1.0, "{ttl}");
    for strategy in ["none", "versioned", "invalidate", "prepopulate"] {
        let row = row(&found, strategy);
        // On a busy machine a source may miss its deadline: then the page marks what it shows.
        assert_eq!(
            [&row["stale"], &row["oldest_stale_s"]],
            [&json!(0), &Value::Null],
            "{row}"
        );
    }
    // Whoever looks at the lab reads beside it, and so does not count; every composition asks all three, but for a source
    // that has just missed its deadline.
    let none = row(&found, "none");
    let (requests, marked) = (number(none, "requests_per_100_reads"), number(none, "marked"));
    assert!(
        (requests - 300.0).abs() < 0.001 || marked > 0.0 && (100.0..300.0).contains(&requests),
        "{none}"
    );
    assert!(
        number(none, "hits_percent") == 0.0 && number(none, "p50_ms") > 30.0,
        "{none}"
    );
    let invalidate = row(&found, "invalidate");
    assert!(
        number(invalidate, "requests_per_100_reads") < 100.0,
        "{invalidate}"
    );
    assert!(number(invalidate, "hits_percent") > 50.0, "{invalidate}");
    let slow = "Injected on purpose: 30 ms into metrics, added to each answer about an account.";
    assert!(says(&found, slow), "{found}");
    nothing_is_left(&class).await;
    class.end().await;
}

#[tokio::test]
async fn one_comparison_runs_at_a_time_and_the_controls_stay_usable() {
    let class = Class::begin().await;
    assert_eq!(standing(&class).await, json!({"state": "none"}));
    assert_eq!(class.click("compare").await.status(), 200);
    let (status, why) = problem(class.click("compare").await).await;
    assert_eq!(
        (status, why.as_str()),
        (409, "the strategies are being compared already")
    );
    assert_eq!(class.click("rename?name=meanwhile").await.status(), 200);
    assert_eq!(standing(&class).await["state"], "running");

    // Once it reads: what is broken before is said as well, in the words of the load test's start.
    eventually(COMPARED_WITHIN, async || match standing(&class).await {
        running if running["step"].as_str().unwrap_or_default().starts_with("round") => Ok(()),
        other => Err(other),
    })
    .await;
    // What is broken meanwhile is said, and the next one may begin.
    assert_eq!(class.click("kill?part=page").await.status(), 200);
    eventually(COMPARED_WITHIN, async || match standing(&class).await {
        broken if broken["state"] == "failed" => {
            assert!(
                broken["why"].as_str().unwrap().starts_with("the page "),
                "{broken}"
            );
            Ok(())
        }
        other => Err(other),
    })
    .await;
    assert_eq!(class.click("start?part=page").await.status(), 200);
    // A comparison that begins before the page answers fails.
    let ready = format!("{}/readyz", class.lab.address("page"));
    eventually(COMPARED_WITHIN, async || {
        match Client::new().get(&ready).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(class.click("compare").await.status(), 200);
    assert_eq!(standing(&class).await["state"], "running");
    // The lab ends in the middle of it, as always, and the load test with it.
    class.end().await;
}

#[tokio::test]
async fn a_lab_without_the_load_test_says_how_to_build_it() {
    let folder = TempDir::new().unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_lab")).parent().unwrap();
    for program in ["accounts", "endpoints", "metrics", "page", "traces", "naive-page"] {
        symlink(built.join(program), folder.path().join(program)).unwrap();
    }
    let class = Class::begin_with(&["--programs", &folder.path().display().to_string()]).await;
    let (status, why) = problem(class.click("compare").await).await;
    assert_eq!(status, 409);
    assert!(
        why.starts_with("the program loadtest is not in ") && why.contains("cargo build -p loadtest"),
        "{why}"
    );
    assert_eq!(standing(&class).await, json!({"state": "none"}));
    class.end().await;
}

#[tokio::test]
async fn a_click_shows_the_table_and_escape_closes_it() {
    const ESCAPE: &str = "\u{e00c}";
    const OPEN: &str = "return document.querySelector('#comparison').open";
    const ROWS: &str = "return document.querySelectorAll('#compared tbody tr').length";
    let Some((class, browser)) = browser::begin().await else {
        return;
    };
    browser.click("[data-do=compare]").await;
    browser
        .reads("#comparing", "Everything else remains usable")
        .await;
    // Whoever closes it meanwhile is shown what came of it all the same.
    browser.type_into("#comparison button", ESCAPE).await;
    assert_eq!(browser.run(OPEN).await, false);
    eventually(COMPARED_WITHIN, async || match browser.run(ROWS).await {
        rows if rows == 5 => Ok(()),
        rows => Err(format!("{rows} rows")),
    })
    .await;
    let lines = browser
        .run(
            "return [...document.querySelectorAll('#compared tbody tr')].map((line) => [
                line.querySelector('th').textContent, line.querySelectorAll('td.stale').length,
                line.querySelectorAll('td.fresh').length, Number(line.querySelector('rect').getAttribute('width')) > 0])",
        )
        .await;
    let expected = ["none", "ttl", "versioned", "invalidate", "prepopulate"].map(|strategy| {
        let stale = u8::from(strategy == "ttl");
        json!([strategy, stale, 1 - stale, true])
    });
    assert_eq!(lines, json!(expected));

    eventually(Duration::from_secs(5), async || match browser.run(OPEN).await {
        open if open == true => Ok(()),
        open => Err(open),
    })
    .await;
    browser.type_into("#comparison button", ESCAPE).await;
    assert_eq!(browser.run(OPEN).await, false);
    let focused = "return document.activeElement.dataset.do";
    assert_eq!(
        browser.run(focused).await,
        "compare",
        "the focus is where it came from"
    );
    let log = browser.post("/se/log", &json!({"type": "browser"})).await;
    assert_eq!(log, json!([]), "the browser has nothing to complain about");
    browser.close().await;
    class.end().await;
}
