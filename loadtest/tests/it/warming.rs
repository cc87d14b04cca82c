//! Before anything is measured every page is read, however busy the stack is at first.

use std::sync::atomic::Ordering;
use std::time::Duration;

use loadtest::strategy::Strategy;
use loadtest::warming::read_each_once;
use tokio::time::sleep;

use crate::fake::Fake;

fn pages() -> Vec<(Strategy, u64)> {
    (0..40).map(|account| (Strategy::Invalidate, account)).collect()
}

#[tokio::test]
async fn a_page_that_is_refused_at_first_is_asked_for_again() {
    let fake = Fake::spawn().await;
    *fake.behaviour.refusing.lock().unwrap() = true;
    let client = fake.target().client;
    let allowed = async {
        sleep(Duration::from_millis(200)).await;
        *fake.behaviour.refusing.lock().unwrap() = false;
    };
    let (read, ()) = tokio::join!(read_each_once(&client, pages(), |_| {}), allowed);
    read.unwrap();
    let reads = fake.behaviour.reads.load(Ordering::Relaxed);
    assert!(reads > 40, "{reads}: some were refused and asked for again");
}

#[tokio::test]
async fn a_page_that_is_always_refused_ends_the_run_with_its_reason() {
    let fake = Fake::spawn().await;
    *fake.behaviour.refusing.lock().unwrap() = true;
    let client = fake.target().client;
    let error = read_each_once(&client, pages(), |_| {}).await.unwrap_err();
    assert!(error.to_string().ends_with("10 times in a row: 503"), "{error}");
}
