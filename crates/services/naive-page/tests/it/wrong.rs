//! What it gets wrong. These tests hold the bad example to being one: if they fail, it does not show what it is kept for.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_passes_while_a_page_is_loaded_leaves_the_old_page_in_the_cache() {
    let world = World::start().await;
    world.gate.hold_answers();
    let (loading, ()) = tokio::join!(world.read("/accounts/7"), async {
        world.gate.held().await;
        world.change();
        world.announce("events.accounts.7").await;
        world.until_applied().await;
        world.gate.open();
    });
    assert!(
        loading.body.contains(r#"{"account":1}"#),
        "it was asked before the change: {}",
        loading.body
    );
    // The source says 2, the event was received, and nothing else will come.
    for _ in 0..2 {
        let read = world.read("/accounts/7").await;
        assert_eq!(
            (read.cache_status.as_str(), &read.body),
            ("page; hit", &loading.body)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_sent_while_the_connection_is_broken_never_arrives() {
    let world = World::start().await;
    let before = world.read("/accounts/7").await;
    world.link.cut().await;
    world.change();
    world.announce("events.accounts.7").await;
    world.link.open();
    world.until_applied().await;
    let read = world.read("/accounts/7").await;
    assert_eq!(
        (read.cache_status.as_str(), read.body),
        ("page; hit", before.body)
    );
}
