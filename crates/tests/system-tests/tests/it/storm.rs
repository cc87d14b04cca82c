//! No outage becomes a stampede: what the sources are asked while readers read as fast as they can (rule 12).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use stack::{Options, PerSource, Process, Source, Stack, Window};

/// Pages that are read.
const PAGES: u64 = 8;
/// Readers at once.
const READERS: usize = 48;
/// For how long, at the least.
const LOAD: Duration = Duration::from_secs(3);
/// A week's buckets are three hours long: within a test they hardly ever end, which would cost a request too.
const WINDOW: Window = Window::Week;

/// A stack whose auditor asks nothing, and accounts to read.
async fn stack() -> (Stack, Vec<u64>) {
    let page_flags = ["--audit-interval-ms", "0"].map(str::to_owned).to_vec();
    let stack = Stack::start_with(Options {
        page_flags,
        ..Options::default()
    })
    .await;
    let mut accounts = Vec::new();
    for number in 0..PAGES {
        let id = stack.create_account(&format!("account {number}")).await;
        let endpoint = stack.add_endpoint(id, "home", "https://example.org/").await;
        stack.record(id, endpoint, 20).await;
        accounts.push(id);
    }
    (stack, accounts)
}

/// Reads every page until all are served from the cache.
async fn warm(stack: &Stack, replica: usize, accounts: &[u64]) {
    test_support::eventually(Duration::from_secs(20), async || {
        for &id in accounts {
            let page = stack.page_with(replica, id, WINDOW, &[]).await;
            if page.cache_status != "page; hit" {
                return Err(page.cache_status);
            }
        }
        Ok(())
    })
    .await;
}

/// How many requests a source answered on a route; with a status code, only such.
async fn answered(stack: &Stack, service: &Process, route: &str, status: Option<u16>) -> u64 {
    let status = status.map(|status| status.to_string());
    let status = status
        .as_deref()
        .map(|status| ("http_response_status_code", status));
    let labels: Vec<_> = [("http_route", route)].into_iter().chain(status).collect();
    let name = "http_server_request_duration_seconds_count";
    stack.count(service, name, &labels).await
}

/// What each source answered, and what of it was "not modified".
async fn asked(stack: &Stack) -> PerSource<(u64, u64)> {
    PerSource::join(async |source: Source| {
        let service = &stack.sources[source];
        let route = format!("/accounts/{{id}}{}", source.info().path);
        let all = answered(stack, service, &route, None).await;
        (all, answered(stack, service, &route, Some(304)).await)
    })
    .await
}

/// What a load was.
struct Load {
    reads: u64,
    /// Whole ones: in three and a half there is room for four requests that are a second apart.
    seconds: u64,
}

impl Load {
    /// What each source may be asked at most: about every page at the beginning, and then once a second.
    fn bound(&self) -> u64 {
        PAGES * (self.seconds + 1)
    }
}

