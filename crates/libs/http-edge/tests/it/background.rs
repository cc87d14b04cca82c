//! A task that a service depends on ends, and the service does not go on as if nothing were the matter.

use std::error::Error as _;
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use http_edge::{Background, ServeError, ServeOptions};
use test_support::eventually;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(20);

type Serving = JoinHandle<Result<(), ServeError>>;

async fn serve(background: Background) -> (SocketAddr, Serving) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (
        address,
        tokio::spawn(background.serve(listener, Router::new(), ServeOptions::default())),
    )
}

async fn until_connected(address: SocketAddr) {
    eventually(LONG, async || TcpStream::connect(address).await).await;
}

async fn ended(serving: Serving) -> Result<(), ServeError> {
    tokio::time::timeout(LONG, serving).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_service_ends_with_a_task_that_panics_and_says_which_and_why() {
    let outer = CancellationToken::new();
    let mut background = Background::until(&outer);
    let stop = background.stop();
    background.spawn("the other", stop.clone().cancelled_owned());
    background.spawn_endless("the third", pending());
    let (now, when) = tokio::sync::oneshot::channel::<()>();
    background.spawn("the relay", async {
        when.await.unwrap();
        panic!("out of order");
    });
    let (address, serving) = serve(background).await;
    until_connected(address).await;
    now.send(()).unwrap();
    let error = ended(serving).await.unwrap_err();
    assert!(error.to_string().starts_with("the relay ended"), "{error}");
    assert!(error.source().unwrap().to_string().contains("out of order"));
    assert!(stop.is_cancelled() && !outer.is_cancelled(), "its own stop alone");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_service_ends_with_a_task_that_returns_before_the_stop() {
    let mut background = Background::until(&CancellationToken::new());
    background.spawn("the consumer", ready(()));
    let (_, serving) = serve(background).await;
    let error = ended(serving).await.unwrap_err();
    assert!(error.to_string().starts_with("the consumer ended") && error.source().is_none());
    let mut background = Background::until(&CancellationToken::new());
    background.spawn_endless("the auditor", ready(()));
    let (_, serving) = serve(background).await;
    assert!(
        ended(serving)
            .await
            .unwrap_err()
            .to_string()
            .starts_with("the auditor ended")
    );
}

#[tokio::test]
async fn a_service_goes_on_without_an_optional_task_and_still_notices_the_others() {
    let mut background = Background::until(&CancellationToken::new());
    background.spawn_optional("the warm-up", async { panic!("not this one") });
    background.spawn_optional("another", ready(()));
    let (now, when) = tokio::sync::oneshot::channel::<()>();
    background.spawn("the relay", async { when.await.unwrap() });
    let (address, serving) = serve(background).await;
    until_connected(address).await;
    assert!(!serving.is_finished());
    now.send(()).unwrap();
    assert!(
        ended(serving)
            .await
            .unwrap_err()
            .to_string()
            .starts_with("the relay ended")
    );
}

#[tokio::test]
async fn at_the_stop_tasks_that_heed_it_end_by_themselves_and_the_others_are_dropped() {
    let stop = CancellationToken::new();
    let mut background = Background::until(&stop);
    let (done, finished) = tokio::sync::oneshot::channel();
    let inner = background.stop();
    background.spawn("the relay", async move {
        inner.cancelled().await;
        tokio::task::yield_now().await;
        done.send(()).unwrap();
    });
    background.spawn_endless("the auditor", pending());
    let (address, serving) = serve(background).await;
    until_connected(address).await;
    stop.cancel();
    ended(serving).await.unwrap();
    finished.await.unwrap();
}

#[tokio::test]
async fn a_panic_after_the_stop_is_told_too() {
    let stop = CancellationToken::new();
    let mut background = Background::until(&stop);
    let inner = background.stop();
    background.spawn("the relay", async move {
        inner.cancelled().await;
        panic!("at the end");
    });
    let (_, serving) = serve(background).await;
    stop.cancel();
    assert!(ended(serving).await.is_err());
}

#[tokio::test]
async fn a_task_that_does_not_heed_the_stop_is_not_waited_for_for_ever() {
    tokio::time::pause();
    let stop = CancellationToken::new();
    let mut background = Background::until(&stop);
    background.spawn("the relay", pending());
    let (_, serving) = serve(background).await;
    stop.cancel();
    ended(serving).await.unwrap();
}
