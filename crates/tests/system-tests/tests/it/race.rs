//! The race that most production caches have: a fill that is under way while the event passes.

use stack::{Source, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_holds_an_old_answer_while_the_event_passes_leaves_no_old_page() {
    let stack = Stack::start().await;
    let id = stack.create_account("old").await;
    stack.gate.hold_answers();
    let (reader, ()) = tokio::join!(stack.page(0, id), async {
        stack.gate.held().await;
        let applied = stack.applied(0, Source::Accounts).await;
        stack.rename_account(id, "new").await;
        stack.until_applied(0, Source::Accounts, applied).await;
        stack.gate.open();
    });
    assert_eq!(
        reader.body["account"]["name"], "old",
        "it was asked before the change; and it says so in its date"
    );
    assert_eq!(stack.page(0, id).await.body["account"]["name"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_whose_request_is_held_while_the_event_passes_is_checked_before_it_is_believed() {
    let stack = Stack::start().await;
    let id = stack.create_account("old").await;
    stack.gate.hold_requests();
    let (reader, ()) = tokio::join!(stack.page(0, id), async {
        stack.gate.held().await;
        let applied = stack.applied(0, Source::Accounts).await;
        stack.rename_account(id, "new").await;
        stack.until_applied(0, Source::Accounts, applied).await;
        stack.gate.open();
    });
    assert_eq!(
        reader.body["account"]["name"], "new",
        "the source answered after the change"
    );
    // The fill cannot know that it saw the change: one conditional request proves it, and then it is a hit.
    assert!(
        stack
            .page(0, id)
            .await
            .cache_status
            .starts_with("page; fwd=stale")
    );
    let hit = stack.page(0, id).await;
    assert!(hit.cache_status.starts_with("page; hit"), "{}", hit.cache_status);
    assert_eq!(hit.body["account"]["name"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_comes_after_the_event_does_not_join_the_old_load() {
    let stack = Stack::start().await;
    let id = stack.create_account("old").await;
    stack.gate.hold_answers();
    let early = stack.page(0, id);
    let late = async {
        stack.gate.held().await;
        let applied = stack.applied(0, Source::Accounts).await;
        stack.rename_account(id, "new").await;
        stack.until_applied(0, Source::Accounts, applied).await;
        // The early load is still in flight. It ends only after the late reader has joined.
        let (page, ()) = tokio::join!(stack.page(0, id), async {
            stack.until_under_way(0, 2).await;
            stack.gate.open();
        });
        page
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!(early.body["account"]["name"], "old");
    assert_eq!(late.body["account"]["name"], "new");
}
