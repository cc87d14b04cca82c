//! Reading one's own writes, and never going back in time, from whichever replica answers (rule 13).

use std::time::Duration;

use stack::{Options, Page, Source, Stack, Window};

const TOKEN: &str = "consistency-token";

async fn two_replicas() -> Stack {
    let options = Options {
        replicas: 2,
        ..Options::default()
    };
    Stack::start_with(options).await
}

async fn page_after(stack: &Stack, replica: usize, id: u64, token: &str) -> Page {
    stack.page_with(replica, id, Window::Day, &[(TOKEN, token)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_write_shows_it_at_a_replica_that_has_not_received_its_event() {
    let stack = two_replicas().await;
    let id = stack.create_account("0").await;
    let mut others_were_behind = 0;
    for round in 1..=5 {
        stack.cached_page(1, id).await;
        stack.until_trusted(&stack.pages[1]).await;
        stack.links[1].black_hole();
        let name = round.to_string();
        let written = stack.rename_account(id, &name).await;
        let token = &written.token;
        let others = stack.page(1, id).await;
        others_were_behind += usize::from(others.body["account"]["name"] != *name);
        let mine = page_after(&stack, 1, id, token).await;
        assert_eq!(mine.body["account"]["name"], *name, "{}", mine.cache_status);
        assert!(!mine.cache_status.contains("behind"), "{}", mine.cache_status);
        stack.links[1].open();
    }
    // Else the token had nothing to do.
    assert!(
        others_were_behind > 0,
        "the replica received events through a held link"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_page_keeps_its_reader_from_going_back_at_another_replica() {
    let stack = two_replicas().await;
    let id = stack.create_account("0").await;
    // The second replica receives everything a third of a second late: trusted, and behind.
    stack.links[1].slow(Duration::from_millis(300));
    let (mut shown, mut token, mut others_went_back) = (0, String::new(), 0);
    for round in 1..=20 {
        let applied = stack.applied(0, Source::Accounts).await;
        stack.rename_account(id, &round.to_string()).await;
        stack.until_applied(0, Source::Accounts, applied).await;
        for replica in [0, 1] {
            let plain = stack.page(replica, id).await.body["account"]["revision"]
                .as_u64()
                .unwrap();
            others_went_back += u64::from(plain < shown);
            let page = page_after(&stack, replica, id, &token).await;
            let revision = page.body["account"]["revision"].as_u64().unwrap();
            assert!(revision >= shown, "{revision} after {shown} at replica {replica}");
            assert!(!page.cache_status.contains("behind"), "{}", page.cache_status);
            (shown, token) = (revision, page.token);
        }
    }
    assert_eq!(shown, 21);
    assert!(others_went_back > 0, "without the token nobody went back either");
}
