//! Databases that were set back, and second publishers: real processes, and copies of their real files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use stack::{Link, Page, Process, Source, Stack, Window, database_files};
use test_support::eventually;

const LONG: Duration = Duration::from_secs(20);
const TOKEN: &str = "consistency-token";

/// The files of a database as they lie there; or the database alone, after what is in its write-ahead log was taken over.
fn copy(database: &Path, to: &Path, with_log: bool) -> PathBuf {
    if !with_log {
        let connection = rusqlite::Connection::open(database).unwrap();
        let taken_over = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        taken_over.unwrap();
    }
    for (from, to) in database_files(database).iter().zip(database_files(to)) {
        let _ = std::fs::remove_file(&to);
        if from.exists() && (from == database || with_log) {
            std::fs::copy(from, to).unwrap();
        }
    }
    to.to_owned()
}

async fn stop(process: &mut Process) {
    process.terminate();
    assert!(process.ended().await, "{:?}", process.log());
}

fn name_of(page: &Page) -> &str {
    page.body["account"]["name"].as_str().unwrap_or_default()
}

/// The page shows the write to the one who made it, at once, and soon to everybody, from the cache.
async fn assert_shown(stack: &Stack, id: u64, name: &str, token: &str) {
    let mine = stack.page_with(0, id, Window::Day, &[(TOKEN, token)]).await;
    assert_eq!(name_of(&mine), name, "{}", mine.cache_status);
    let composed_now = stack
        .page_with(0, id, Window::Day, &[("cache-control", "no-cache")])
        .await;
    assert_eq!(name_of(&composed_now), name, "{}", composed_now.cache_status);
    eventually(LONG, async || {
        let page = stack.page(0, id).await;
        let shown = name_of(&page) == name && page.cache_status == "page; hit";
        shown
            .then_some(())
            .ok_or(format!("{} {}", page.cache_status, page.body))
    })
    .await;
}

/// A stack whose accounts service has been set back to revision 1 after revision 5 was shown, and runs again.
async fn set_back(with_log: bool, stream_too: bool) -> (Stack, u64) {
    let mut stack = Stack::start().await;
    let id = stack.create_account("1").await;
    let database = stack.database(Source::Accounts);
    let backup = stack.database(Source::Accounts).with_file_name("backup.db");
    if with_log {
        // Cut off in the midst: what it committed is in the log.
        stack.sources[Source::Accounts].kill().await;
    } else {
        stop(&mut stack.sources[Source::Accounts]).await;
    }
    copy(&database, &backup, with_log);
    stack.sources[Source::Accounts].restart(|_| {}).await;
    for name in ["2", "3", "4", "5"] {
        stack.rename_account(id, name).await;
    }
    eventually(LONG, async || {
        let page = stack.cached_page(0, id).await;
        (name_of(&page) == "5").then_some(()).ok_or(page.body)
    })
    .await;
    // What nobody was told of is found out by nobody; the page is right all the same.
    until_publishing(&stack, &stack.sources[Source::Accounts], id).await;
    stack.sources[Source::Accounts].kill().await;
    copy(&backup, &database, with_log);
    if stream_too {
        let client = async_nats::connect(stack.nats.url()).await.unwrap();
        let jetstream = async_nats::jetstream::new(client);
        jetstream.delete_stream("EVENTS").await.unwrap();
    }
    stack.sources[Source::Accounts].restart(|_| {}).await;
    (stack, id)
}

