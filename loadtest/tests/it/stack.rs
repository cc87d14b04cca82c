//! The real stack: started, joined, filled with accounts, looked at.

use std::path::Path;

use loadtest::client::{Account, Addresses, Client};
use loadtest::fixtures::Fixtures;
use loadtest::results::Injected;
use loadtest::scrape::Scraper;
use loadtest::stack::{Stack, StackOptions, Which};
use loadtest::strategy::Strategy;
use stack::{Outcome, Process, Source};

fn slow_metrics(latency_ms: u64) -> StackOptions {
    let slow = Injected {
        source: "metrics".to_owned(),
        latency_ms,
    };
    StackOptions {
        inject: vec![slow],
        ..StackOptions::default()
    }
}

async fn own(options: &StackOptions) -> Stack {
    Stack::find(&Which::Own, options).await.unwrap()
}

async fn refusal(addresses: Addresses, options: &StackOptions) -> String {
    let at = Which::At(Box::new(addresses));
    format!("{:#}", Stack::find(&at, options).await.unwrap_err())
}

fn fixtures(stack: &Stack) -> Fixtures {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    Fixtures::new(&stack.addresses, &clone.join("data/uptime")).unwrap()
}

/// The account's page as JSON, composed for this read.
async fn page(stack: &Stack, account: &Account) -> serde_json::Value {
    let url = format!("{}/accounts/{}", stack.addresses.page, account.id);
    let client = reqwest::Client::new();
    let request = client.get(url).header("accept", "application/json");
    let answer = request.header("cache-control", "no-cache").send().await.unwrap();
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_stack_of_our_own_gets_real_accounts_and_settles() {
    let stack = own(&StackOptions::default()).await;
    let mut said = Vec::new();
    let accounts = fixtures(&stack)
        .make(9, |number| said.push(number))
        .await
        .unwrap();
    assert_eq!(said, (1..=9).collect::<Vec<_>>());
    let names = page(&stack, &accounts[0]).await["account"]["name"].clone();
    let again = page(&stack, &accounts[7]).await["account"]["name"].clone();
    assert_eq!(
        again,
        names.as_str().unwrap().replace(" 1", " 2"),
        "the eighth is a copy of the first"
    );
    for account in &accounts {
        let page = page(&stack, account).await;
        let shown = page["endpoints"]["endpoints"].as_array().unwrap().len();
        assert_eq!(shown, account.endpoints.len());
        let sampled = page["metrics"]["endpoints"].as_array().unwrap();
        assert!(!sampled.is_empty(), "samples of the last 24 hours: {page}");
    }
    stack.settle(accounts[8].id).await.unwrap();
    let client = Client::new(stack.addresses.clone());
    let settled = client
        .read(accounts[8].id, Strategy::Invalidate.into())
        .await
        .unwrap();
    assert_eq!(settled.outcome, Outcome::Hit);
}

#[tokio::test]
async fn what_a_strategy_did_and_what_everything_cost_is_seen() {
    let mut stack = own(&StackOptions::default()).await;
    let accounts = fixtures(&stack).make(1, |_| {}).await.unwrap();
    stack.settle(accounts[0].id).await.unwrap();
    let scraper = Scraper::new(&stack);
    let client = Client::new(stack.addresses.clone());
    let before = scraper.snapshot().await;
    for _ in 0..5 {
        client.read(accounts[0].id, Strategy::None.into()).await.unwrap();
    }
    let after = scraper.snapshot().await;
    let work = after.since(&before, Strategy::None);
    assert_eq!((work.upstream_requests, work.renders), (Some(15), Some(5)));
    assert_eq!((work.refreshes, work.refreshes_wasted), (Some(0), Some(0)));
    assert_eq!(
        after.since(&before, Strategy::Invalidate).upstream_requests,
        Some(0)
    );
    assert_eq!(after.reads_since(&before, Strategy::None), Some(5));
    for name in ["page", "accounts", "endpoints", "metrics", "loadtest"] {
        assert!(
            work.cpu_us.get(name).is_some_and(|cpu| *cpu > 0),
            "{name}: {work:?}"
        );
    }
    assert_eq!(work.cpu_us.contains_key("nats"), cfg!(target_os = "linux"));
    assert_eq!(stack.dead(), Vec::<String>::new());
}

#[tokio::test]
async fn a_running_stack_is_joined_and_left_as_it_was() {
    let running = own(&slow_metrics(30)).await;
    assert_eq!(running.injected, slow_metrics(30).inject, "it says so itself");
    let at = Which::At(Box::new(running.addresses.clone()));
    let joined = Stack::find(&at, &slow_metrics(30)).await.unwrap();
    assert!(running.is_own() && !joined.is_own());
    assert_eq!(joined.injected, running.injected);

    let fixtures = fixtures(&joined);
    let accounts = fixtures.make(3, |_| {}).await.unwrap();
    assert_eq!(fixtures.remove_all().await.unwrap(), 3);
    for account in accounts {
        assert_eq!(page(&joined, &account).await["status"], 404);
    }
    assert_eq!(fixtures.remove_all().await.unwrap(), 0);
}

#[tokio::test]
async fn what_cannot_be_had_of_a_running_stack_is_refused_with_what_to_do() {
    let running = own(&StackOptions::default()).await;
    let slow = refusal(running.addresses.clone(), &slow_metrics(30)).await;
    assert!(slow.contains("start metrics with --inject-latency 30"), "{slow}");

    let urls = running.addresses.sources.iter();
    let flags = urls.map(|(source, url)| format!("--{source}-url={url}"));
    let strict = Process::start("page", flags.collect()).await;
    let addresses = Addresses {
        page: strict.url(""),
        ..running.addresses.clone()
    };
    let strict = refusal(addresses, &StackOptions::default()).await;
    assert!(strict.contains("start it with --allow-override"), "{strict}");

    let mut addresses = running.addresses.clone();
    "http://127.0.0.1:1".clone_into(&mut addresses.sources[Source::Metrics]);
    let nobody = refusal(addresses, &StackOptions::default()).await;
    assert!(
        nobody.contains("metrics does not answer at http://127.0.0.1:1"),
        "{nobody}"
    );
    assert!(nobody.contains("scripts/up"), "{nobody}");
}
