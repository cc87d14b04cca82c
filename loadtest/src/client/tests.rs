//! What is taken from answers, and what becomes of changes.

use stack::{Incarnation, PageHead};

use super::*;

/// A whole page whose three fragments were asked for; `collapsed` if by another reader.
fn page(collapsed: bool) -> PageAnswer {
    let version = Version {
        incarnation: Incarnation(0xaa),
        revision: 3,
        nonce: 1,
    };
    let (sent, sent_at) = (Instant::now(), Moment::now());
    PageAnswer {
        status: 200,
        sent,
        sent_at,
        received: sent,
        received_at: sent_at,
        head: PageHead {
            fresh_as_of: Some(sent_at),
            outcome: Some(Outcome::Miss),
            collapsed,
            versions: PerSource::from_fn(|_| Some(version)),
            asked: THREE,
            ..PageHead::default()
        },
        body: Vec::new().into(),
    }
}

const THREE: Asked = Asked {
    new: 3,
    not_modified: 0,
    failed: 0,
};

#[test]
fn requests_for_a_shared_composition_are_those_of_the_reader_who_began_it() {
    let began = Answer::new(7, &page(false)).unwrap();
    let shared = Answer::new(7, &page(true)).unwrap();
    assert_eq!((began.collapsed, began.requests), (false, THREE));
    assert_eq!((shared.collapsed, shared.requests), (true, Asked::default()));
}

#[test]
fn a_change_that_failed_is_counted_by_what_became_of_it() {
    let unanswered = |why| sources::Failure::Unanswered {
        service: "accounts",
        why,
    };
    let refused = sources::Failure::Refused {
        service: "accounts",
        status: StatusCode::SERVICE_UNAVAILABLE,
        problem: String::new(),
        words: String::new(),
    };
    for (failure, expected) in [
        (unanswered(Unanswered::Timeout), Failure::Timeout),
        (unanswered(Unanswered::Unreachable), Failure::Connection),
        (unanswered(Unanswered::Broken), Failure::Connection),
        (refused, Failure::Status(503)),
    ] {
        assert_eq!(Failure::from(failure), expected);
    }
}

#[tokio::test]
async fn a_change_without_a_connection_is_a_lost_connection() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let client = Client::new(Addresses {
        page: root.clone(),
        sources: PerSource::from_fn(|_| root.clone()),
    });
    let failed = client.change(&Change::rename_account(7, "a")).await;
    assert_eq!(failed.unwrap_err(), Failure::Connection);
}

#[test]
fn each_source_has_its_change_and_endpoints_take_turns() {
    let account = Account {
        id: 7,
        endpoints: vec![70, 71],
    };
    let sample = NewSample {
        endpoint_id: 71,
        at: None,
        state: State::Up,
        status_code: 200,
        response_ms: 3,
    };
    let expected = [
        (
            Source::Accounts,
            Change::describe_account(7, "Of a load test: change 3."),
        ),
        (
            Source::Endpoints,
            Change::rename_endpoint(7, 71, "endpoint, change 3"),
        ),
        (Source::Metrics, Change::record(7, &[sample])),
    ];
    for (source, expected) in expected {
        assert_eq!(change(source, &account, 3), expected);
        assert_ne!(change(source, &account, 4), expected, "the next is another");
    }
}

#[test]
fn an_account_without_endpoints_changes_itself() {
    let bare = Account {
        id: 7,
        endpoints: Vec::new(),
    };
    for source in Source::ALL {
        assert_eq!(change(source, &bare, 3).source, Source::Accounts);
    }
}
