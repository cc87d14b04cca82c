//! What the canary sees of pages that are right, old, and wrong.

use std::time::Duration;

use stack::{Options, Process, Source, Stack};
use test_support::eventually;

use crate::false_page::FalsePage;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);

async fn canary(stack: &Stack, page: &str, flags: &[&str]) -> Process {
    start(&stack.sources[Source::Accounts].url(""), page, flags).await
}

pub(crate) async fn start(accounts: &str, page: &str, flags: &[&str]) -> Process {
    let settings = ["--accounts-url", accounts, "--page-url", page, "--every", "50"];
    let arguments = settings.iter().chain(flags).map(|&flag| flag.to_owned());
    Process::start("canary", arguments.collect()).await
}

pub(crate) async fn until_at_least(
    stack: &Stack,
    canary: &Process,
    name: &str,
    labels: &[(&str, &str)],
    least: u64,
) {
    eventually(LONG, async || match stack.count(canary, name, labels).await {
        count if count >= least => Ok(()),
        count => Err(format!("{name} {labels:?} is {count}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_seen_soon_on_a_page_that_follows_them_and_never_denied() {
    let stack = Stack::start().await;
    let canary = canary(&stack, &stack.pages[0].url(""), &[]).await;
    until_at_least(&stack, &canary, "canary_checks_total", &[("result", "seen")], 20).await;
    let late = [("result", "unseen"), ("result", "failed")];
    for label in late {
        assert_eq!(
            stack.count(&canary, "canary_checks_total", &[label]).await,
            0,
            "{label:?}"
        );
    }
    assert_eq!(stack.count(&canary, "canary_lies_total", &[]).await, 0);
    let staleness = "canary_staleness_seconds_bucket";
    let [all, soon] = [("le", "+Inf"), ("le", "10")];
    let all = stack.count(&canary, staleness, &[all]).await;
    assert!(all >= 20, "{all}");
    assert!(stack.count(&canary, staleness, &[soon]).await >= 20);
    let last = stack.metric(&canary, "canary_last_seconds", &[]).await;
    let now = jiff::Timestamp::now().as_duration().as_secs_f64();
    assert!((now - last).abs() < 60.0, "{last}, and it is {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_claims_what_it_lacks_is_caught() {
    let stack = Stack::start().await;
    let false_page = FalsePage::start(stack.pages[0].url("")).await;
    let canary = canary(&stack, &false_page.url, &["--give-up-after", "200"]).await;
    until_at_least(&stack, &canary, "canary_lies_total", &[], 2).await;
    until_at_least(&stack, &canary, "canary_checks_total", &[("result", "unseen")], 1).await;
    let said = "a page claims to reflect a change that it lacks";
    let logged = || canary.log().iter().any(|line| line["message"] == said);
    eventually(LONG, async || logged().then_some(()).ok_or("nothing is logged")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_old_and_says_so_is_late_and_not_false() {
    let page_flags = ["--strategy", "ttl", "--ttl-seconds", "60"]
        .map(str::to_owned)
        .to_vec();
    let stack = Stack::start_with(Options {
        page_flags,
        ..Options::default()
    })
    .await;
    let canary = canary(&stack, &stack.pages[0].url(""), &["--give-up-after", "200"]).await;
    until_at_least(&stack, &canary, "canary_checks_total", &[("result", "unseen")], 3).await;
    assert_eq!(stack.count(&canary, "canary_lies_total", &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_outlives_the_page_and_its_account() {
    let mut stack = Stack::start().await;
    let canary = canary(&stack, &stack.pages[0].url(""), &["--give-up-after", "200"]).await;
    until_at_least(&stack, &canary, "canary_checks_total", &[("result", "seen")], 1).await;
    stack.pages[0].kill().await;
    until_at_least(&stack, &canary, "canary_checks_total", &[("result", "failed")], 1).await;
    stack.delete_account(1).await;
    stack.pages[0].restart(|_| {}).await;
    let seen = stack
        .count(&canary, "canary_checks_total", &[("result", "seen")])
        .await;
    until_at_least(
        &stack,
        &canary,
        "canary_checks_total",
        &[("result", "seen")],
        seen + 2,
    )
    .await;
}
