//! What a canary leaves behind when it is told to stop: nothing, whatever became of its creations.

use reqwest::Method;
use stack::{Gate, Process, Source, Stack};
use test_support::eventually;

use crate::late::Late;
use crate::watching::{LONG, start, until_at_least};

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_is_told_to_stop_leaves_nothing_behind() {
    let stack = Stack::start().await;
    let mut canary = canary(&stack, &stack.sources[Source::Accounts].url("")).await;
    until_seen(&stack, &canary).await;
    assert_eq!(accounts(&stack).await, 1);
    tell_to_stop(&canary);
    assert!(canary.ended().await);
    assert_eq!(accounts(&stack).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_canary_left_behind_the_next_one_deletes_and_nothing_else() {
    let stack = Stack::start().await;
    let other = stack.create_account("canary birds").await;
    let mut killed = canary(&stack, &stack.sources[Source::Accounts].url("")).await;
    until_seen(&stack, &killed).await;
    killed.kill().await;
    let left = stack.create_account("last").await - 1;

    let mut next = Vec::new();
    for _ in 0..2 {
        next.push(canary(&stack, &stack.sources[Source::Accounts].url("")).await);
    }
    until_gone(&stack, left).await;
    // The two have not deleted each other's, nor anybody else's.
    for canary in &next {
        until_seen(&stack, canary).await;
        let unseen = [("result", "unseen")];
        assert_eq!(stack.count(canary, "canary_checks_total", &unseen).await, 0);
    }
    assert_eq!(accounts(&stack).await, 4);
    assert_eq!(status(&stack, other).await, 200);
    next.iter().for_each(tell_to_stop);
    for canary in &mut next {
        assert!(canary.ended().await);
    }
    assert_eq!(accounts(&stack).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_creation_was_not_answered_is_found_and_used() {
    let stack = Stack::start().await;
    // More than one stretch of the list comes before it.
    for _ in 0..100 {
        stack.create_account("other").await;
    }
    let gate = Gate::start(stack.sources[Source::Accounts].url("")).await;
    gate.hold_answers();
    let mut canary = canary(&stack, &gate.url()).await;
    until_given_up(&canary).await;
    gate.open();
    until_seen(&stack, &canary).await;
    let last = stack.create_account("last").await;
    assert_eq!(last, 102, "the canary made one account");
    tell_to_stop(&canary);
    assert!(canary.ended().await);
    assert_eq!(status(&stack, 101).await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_long_after_it_was_given_up_is_not_left_behind() {
    let stack = Stack::start().await;
    let mut late = Late::start(stack.sources[Source::Accounts].url("")).await;
    let mut canary = canary(&stack, &late.url).await;
    let name = late.taken().await;
    until_seen(&stack, &canary).await;
    assert_eq!(accounts(&stack).await, 1);
    tell_to_stop(&canary);
    until_accounts(&stack, 0).await;
    stack.create_account(&name).await;
    assert!(canary.ended().await);
    assert_eq!(accounts(&stack).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind_in_accounts_that_stood_still() {
    let stack = Stack::start().await;
    stack.sources[Source::Accounts].pause();
    // Of the creations that are given up meanwhile, some are made when it goes on, and some never: hence a few canaries.
    let mut canaries = Vec::new();
    for _ in 0..4 {
        canaries.push(canary(&stack, &stack.sources[Source::Accounts].url("")).await);
    }
    for canary in &canaries {
        until_given_up(canary).await;
    }
    stack.sources[Source::Accounts].resume();
    for canary in &canaries {
        until_seen(&stack, canary).await;
    }
    canaries.iter().for_each(tell_to_stop);
    for canary in &mut canaries {
        assert!(canary.ended().await);
    }
    assert_eq!(accounts(&stack).await, 0);
}

async fn canary(stack: &Stack, accounts: &str) -> Process {
    start(accounts, &stack.pages[0].url(""), &[]).await
}

async fn until_seen(stack: &Stack, canary: &Process) {
    until_at_least(stack, canary, "canary_checks_total", &[("result", "seen")], 1).await;
}

async fn until_given_up(canary: &Process) {
    let said = "accounts refuses changes";
    let logged = || canary.log().iter().any(|line| line["message"] == said);
    eventually(LONG, async || logged().then_some(()).ok_or("nothing is logged")).await;
}

fn tell_to_stop(canary: &Process) {
    let pid = canary.id().to_string();
    let told = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.unwrap().success());
}

async fn until_gone(stack: &Stack, account: u64) {
    eventually(LONG, async || match status(stack, account).await {
        404 => Ok(()),
        status => Err(format!("account {account} is answered with {status}")),
    })
    .await;
}

async fn status(stack: &Stack, account: u64) -> u16 {
    let url = stack.sources[Source::Accounts].url(&format!("/accounts/{account}"));
    stack
        .request(Method::GET, url)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

async fn until_accounts(stack: &Stack, count: usize) {
    eventually(LONG, async || match accounts(stack).await {
        now if now == count => Ok(()),
        now => Err(format!("there are {now} accounts")),
    })
    .await;
}

async fn accounts(stack: &Stack) -> usize {
    let request = stack.request(Method::GET, stack.sources[Source::Accounts].url("/accounts"));
    let list: serde_json::Value = stack.send(request).await.json().await.unwrap();
    list["accounts"].as_array().unwrap().len()
}