/// How often the log says that the database was set back.
fn times_said(process: &Process) -> usize {
    let said = |line: &serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("a history that this database does not have")
    };
    process.log().iter().filter(|line| said(line)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_a_restore_is_shown_and_nobody_has_to_set_a_flag() {
    for with_log in [true, false] {
        let (stack, id) = set_back(with_log, false).await;
        let written = stack.rename_account(id, "after").await;
        let token = &written.token;
        assert_shown(&stack, id, "after", token).await;
        // A page may be shown before the source has found out: what it answers is believed for its own sake.
        eventually(LONG, async || {
            match times_said(&stack.sources[Source::Accounts]) {
                1 => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_shown_before_anything_is_written_also_if_the_stream_is_gone() {
    for stream_too in [false, true] {
        let (stack, id) = set_back(true, stream_too).await;
        eventually(LONG, async || {
            let page = stack.page(0, id).await;
            let shown = name_of(&page) == "1" && page.cache_status == "page; hit";
            shown
                .then_some(())
                .ok_or(format!("{} {}", page.cache_status, page.body))
        })
        .await;
        let written = stack.rename_account(id, "after").await;
        let token = &written.token;
        assert_shown(&stack, id, "after", token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_are_recorded_after_a_restore_are_shown() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("a").await;
    let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
    let (database, backup) = (
        stack.database(Source::Metrics),
        stack.database(Source::Metrics).with_file_name("backup.db"),
    );
    stop(&mut stack.sources[Source::Metrics]).await;
    copy(&database, &backup, false);
    stack.sources[Source::Metrics].restart(|_| {}).await;
    for milliseconds in [10, 20, 30] {
        stack.record(id, endpoint, milliseconds).await;
    }
    stack.cached_page(0, id).await;
    stop(&mut stack.sources[Source::Metrics]).await;
    copy(&backup, &database, false);
    stack.sources[Source::Metrics].restart(|_| {}).await;
    let recorded = stack.record(id, endpoint, 999).await;
    let token = &recorded.token;
    let mine = stack.page_with(0, id, Window::Day, &[(TOKEN, token)]).await;
    assert_eq!(
        mine.body["metrics"]["endpoints"][0]["samples"], 1,
        "{}",
        mine.body
    );
    eventually(LONG, async || {
        let page = stack.cached_page(0, id).await;
        let shown = page.body["metrics"]["endpoints"][0]["samples"] == 1;
        shown.then_some(()).ok_or(page.body)
    })
    .await;
}

/// An accounts service on another database than the stack's.
async fn second(database: &Path, nats: &str, flags: &[&str]) -> Process {
    let database = database.display().to_string();
    let settings = ["--nats-url", nats, "--database", &database];
    let flags = settings.iter().chain(flags).map(|&flag| flag.to_owned());
    Process::start("accounts", flags.collect()).await
}

/// Of two processes with the same history that start at once, the one that claims first is the source.
async fn until_publishing(stack: &Stack, process: &Process, id: u64) {
    eventually(LONG, async || {
        let request = stack.request(Method::GET, process.url(&format!("/accounts/{id}")));
        let answer = request.send().await.unwrap();
        let claimed = answer.headers().contains_key("feed-claim");
        claimed.then_some(()).ok_or("no claim is stated")
    })
    .await;
}

async fn rename_at(stack: &Stack, process: &Process, id: u64, name: &str) -> u16 {
    let url = process.url(&format!("/accounts/{id}"));
    let request = stack.request(Method::PATCH, url).json(&json!({ "name": name }));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_on_copies_of_a_database_the_second_refuses_writes_and_says_so() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("1").await;
    stop(&mut stack.sources[Source::Accounts]).await;
    let copied = copy(
        &stack.database(Source::Accounts),
        &stack.database(Source::Accounts).with_file_name("copy.db"),
        false,
    );
    stack.sources[Source::Accounts].restart(|_| {}).await;
    until_publishing(&stack, &stack.sources[Source::Accounts], id).await;
    stack.rename_account(id, "2").await;
    let twin = second(&copied, &stack.nats.url(), &[]).await;
    eventually(LONG, async || match rename_at(&stack, &twin, id, "twin").await {
        503 => Ok(()),
        status => Err(status),
    })
    .await;
    let ready = stack
        .request(Method::GET, twin.url("/readyz"))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("another instance publishes"));
    let errors = twin.log().iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 1, "{:?}", twin.log());
    for round in 0..20 {
        let name = format!("original {round}");
        let written = stack.rename_account(id, &name).await;
        let token = &written.token;
        let page = stack.page_with(0, id, Window::Day, &[(TOKEN, token)]).await;
        assert_eq!(name_of(&page), name, "{}", page.cache_status);
    }
}

/// The page's address of accounts moves to a copy that was told to replace the original, and whose link to the broker is cut
/// then. The original lives on, and so does its link.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_was_replaced_vouches_for_nothing_though_it_lives_on() {
    let mut stack = Stack::start().await;
    let id = stack.create_account("1").await;
    stack.cached_page(0, id).await;
    let copied = copy(
        &stack.database(Source::Accounts),
        &stack.database(Source::Accounts).with_file_name("copy.db"),
        true,
    );
    let link = Link::start(&stack.nats.url()).await;
    let twin = second(&copied, &link.url(), &["--renew-incarnation"]).await;
    eventually(LONG, async || {
        match rename_at(&stack, &stack.sources[Source::Accounts], id, "original").await {
            503 => Ok(()),
            status => Err(status),
        }
    })
    .await;
    let replica = stack.add_page(&[("--accounts-url", twin.url(""))]).await;
    stack.until_trusted(&stack.pages[replica]).await;
    stack.page(replica, id).await;
    link.cut().await;
    let (until, mut dated_later) = (Instant::now() + Duration::from_secs(6), 0);
    for round in 0.. {
        let name = format!("copy {round}");
        assert_eq!(rename_at(&stack, &twin, id, &name).await, 200);
        let acknowledged = Timestamp::now();
        // Until the watermarks of the other sources, which date the page too, are later than that.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let page = stack.page(replica, id).await;
        if page.fresh_as_of.parse::<Timestamp>().unwrap() > acknowledged {
            dated_later += 1;
            assert_eq!(name_of(&page), name, "{} {}", page.cache_status, page.fresh_as_of);
        }
        if Instant::now() > until {
            break;
        }
    }
    assert!(dated_later > 0, "no page claimed to have the write");
    assert_eq!(
        rename_at(&stack, &stack.sources[Source::Accounts], id, "original").await,
        503
    );
}
