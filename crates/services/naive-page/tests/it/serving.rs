//! What it does well.

use std::sync::atomic::Ordering;

use test_support::eventually;

use crate::world::{AT_MOST, INCARNATION, NONCE, World};

const MISS: &str = "page; fwd=miss; stored";
const HIT: &str = "page; hit";

#[tokio::test(flavor = "multi_thread")]
async fn the_first_read_is_a_miss_and_the_second_a_hit_with_the_same_page() {
    let world = World::start().await;
    let miss = world.read("/accounts/7").await;
    assert_eq!((miss.status, miss.cache_status.as_str()), (200, MISS));
    let expected = r#"{"account":{"account":1},"endpoints":{"endpoints":1},"metrics":{"metrics":1},"missing":[],"stale":[]}"#;
    assert_eq!(miss.body, expected);
    let token =
        ["accounts", "endpoints", "metrics"].map(|source| format!("{source}/7/{INCARNATION}=1-{NONCE}"));
    assert_eq!(miss.token, token.join(", "));
    let hit = world.read("/accounts/7").await;
    assert_eq!(
        (&hit.body, &hit.token, hit.cache_status.as_str()),
        (&miss.body, &miss.token, HIT)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_any_source_invalidates_the_account_in_every_window_and_no_other() {
    let world = World::start().await;
    world.read("/accounts/8").await;
    for subject in ["events.accounts.7", "events.endpoints.7", "events.metrics.7"] {
        for window in ["1h", "24h", "7d"] {
            world.read(&format!("/accounts/7?window={window}")).await;
        }
        world.announce("events.accounts.watermark").await;
        world.until_applied().await;
        assert_eq!(
            world.read("/accounts/7?window=1h").await.cache_status,
            HIT,
            "nothing changed"
        );
        world.announce(subject).await;
        world.until_applied().await;
        for window in ["1h", "24h", "7d"] {
            let read = world.read(&format!("/accounts/7?window={window}")).await;
            assert_eq!(read.cache_status, MISS, "{window} after {subject}");
        }
    }
    assert_eq!(world.read("/accounts/8").await.cache_status, HIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_expires_with_its_metrics_each_time() {
    let world = World::start().await;
    world.told.valid_for.store(2, Ordering::SeqCst);
    assert_eq!(world.read("/accounts/7").await.cache_status, MISS);
    for revision in [2, 3] {
        assert_eq!(world.read("/accounts/7").await.cache_status, HIT);
        world.change();
        let expected = format!(r#"{{"account":{{"account":{revision}}}"#);
        eventually(AT_MOST, async || {
            let read = world.read("/accounts/7").await;
            if read.body.starts_with(&expected) {
                Ok(())
            } else {
                Err(read.body)
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_told_and_not_cached() {
    let world = World::start().await;
    world.told.endpoints_fail.store(true, Ordering::SeqCst);
    assert_eq!(world.read("/accounts/7").await.status, 503);
    world.told.endpoints_fail.store(false, Ordering::SeqCst);
    assert_eq!(world.read("/accounts/7").await.status, 200);
    assert_eq!(world.read("/accounts/404").await.status, 404);
    assert_eq!(world.read("/accounts/7?window=2h").await.status, 400);
}
