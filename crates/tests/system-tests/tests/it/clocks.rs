//! Clocks that were ahead and are set right while the services run: no date from before is told again once it has passed.

mod stepped;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use stack::{Environment, Options, Source, Stack};

use self::stepped::SteppedClock;

/// How far the clocks are ahead, in seconds.
const AHEAD: u8 = 4;

/// Nothing that lacks the rename claims a moment after it.
async fn a_date_from_before_is_not_told_again(sources_too: bool) {
    let Some(clock) = SteppedClock::ahead_by(AHEAD) else {
        eprintln!("no libfaketime here: clocks that are set back go untested with real processes");
        return;
    };
    let environment = |wrong| {
        if wrong {
            clock.environment()
        } else {
            Environment::new()
        }
    };
    let options = Options {
        // Where the clock of a page alone is wrong, it trusts nobody, so nobody waits for that.
        replicas: 0,
        source_environment: environment(sources_too),
        page_environment: environment(true),
        ..Options::default()
    };
    let mut stack = Stack::start_with(options).await;
    let replica = stack.add_page(&[]).await;
    if sources_too {
        stack.until_trusted(&stack.pages[replica]).await;
    }
    let account = stack.create_account("before").await;
    let page = stack.page(replica, account).await;
    assert_eq!(page.body["stale"], json!([]), "{}", page.cache_status);
    let said: Timestamp = page.fresh_as_of.parse().unwrap();
    assert!(
        said > Timestamp::now() + Duration::from_secs(1),
        "dated by a clock that is ahead: {said}"
    );
    let set = Instant::now();
    clock.set_right();
    // Acknowledged, and never received by the page: the broker is gone.
    stack.nats.kill();
    stack.rename_account(account, "after").await;
    let renamed = Timestamp::now();
    stack.sources[Source::Accounts].kill().await;
    // Dates from before are possible again.
    tokio::time::sleep_until((set + Duration::from_secs(u64::from(AHEAD) + 1)).into()).await;
    for _ in 0..20 {
        let page = stack.page(replica, account).await;
        assert_eq!(page.body["account"]["name"], "before");
        let said: Timestamp = page.fresh_as_of.parse().unwrap();
        assert!(
            said <= renamed,
            "lacks what was acknowledged by {renamed}, and claims {said}: {}",
            page.cache_status
        );
    }
    let steps = stack
        .count(&stack.pages[replica], "page_clock_steps_total", &[])
        .await;
    assert!(steps > 0, "the step is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_clocks_were_ahead() {
    a_date_from_before_is_not_told_again(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_clock_of_the_pages_was_ahead() {
    a_date_from_before_is_not_told_again(false).await;
}
