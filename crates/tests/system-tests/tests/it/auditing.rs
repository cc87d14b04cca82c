//! A change that nobody announces: the one fault that only the auditor can find.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;

use stack::{Options, Source, Stack};

/// Longer than anything here takes on a busy machine.
const LONG: std::time::Duration = std::time::Duration::from_secs(20);

/// Changes an account as a repair by hand would: behind its service's back, with a revision and without an event.
fn rename_behind_its_back(database: &Path, id: u64, name: &str) {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.busy_timeout(LONG).unwrap();
    let changed = connection.execute(
        "UPDATE accounts SET name = ?2, revision = revision + 1 WHERE id = ?1",
        rusqlite::params![id, name],
    );
    assert_eq!(changed.unwrap(), 1);
}

async fn checks(stack: &Stack, result: &str) -> u64 {
    stack
        .count(&stack.pages[0], "page_audit_checks_total", &[("result", result)])
        .await
}

/// Reads until the page is served from the cache; the traces of the readers it was composed for.
async fn compose(stack: &Stack, id: u64) -> HashSet<String> {
    let composed = Mutex::new(HashSet::new());
    test_support::eventually(LONG, async || {
        let page = stack.page(0, id).await;
        if page.cache_status == "page; hit" {
            return Ok(());
        }
        composed.lock().unwrap().insert(page.trace_id);
        Err(page.cache_status)
    })
    .await;
    composed.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_does_not_match_is_found_counted_logged_and_mended() {
    let page_flags = ["--audit-interval-ms", "100"].map(str::to_owned).to_vec();
    let stack = Stack::start_with(Options {
        page_flags,
        ..Options::default()
    })
    .await;
    let id = stack.create_account("before").await;
    let composed = compose(&stack, id).await;

    rename_behind_its_back(&stack.database(Source::Accounts), id, "behind its back");
    let wrong = stack.page(0, id).await;
    assert!(
        wrong.cache_status.starts_with("page; hit"),
        "{}",
        wrong.cache_status
    );
    assert_eq!(wrong.body["account"]["name"], "before", "nobody told the page");

    // Not read meanwhile: the mending must not need a reader.
    for result in ["suspicious", "lie"] {
        test_support::eventually(LONG, async || match checks(&stack, result).await {
            0 => Err(format!("nothing is {result}")),
            _ => Ok(()),
        })
        .await;
    }
    let mended = stack.page(0, id).await;
    assert_eq!(mended.body["account"]["name"], "behind its back");
    assert!(
        mended.fresh_as_of > wrong.fresh_as_of,
        "{mended:?} is no fresher than {wrong:?}"
    );

    let logged = test_support::eventually(LONG, async || {
        let mut log = stack.pages[0].log();
        log.retain(|line| line["level"] == "ERROR");
        log.pop().ok_or("nothing is logged")
    })
    .await;
    assert_eq!(
        logged["message"],
        "a page was older than it claimed; it was dropped"
    );
    assert_eq!(
        (&logged["source"], &logged["shown"], &logged["found"]),
        (&"accounts".into(), &1.into(), &2.into())
    );
    let [audited, of_page] = ["trace_id", "composed_in_trace"].map(|name| logged[name].as_str().unwrap());
    assert!(composed.contains(of_page), "{of_page} is none of {composed:?}");
    assert!(audited.len() == 32 && audited != of_page, "{logged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_right_are_looked_at_and_nothing_is_found() {
    let page_flags = ["--audit-interval-ms", "20"].map(str::to_owned).to_vec();
    let stack = Stack::start_with(Options {
        page_flags,
        ..Options::default()
    })
    .await;
    let id = stack.create_account("0").await;
    for round in 1..=20 {
        stack.rename_account(id, &round.to_string()).await;
        stack.record(id, 1, round).await;
        stack.page(0, id).await;
    }
    test_support::eventually(LONG, async || {
        stack.page(0, id).await;
        match checks(&stack, "agrees").await {
            enough if enough >= 20 => Ok(()),
            agrees => Err(format!("{agrees} pages were found to agree")),
        }
    })
    .await;
    assert_eq!(checks(&stack, "lie").await, 0);
    let last = stack
        .metric(&stack.pages[0], "page_audit_last_seconds", &[])
        .await;
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    assert!((now - last).abs() < 60.0, "{last}, and it is {now}");
}
