//! What is believed of an answer, and how long a request waits for its turn.

use super::*;

#[test]
fn max_age_is_found_among_other_directives() {
    let mut headers = header::HeaderMap::new();
    assert_eq!(max_age(&headers), None);
    headers.insert(header::CACHE_CONTROL, "private, max-age=42".parse().unwrap());
    assert_eq!(max_age(&headers), Some(Duration::from_secs(42)));
    headers.insert(header::CACHE_CONTROL, "s-maxage=42, max-age=-1".parse().unwrap());
    assert_eq!(max_age(&headers), None);
}

#[test]
fn an_answer_holds_for_as_long_as_its_field_says_and_not_at_all_if_that_cannot_be_read() {
    let mut headers = header::HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, "private, max-age=42".parse().unwrap());
    assert_eq!(valid_for(&headers), Some(Duration::from_secs(42)));
    for (text, seconds) in [("7", 7), ("0", 0), ("-1", 0), ("soon", 0), ("", 0)] {
        headers.insert(VALID_FOR, text.parse().unwrap());
        assert_eq!(valid_for(&headers), Some(Duration::from_secs(seconds)), "{text}");
    }
}

fn upstream(root: &str, concurrency: usize) -> Upstream {
    let options = UpstreamOptions {
        url: root.parse().unwrap(),
        deadline: Duration::from_millis(20),
        concurrency,
        waiting: 1,
        turn_within: Duration::from_secs(20),
        body_limit: 1,
    };
    Upstream::new(Source::Accounts, options)
}

#[tokio::test]
async fn who_has_something_to_show_waits_for_a_turn_as_long_as_an_answer_may_take() {
    let upstream = upstream("http://h:1/", 2);
    let _both = (
        upstream.admit(false).await.unwrap(),
        upstream.admit(false).await.unwrap(),
    );
    assert!(matches!(
        upstream.admit(true).await,
        Err(UpstreamError::NoTurn { concurrency: 2, within }) if within == upstream.options.deadline
    ));
}

#[tokio::test]
async fn who_has_nothing_to_show_waits_for_a_turn_and_who_finds_no_place_to_wait_is_sent_away() {
    let upstream = upstream("http://h:1/", 1);
    let first = upstream.admit(false).await.unwrap();
    let (second, ()) = tokio::join!(upstream.admit(false), async {
        assert_eq!(upstream.waiting(), 1);
        let third = upstream.admit(false).await;
        assert!(matches!(third, Err(UpstreamError::Busy { waiting: 1 })));
        drop(first);
    });
    assert!(second.is_ok());
    assert_eq!(upstream.waiting(), 0);
}

#[tokio::test]
async fn who_waits_for_a_turn_of_a_source_that_then_lets_a_deadline_pass_is_told_so() {
    let upstream = upstream("http://h:1/", 1);
    let first = upstream.admit(false).await.unwrap();
    let (second, ()) = tokio::join!(upstream.admit(false), async {
        let deadline = upstream.options.deadline;
        upstream.observe(Instant::now(), Some(&UpstreamError::TooSlow { deadline }));
        drop(first);
    });
    assert!(matches!(second, Err(UpstreamError::BackingOff { .. })));
}

#[tokio::test]
async fn a_source_that_answers_others_is_not_left_alone_for_one_late_answer() {
    let upstream = upstream("http://h:1/", 1);
    let deadline = upstream.options.deadline;
    let late = UpstreamError::TooSlow { deadline };
    let began = Instant::now();
    upstream.observe(began, None); // while the late one was waited for
    upstream.observe(began, Some(&late));
    assert_eq!(upstream.ask_leave().unwrap(), Leave::Given);
    upstream.observe(Instant::now(), Some(&late)); // and nothing since
    assert!(matches!(
        upstream.ask_leave(),
        Err(UpstreamError::BackingOff { .. })
    ));
    upstream.observe(Instant::now(), None);
    assert_eq!(upstream.ask_leave().unwrap(), Leave::Given);
}

#[test]
fn an_address_keeps_the_path_of_its_root() {
    for root in ["http://h:1/accounts-service", "http://h:1/accounts-service/"] {
        let upstream = upstream(root, 1);
        assert_eq!(
            upstream.address("accounts/7").as_str(),
            "http://h:1/accounts-service/accounts/7"
        );
    }
}
