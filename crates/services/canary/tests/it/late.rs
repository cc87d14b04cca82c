//! An accounts service that takes the first creation, does not answer it, and has not made the account yet.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// Stands before an accounts service; ends with the test.
pub(crate) struct Late {
    pub(crate) url: String,
    taken: oneshot::Receiver<String>,
    task: AbortHandle,
}

#[derive(Clone)]
struct Before {
    accounts: String,
    /// Until the first creation has come.
    first: Arc<Mutex<Option<oneshot::Sender<String>>>>,
}

impl Late {
    pub(crate) async fn start(accounts: String) -> Self {
        let (first, taken) = oneshot::channel();
        let first = Arc::new(Mutex::new(Some(first)));
        let router = Router::new()
            .fallback(pass)
            .with_state(Before { accounts, first });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            taken,
            task: serving.abort_handle(),
        }
    }

    /// Waits for the first creation; the name of the account that is to be made.
    pub(crate) async fn taken(&mut self) -> String {
        (&mut self.taken).await.unwrap()
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(before): State<Before>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let creation = parts.method == Method::POST;
    let first = creation.then(|| before.first.lock().unwrap().take()).flatten();
    if let Some(first) = first {
        let new: serde_json::Value = serde_json::from_slice(&body).unwrap();
        first.send(new["name"].as_str().unwrap().to_owned()).unwrap();
        return std::future::pending().await;
    }
    let request = reqwest::Client::new().request(parts.method, format!("{}{}", before.accounts, parts.uri));
    let answer = request.headers(parts.headers).body(body).send().await.unwrap();
    let status = answer.status();
    let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
    *response.status_mut() = status;
    response
}
