//! A page service that keeps its first answer and dates it now: it states a false `Fresh-As-Of`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// Forwards to a page service; ends with the test.
pub(crate) struct FalsePage {
    pub(crate) url: String,
    task: AbortHandle,
}

type Kept = Arc<Mutex<HashMap<u64, String>>>;

impl FalsePage {
    pub(crate) async fn start(page: String) -> Self {
        let kept = Kept::default();
        let handler =
            move |State(kept): State<Kept>, Path(account): Path<u64>| answer(page.clone(), kept, account);
        let router = Router::new()
            .route("/accounts/{id}", get(handler))
            .with_state(kept);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            task: serving.abort_handle(),
        }
    }
}

impl Drop for FalsePage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(page: String, kept: Kept, account: u64) -> impl IntoResponse {
    let known = kept.lock().unwrap().get(&account).cloned();
    let body = match known {
        Some(body) => body,
        None => read(&page, &kept, account).await,
    };
    let now = jiff::Timestamp::now().to_string();
    (
        [("fresh-as-of", now), ("cache-status", "page; hit".to_owned())],
        body,
    )
}

async fn read(page: &str, kept: &Kept, account: u64) -> String {
    let request = reqwest::Client::new().get(format!("{page}/accounts/{account}"));
    let answer = request.header("accept", "application/json").send().await.unwrap();
    let body = answer.text().await.unwrap();
    kept.lock().unwrap().insert(account, body.clone());
    body
}
