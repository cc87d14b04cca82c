//! The comparison of the strategies, on a stack of its own: in the library, as a program, on a click.

use std::future::pending;
use std::process::Stdio;
use std::time::Duration;

use lab::strategies::{Compared, Plan, Row, run};
use reqwest::Client;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use stack::sources::Sources;
use test_support::eventually;
use tokio::process::Command;
use tokio::time::timeout;

use crate::browser;
use crate::class::{Class, problem};
use crate::up::pid;

/// The comparison takes twelve seconds; the rest is for a busy machine.
const COMPARED_WITHIN: Duration = Duration::from_secs(40);

/// Short, and yet longer than the second after which a change must show.
const SHORT: Plan = Plan {
    rounds: 3,
    slice: Duration::from_millis(150),
    pace: Duration::from_millis(5),
};

fn sources(class: &Class) -> Sources {
    let [accounts, endpoints, metrics] =
        ["accounts", "endpoints", "metrics"].map(|word| class.lab.address(word));
    Sources::new(accounts, endpoints, metrics)
}

fn row<'rows>(compared: &'rows Compared, strategy: &str) -> &'rows Row {
    let mut rows = compared.rows.iter();
    rows.find(|row| row.strategy == strategy)
        .expect("every strategy has its row")
}

/// The comparison's account is gone again.
async fn nothing_is_left(class: &Class) {
    let accounts = sources(class).list_accounts(50).await.expect("accounts answers");
    assert_eq!(accounts.len(), 7, "{accounts:?}");
}

#[tokio::test]
async fn a_ttl_hides_changes_and_nothing_else_does() {
    let class = Class::begin().await;
    let page = class.lab.address("page");
    let told = std::sync::Mutex::new(Vec::new());
    let progress = |done| told.lock().unwrap().push(done);
    let compared = run(&sources(&class), &page, SHORT, progress, pending())
        .await
        .unwrap();
    assert_eq!(*told.lock().unwrap(), (0..=15).collect::<Vec<_>>());
    assert_eq!(compared.rows.len(), 5);

    let ttl = row(&compared, "ttl");
    assert!(ttl.stale > 0 && ttl.oldest_stale_s.unwrap() > 1.0, "{ttl:?}");
    assert!(ttl.requests_per_100_reads < 1.0, "{ttl:?}");
    for strategy in ["none", "versioned", "invalidate", "prepopulate"] {
        let row = row(&compared, strategy);
        assert_eq!(
            (row.stale, row.marked, row.oldest_stale_s),
            (0, 0, None),
            "{row:?}"
        );
    }
    // Whoever looks at the lab reads beside it, and so does not count; every composition asks all three.
    let none = row(&compared, "none");
    assert!(
        (none.requests_per_100_reads - 300.0).abs() < 0.001 && none.hits_percent == 0.0,
        "{none:?}"
    );
    let invalidate = row(&compared, "invalidate");
    assert!(
        invalidate.requests_per_100_reads < 100.0 && invalidate.hits_percent > 50.0,
        "{invalidate:?}"
    );
    let of_injected = |compared: &Compared| compared.how.iter().any(|said| said.starts_with("Injected"));
    assert!(!of_injected(&compared), "{:?}", compared.how);
    nothing_is_left(&class).await;

    let pages =
        |compared: &Compared| ["invalidate", "prepopulate"].map(|name| row(compared, name).hits_percent);
    let mut hits = vec![pages(&compared)];
    // A reader that comes before the refresh is done waits for it, which on a busy machine may happen each time.
    while hits
        .iter()
        .all(|[invalidate, prepopulate]| prepopulate <= invalidate)
    {
        assert!(hits.len() < 5, "pre-populating saves nobody the wait: {hits:?}");
        hits.push(pages(
            &run(&sources(&class), &page, SHORT, |_| (), pending())
                .await
                .unwrap(),
        ));
    }

    let broken = run(&sources(&class), "http://127.0.0.1:1", SHORT, |_| (), pending()).await;
    assert_eq!(broken.unwrap_err().to_string(), "the page cannot be reached");
    nothing_is_left(&class).await;
    class.end().await;
}

fn program(class: &Class, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.arg("compare").args(more).kill_on_drop(true);
    for word in ["accounts", "endpoints", "metrics", "page"] {
        command.arg(format!("--{word}-url")).arg(class.lab.address(word));
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn the_program_prints_a_table_and_leaves_nothing_behind() {
    let class = Class::begin().await;
    assert_eq!(class.click("slow?part=metrics&ms=30").await.status(), 200);
    let ready = format!("{}/readyz", class.lab.address("metrics"));
    eventually(Duration::from_secs(10), async || {
        Client::new().get(&ready).send().await.map(drop)
    })
    .await;
    let compared = program(&class, &["--rounds", "1", "--slice-ms", "50"])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(compared.stdout).unwrap();
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stderr)
    );
    let first_words: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        first_words[1..7],
        [
            "strategy",
            "none",
            "ttl",
            "versioned",
            "invalidate",
            "prepopulate"
        ],
        "{said}"
    );
    assert!(said.contains("The p99 is not told below 200 reads."), "{said}");
    assert!(
        said.contains("Injected on purpose: 30 ms into metrics, added to each answer about an account."),
        "{said}"
    );
    nothing_is_left(&class).await;

    let interrupted = program(&class, &["--rounds", "600"]).spawn().unwrap();
    eventually(Duration::from_secs(10), async || {
        let accounts = sources(&class).list_accounts(50).await.unwrap();
        match accounts.last() {
            // Its first rename.
            Some(account) if account.name.starts_with("lab compare ") => Ok(()),
            _ => Err("not yet comparing"),
        }
    })
    .await;
    kill_process(pid(interrupted.id().unwrap()), Signal::INT).unwrap();
    let ended = timeout(Duration::from_secs(10), interrupted.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(
        !ended.status.success() && stderr.contains("interrupted"),
        "{stderr}"
    );
    nothing_is_left(&class).await;
    class.end().await;
}

async fn standing(class: &Class) -> Value {
    let answer = Client::new()
        .get(format!("{}/comparison", class.root))
        .send()
        .await;
    answer.expect("the lab answers").json().await.expect("it is JSON")
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
    assert_eq!(class.click("compare").await.status(), 200);
    assert_eq!(standing(&class).await["state"], "running");
    // The lab ends in the middle of it, as always.
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
