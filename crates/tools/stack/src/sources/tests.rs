use axum::Router;
use axum::http::StatusCode;
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
