use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;
use crate::ports::local;

fn client_of(listener: &TcpListener) -> SourceClient {
    let root = format!("http://{}", listener.local_addr().unwrap());
    SourceClient::with_patience(PerSource::from_fn(|_| root.clone()), Duration::from_millis(300))
}

async fn renamed(sources: &SourceClient) -> Failure {
    let renamed = sources.change(&Change::rename_account(7, "a")).await;
    renamed.expect_err("nobody renames it")
}

fn why(failure: &Failure) -> Option<Unanswered> {
    match failure {
        Failure::Unanswered { why, .. } => Some(*why),
        Failure::Refused { .. } => None,
    }
}

#[tokio::test]
async fn a_failure_says_what_became_of_the_request() {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let sources = client_of(&listener);
    // The system takes the connection, and nobody reads from it.
    let late = renamed(&sources).await;
    assert_eq!(why(&late), Some(Unanswered::Timeout));
    assert_eq!(late.to_string(), "accounts does not answer");

    drop(listener);
    let unreachable = renamed(&sources).await;
    assert_eq!(why(&unreachable), Some(Unanswered::Unreachable));

    let listener = TcpListener::bind(local(0)).await.unwrap();
    let sources = client_of(&listener);
    let hung_up = async { drop(listener.accept().await) };
    let (broken, ()) = tokio::join!(renamed(&sources), hung_up);
    assert_eq!(why(&broken), Some(Unanswered::Broken), "{broken}");
}

#[tokio::test]
async fn a_refusal_says_what_the_problem_says() {
    const PROBLEM: &str = r#"{"type":"a:b","title":"c","errors":[{"field":"name","detail":"is long"}]}"#;
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let sources = client_of(&listener);
    let router = Router::new().fallback(async || (StatusCode::UNPROCESSABLE_ENTITY, PROBLEM));
    tokio::spawn(async { axum::serve(listener, router).await });
    let refused = renamed(&sources).await;
    assert!(refused.declined());
    assert_eq!(
        refused.to_string(),
        "accounts answered 422 Unprocessable Entity: c; name: is long"
    );
    assert!(matches!(refused, Failure::Refused { problem, .. } if problem == "a:b"));
}

#[tokio::test]
async fn slowness_that_cannot_be_read_is_an_error_and_not_none() {
    let listener = TcpListener::bind(local(0)).await.unwrap();
    let sources = client_of(&listener);
    let router = Router::new().route(
        "/accounts/{timing}",
        get(async |Path(account): Path<usize>| ([("server-timing", TIMINGS[account])], "{}")),
    );
    tokio::spawn(async { axum::serve(listener, router).await });
    let mut found = Vec::new();
    for account in 0..TIMINGS.len() as u64 {
        let fragment = sources.fragment(Source::Accounts, account, Window::Day).await;
        found.push(fragment.map(|fragment| fragment.injected_ms));
    }
    let nonsense = |timing| Err(ReadError::Nonsense(format!("says {timing}")));
    assert_eq!(
        found,
        [Ok(Some(30)), Ok(None), nonsense(TIMINGS[2]), nonsense(TIMINGS[3])]
    );
}

/// What the source of an account says, by its number.
const TIMINGS: [&str; 4] = [
    "injected;dur=30",
    "db;dur=30",
    "injected;dur=0.5",
    "injected;dur=",
];