/// Reads all pages as fast as it goes, by many readers at once, until `done`; each answer must be a page.
async fn read_until(stack: &Stack, replica: usize, accounts: &[u64], done: impl Future<Output = ()>) -> Load {
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let urls: Vec<_> = accounts
                .iter()
                .map(|id| stack.pages[replica].url(&format!("/accounts/{id}?window={}", WINDOW.name())))
                .collect();
            let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
            tokio::spawn(async move {
                let client = Client::new();
                for url in urls.iter().cycle().skip(reader) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let answer = client.get(url).header("accept", "application/json").send().await;
                    assert_eq!(answer.unwrap().status(), 200);
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    done.await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    Load {
        reads: reads.load(Ordering::Relaxed),
        seconds: began.elapsed().as_secs(),
    }
}

async fn read_for_a_while(stack: &Stack, replica: usize, accounts: &[u64]) -> Load {
    read_until(stack, replica, accounts, tokio::time::sleep(LOAD)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_feed_lost_each_source_is_asked_once_per_page_and_second() {
    let (mut stack, accounts) = stack().await;
    warm(&stack, 0, &accounts).await;
    stack.nats.kill();
    stack.until_distrusted(&stack.pages[0]).await;
    let before = asked(&stack).await;
    let load = read_for_a_while(&stack, 0, &accounts).await;
    let after = asked(&stack).await;
    let requests = PerSource::from_fn(|source| after[source].0 - before[source].0);
    println!(
        "feed lost: {} reads of {PAGES} pages in {} s; requests to each source: {requests:?}, at most {} each",
        load.reads,
        load.seconds,
        load.bound()
    );
    for source in Source::ALL {
        let not_modified = after[source].1 - before[source].1;
        assert_eq!(not_modified, requests[source], "all of them conditional");
        assert!(requests[source] >= PAGES, "no page was asked about");
        assert!(requests[source] <= load.bound());
    }
    assert!(load.reads > 5 * load.bound(), "{} reads are no load", load.reads);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_answers_500_is_asked_once_per_page_and_second_with_and_without_the_feed() {
    let (mut stack, accounts) = stack().await;
    warm(&stack, 0, &accounts).await;
    stack.gate.fail();
    // Each page is in doubt now, for good, and its source cannot mend it.
    let applied = stack.applied(0, Source::Accounts).await;
    for &id in &accounts {
        stack.rename_account(id, "renamed").await;
    }
    stack
        .until_applied(0, Source::Accounts, applied + PAGES - 1)
        .await;
    for feed in ["received", "lost"] {
        if feed == "lost" {
            stack.nats.kill();
            stack.until_distrusted(&stack.pages[0]).await;
        }
        let before = stack.gate.requests();
        let load = read_for_a_while(&stack, 0, &accounts).await;
        let requests = stack.gate.requests() - before;
        println!(
            "accounts answers 500, feed {feed}: {} reads in {} s; {requests} requests to accounts, at most {}",
            load.reads,
            load.seconds,
            load.bound()
        );
        assert!(requests >= PAGES, "no page was asked about");
        assert!(requests <= load.bound());
        assert!(load.reads > 5 * load.bound(), "{} reads are no load", load.reads);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_the_others_do_not_make_a_failing_source_be_asked_more_often() {
    let (stack, accounts) = stack().await;
    warm(&stack, 0, &accounts).await;
    stack.gate.fail();
    let applied = stack.applied(0, Source::Accounts).await;
    for &id in &accounts {
        stack.rename_account(id, "renamed").await;
    }
    stack
        .until_applied(0, Source::Accounts, applied + PAGES - 1)
        .await;
    let before = (stack.gate.requests(), stack.applied(0, Source::Metrics).await);
    let writes = async {
        let until = Instant::now() + LOAD;
        while Instant::now() < until {
            for &id in &accounts {
                stack.record(id, 1, 20).await;
            }
        }
    };
    let load = read_until(&stack, 0, &accounts, writes).await;
    let requests = stack.gate.requests() - before.0;
    let events = stack.applied(0, Source::Metrics).await - before.1;
    println!(
        "accounts answers 500 amid {events} events of metrics: {} reads in {} s; {requests} requests to accounts, at most {}",
        load.reads,
        load.seconds,
        load.bound()
    );
    assert!(events > load.bound(), "{events} events are no test");
    assert!(requests <= load.bound());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_connections_is_tried_once_per_page_and_second() {
    let (mut stack, accounts) = stack().await;
    // Behind the gate nothing is ever refused.
    let url = stack.sources[Source::Accounts].url("");
    let replica = stack.add_page(&[("--accounts-url", url)]).await;
    stack.until_trusted(&stack.pages[replica]).await;
    warm(&stack, replica, &accounts).await;
    let applied = stack.applied(replica, Source::Accounts).await;
    let client = Client::new();
    for &id in &accounts {
        let change = client.request(
            Method::PATCH,
            stack.sources[Source::Accounts].url(&format!("/accounts/{id}")),
        );
        stack
            .send(change.json(&serde_json::json!({ "name": "renamed" })))
            .await;
    }
    stack
        .until_applied(replica, Source::Accounts, applied + PAGES - 1)
        .await;
    stack.sources[Source::Accounts].kill().await;
    let failed = async || {
        let labels = [("result", "failed")];
        stack
            .count(&stack.pages[replica], "page_fetches_total", &labels)
            .await
    };
    let before = failed().await;
    let load = read_for_a_while(&stack, replica, &accounts).await;
    let requests = failed().await - before;
    println!(
        "accounts is down: {} reads in {} s; {requests} attempts, at most {}",
        load.reads,
        load.seconds,
        load.bound()
    );
    assert!(requests >= PAGES, "no page was asked about");
    assert!(requests <= load.bound());
    assert!(load.reads > 5 * load.bound(), "{} reads are no load", load.reads);
}
